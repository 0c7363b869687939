// Recorded text samplers: LLaDA's generate and the Dream sampler of Fast-dLLM.
#include <cmath>
#include <numeric>
#include <optional>

#include "discrete.hpp"
#include "kinds.hpp"
#include "tweedie/discrete/guidance.hpp"
#include "tweedie/discrete/unmasking.hpp"

namespace reference {
namespace {

using namespace tweedie::discrete;

void replay_llada(const json& recorded, const named_tensors& tensor, comparison& c) {
  const std::size_t batch = recorded["batch"], prompt = recorded["prompt_len"],
                    length = prompt + recorded["gen_length"].get<std::size_t>(),
                    block = recorded["block_length"], n = recorded["vocab"];
  const double scale = recorded["cfg_scale"];
  const bool random =
      one_of("remasking", recorded["remasking"], {"random", "low_confidence"}) == "random";
  for (const char* field : {"logits_eos_inf", "confidence_eos_eot_inf"})
    if (recorded.value(field, false)) throw unsupported(field, "true");
  unmasking plan;
  plan.mask = recorded["mask_id"];
  plan.steps = recorded["steps"].get<std::size_t>() / ((length - prompt) / block);
  plan.order = random ? unmasking_order::random : unmasking_order::confidence;
  plan.rule.temperature = recorded["temperature"];
  plan.rule.by_gumbel = true;
  plan.block_length = block;
  plan.first = prompt;
  std::vector<token> x(batch * length, plan.mask);
  const std::vector<token> given = tokens_of(recorded["prompt"]);
  for (std::size_t b = 0; b < batch; ++b)
    for (std::size_t i = 0; i < prompt; ++i) x[b * length + i] = given[b * prompt + i];
  std::vector<double> mixed(batch * length * n);
  std::optional<recorded_step> numbers_of_step;
  token_sampling run(plan, token_batch{x, batch}, mixed, n,
                     [&](const uniform_request& r) { return (*numbers_of_step)(r); });
  run.next();
  std::vector<std::vector<double>> trace;
  const std::size_t per_step = (plan.rule.temperature > 0 ? 1 : 0) + (random ? 1 : 0);
  std::size_t draw = 0;
  for (const json& name : recorded["logits"]) {
    trace.push_back(as_numbers(x));
    std::vector<double> logits = tensor(name);
    if (scale > 0) {
      const std::size_t half = logits.size() / 2;
      const std::span<double> all(logits);
      guide<double>(all.first(half), all.subspan(half), scale + 1, all.first(half));
      logits.resize(half);
    }
    json draws = json::array();
    for (std::size_t d = 0; d < per_step; ++d) draws.push_back(recorded["draws"][draw++]);
    std::copy(logits.begin(), logits.end(), mixed.begin());
    numbers_of_step.emplace(draws, batch);
    // The reference's first list is the one of its choices.
    if (plan.rule.temperature > 0) (*numbers_of_step)({0, draw_use::gumbel, 0, 0});
    run.next();
  }
  c.same("x_trace", trace, tensors(recorded["x_trace"]));
  c.same("draws used", static_cast<double>(draw), static_cast<double>(recorded["draws"].size()));
  c.same("x_final", as_numbers(x), numbers(recorded["x_final"]));
}

// The rows' own settings; the reference filters by p before k, and at temperature 0 too.
struct dream_rule {
  double temperature = 0;
  double top_p = 1;
  std::size_t top_k = 0;
  std::string confidence = "probability";
};
struct dream_proposal {
  token choice;
  double confidence;
};
dream_proposal dream_sample(std::span<const double> logits, const dream_rule& rule, double u) {
  std::vector<double> row(logits.begin(), logits.end()), p(logits.size());
  if (rule.temperature > 0)
    for (double& v : row) v /= rule.temperature;
  keep_top_p(row, rule.top_p);
  keep_top_k(row, rule.top_k);
  row_reader reader;
  const row_reading& reading = reader.read(row.data(), row.size(), {.shape = true});
  const token choice =
      rule.temperature > 0 ? reader.sample(row.data(), u) : reader.best(row.data());
  log_softmax(std::span<const double>(row), std::span<double>(p));
  for (double& v : p) v = std::exp(v);
  if (rule.confidence == "margin") return {choice, reading.margin()};
  if (rule.confidence == "entropy") {
    double sum = 0;
    for (const double v : p) sum += v * std::log(v + 1e-10);  // as the reference
    return {choice, sum};
  }
  return {choice, p[static_cast<std::size_t>(choice)]};
}

dream_rule rule_of(const json& settings) {
  dream_rule rule;
  if (settings.contains("temperature")) rule.temperature = settings["temperature"];
  if (settings.contains("top_p") && !settings["top_p"].is_null()) rule.top_p = settings["top_p"];
  if (settings.contains("top_k") && !settings["top_k"].is_null()) rule.top_k = settings["top_k"];
  if (settings.value("margin_confidence", false)) rule.confidence = "margin";
  if (settings.value("neg_entropy", false)) rule.confidence = "entropy";
  return rule;
}

void replay_dream(const json& recorded, const named_tensors& tensor, comparison& c) {
  const std::size_t batch = recorded["batch"], prompt = recorded["prompt_len"],
                    length = recorded["max_length"], n = recorded["vocab"],
                    steps = recorded["steps"];
  const token mask = recorded["mask_token_id"];
  const std::string alg =
      one_of("alg", recorded["alg"], {"origin", "maskgit_plus", "topk_margin", "entropy"});
  dream_rule rule = rule_of(recorded);
  rule.confidence = alg == "topk_margin" ? "margin" : alg == "entropy" ? "entropy" : "probability";
  const double sharpness =
      recorded["alg_temp"].is_null() ? 0.0 : recorded["alg_temp"].get<double>();
  const double eps = recorded["eps"];
  std::vector<double> times;
  for (std::size_t k = 0; k <= steps; ++k)
    times.push_back(1 + (eps - 1) * static_cast<double>(k) / static_cast<double>(steps));
  c.same("timesteps", times, numbers(precise(recorded, "timesteps")));
  std::vector<token> x(batch * length, mask);
  const std::vector<token> given = tokens_of(recorded["prompt"]);
  for (std::size_t b = 0; b < batch; ++b)
    for (std::size_t i = 0; i < prompt; ++i) x[b * length + i] = given[b * prompt + i];
  std::vector<std::vector<double>> trace;
  std::size_t draw = 0;
  const auto next_draw = [&] { return uniforms_of(recorded["draws"].at(draw++)); };
  for (std::size_t k = 0; k < steps; ++k) {
    trace.push_back(as_numbers(x));
    const std::vector<double> logits = tensor(recorded["logits"][k]);
    const bool last = k + 1 == steps;
    const double share = last ? 1 : 1 - times[k + 1] / times[k];
    std::vector<std::size_t> masked;
    for (std::size_t i = 0; i < x.size(); ++i)
      if (x[i] == mask) masked.push_back(i);
    if (alg == "origin") {
      const std::vector<double> u = next_draw();
      std::vector<std::size_t> moved;
      for (std::size_t j = 0; j < masked.size(); ++j)
        if (u[j] < share) moved.push_back(masked[j]);
      masked = moved;
    }
    std::vector<double> u(masked.size(), 0.0);
    if (rule.temperature > 0 && !masked.empty()) u = next_draw();
    std::vector<dream_proposal> proposals;
    for (std::size_t j = 0; j < masked.size(); ++j) {
      // Position i is predicted by the logits before it.
      const std::size_t row = masked[j] % length == 0 ? masked[j] : masked[j] - 1;
      proposals.push_back(dream_sample({logits.data() + row * n, n}, rule, u[j]));
    }
    if (alg == "origin") {
      for (std::size_t j = 0; j < masked.size(); ++j) x[masked[j]] = proposals[j].choice;
      continue;
    }
    const auto count = static_cast<std::size_t>(static_cast<double>(masked.size()) /
                                                static_cast<double>(batch) * share);
    if (count == 0) continue;
    std::vector<std::vector<double>> scores(batch, std::vector<double>(length, -INFINITY));
    std::vector<token> choice(x.size(), mask);
    for (std::size_t j = 0; j < masked.size(); ++j) {
      scores[masked[j] / length][masked[j] % length] = proposals[j].confidence;
      choice[masked[j]] = proposals[j].choice;
    }
    std::vector<std::vector<std::size_t>> moved(batch);
    if (sharpness == 0) {
      for (std::size_t b = 0; b < batch; ++b) {
        moved[b] = ranked(scores[b]);
        moved[b].resize(count);
      }
    } else {
      // Without replacement: one number a row for each of the positions.
      std::vector<std::vector<double>> u_order;
      for (std::size_t j = 0; j < count; ++j) u_order.push_back(next_draw());
      for (std::size_t b = 0; b < batch; ++b) {
        std::vector<double> weights(length), log_weights = scores[b];
        for (double& v : log_weights) v /= sharpness;
        log_softmax(std::span<const double>(log_weights), std::span<double>(weights));
        for (double& w : weights) w = std::exp(w);
        for (const std::vector<double>& v : u_order) {
          moved[b].push_back(invert_distribution(weights, v.at(b)));
          weights[moved[b].back()] = 0;
        }
      }
    }
    for (std::size_t b = 0; b < batch; ++b)
      for (const std::size_t i : moved[b]) x[b * length + i] = choice[b * length + i];
  }
  c.same("x_trace", trace, tensors(recorded["x_trace"]));
  c.same("draws used", static_cast<double>(draw), static_cast<double>(recorded["draws"].size()));
  c.same("x_final", as_numbers(x), numbers(recorded["x_final"]));
}

void replay_gumbel(const json& recorded, const named_tensors& tensor, comparison& c) {
  const std::vector<double> logits = tensor(recorded["logits"]);
  const std::size_t n = recorded["shape"][1];
  const double temperature = recorded["temperature"];
  std::vector<double> out = logits, best;
  if (temperature > 0) {
    const std::vector<double> u = uniforms_of(recorded["draws"][0]);
    for (std::size_t i = 0; i < out.size(); ++i)
      out[i] = std::exp(logits[i] + temperature * gumbel(u[i]));
  }
  c.same("out", out, numbers(precise(recorded, "out")));
  proposer propose;
  for (std::size_t r = 0; r < logits.size() / n; ++r) {
    const recorded_step source(recorded["draws"], logits.size() / n);
    token_rule rule;
    rule.temperature = temperature;
    rule.by_gumbel = true;
    best.push_back(propose(logits.data() + r * n, n, -1, rule, source,
                           {0, draw_use::gumbel, static_cast<std::uint32_t>(r), 0}, "gumbel", r)
                       .choice);
  }
  c.same("argmax", best, numbers(recorded["argmax"]));
}

void replay_case(const json& recorded, const named_tensors& tensor, comparison& c) {
  const std::string algo = recorded["algo"];
  if (algo == "llada") return replay_llada(recorded, tensor, c);
  if (algo == "dream") return replay_dream(recorded, tensor, c);
  if (algo == "add_gumbel_noise") return replay_gumbel(recorded, tensor, c);
  if (algo == "get_num_transfer_tokens") {
    for (const json& row : recorded["table"]) {
      std::vector<double> quotas;
      const std::size_t steps = row["steps"];
      for (const std::size_t masked : row["mask_counts"])
        for (std::size_t s = 0; s < steps; ++s)
          quotas.push_back(static_cast<double>(even_quota(masked, s, steps)));
      c.same("out", quotas, numbers(row["out"]));
    }
    return;
  }
  if (algo != "sample_tokens") throw std::runtime_error("unknown algo " + algo);
  const dream_rule rule = rule_of(recorded["kwargs"]);
  const std::vector<double> logits = tensor(recorded["logits"]);
  const std::size_t n = recorded["shape"][1];
  std::vector<double> u(logits.size() / n, 0.0), confidence, choice;
  if (rule.temperature > 0) u = uniforms_of(recorded["draws"][0]);
  for (std::size_t r = 0; r < u.size(); ++r) {
    const dream_proposal p = dream_sample({logits.data() + r * n, n}, rule, u[r]);
    confidence.push_back(p.confidence);
    choice.push_back(p.choice);
  }
  c.same("confidence", confidence, numbers(precise(recorded, "confidence")));
  c.same("x0", choice, numbers(recorded["x0"]));
}

}  // namespace

std::vector<outcome> replay_discrete_text(const json& file, const std::string& name) {
  const named_tensors tensor(file);
  return replay_cases(file, name, "algo", [&](const json& recorded, comparison& c) {
    replay_case(recorded, tensor, c);
  });
}

}  // namespace reference
