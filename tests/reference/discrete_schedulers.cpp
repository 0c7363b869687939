// Recorded runs of Hugging Face's five discrete schedulers.
#include <cmath>

#include "discrete.hpp"
#include "kinds.hpp"
#include "tweedie/interop/huggingface/discrete.hpp"

namespace reference {
namespace {

using namespace tweedie::huggingface;
using tweedie::discrete::logits_view;
using tweedie::discrete::token_batch;

// Rows of logits, for pictures too: (B, V, H, W) becomes (B, H W, V).
std::vector<double> rows_of(const named_tensors& tensor, const json& name,
                            std::size_t& vocabulary) {
  const std::vector<std::size_t> shape = tensor.shape(name);
  std::vector<double> values = tensor(name);
  if (shape.size() != 4) {
    vocabulary = shape.back();
    return values;
  }
  vocabulary = shape[1];
  const std::size_t places = shape[2] * shape[3];
  std::vector<double> rows(values.size());
  for (std::size_t b = 0; b < shape[0]; ++b)
    for (std::size_t v = 0; v < vocabulary; ++v)
      for (std::size_t i = 0; i < places; ++i)
        rows[(b * places + i) * vocabulary + v] = values[(b * vocabulary + v) * places + i];
  return rows;
}

template <class Sampler>
Sampler load(const char* name, const json& recorded, options call = {}) {
  nlohmann::json config = plain(recorded["config"]);
  config["_class_name"] = name;
  std::optional<int> steps;
  if (recorded.contains("num_inference_steps")) steps = recorded["num_inference_steps"].get<int>();
  return std::get<Sampler>(discrete_scheduler(config, steps, std::move(call)));
}

void replay_amused(const json& recorded, const named_tensors& tensor, comparison& c) {
  options call;
  if (recorded.contains("temperature"))
    call = nlohmann::json{{"temperature", plain(recorded["temperature"])}};
  const auto scheduler = load<amused_scheduler>("AmusedScheduler", recorded, call);
  const std::size_t items = recorded["shape"][0];
  if (recorded.contains("op")) {
    std::vector<token> x = tokens_of(recorded["x0"]);
    const std::size_t step = scheduler.steps() - 1 - recorded["timestep"].get<std::size_t>();
    scheduler.add_noise(token_batch{x, items}, step, recorded_step(recorded["draws"], items));
    c.same("out", as_numbers(x), numbers(recorded["out"]));
    return;
  }
  c.same("temperatures", scheduler.temperatures, numbers(precise(recorded, "temperatures")));
  std::vector<token> x = tokens_of(recorded["sample_init"]), predicted(x.size());
  std::vector<double> timesteps;
  std::vector<std::vector<double>> states, estimates;
  for (std::size_t k = 0; k < scheduler.steps(); ++k) {
    std::size_t n = 0;
    const std::vector<double> logits = rows_of(tensor, recorded["logits"][k], n);
    scheduler.step(logits_view<double>(logits, n), k, token_batch{x, items},
                   recorded_step(recorded["draws"][k], items), recorded["starting_mask_ratio"],
                   predicted);
    timesteps.push_back(static_cast<double>(scheduler.steps() - 1 - k));
    states.push_back(as_numbers(x));
    estimates.push_back(as_numbers(predicted));
  }
  c.same("timesteps", timesteps, numbers(recorded["timesteps"]));
  c.same("prev_sample", states, tensors(precise(recorded, "prev_sample")));
  c.same("pred_original_sample", estimates, tensors(precise(recorded, "pred_original_sample")));
}

void replay_filters(const json& recorded, const named_tensors& tensor, comparison& c) {
  const std::size_t n = recorded["shape"][1];
  std::vector<double> logits = tensor(recorded["logits"]), kept, probabilities(logits.size());
  for (std::size_t r = 0; r < logits.size() / n; ++r) {
    const std::span<double> row(logits.data() + r * n, n);
    tweedie::discrete::keep_top_k(
        row, recorded["top_k"].is_null() ? 0 : recorded["top_k"].get<std::size_t>());
    tweedie::discrete::keep_top_p(
        row, recorded["top_p"].is_null() ? 1 : recorded["top_p"].get<double>());
    const std::span<double> out(probabilities.data() + r * n, n);
    tweedie::discrete::log_softmax(std::span<const double>(row), out);
    for (std::size_t k = 0; k < n; ++k) {
      out[k] = std::exp(out[k]);
      kept.push_back(std::isinf(row[k]) ? 0 : 1);
    }
  }
  c.same("kept", kept, numbers(recorded["kept"]));
  c.same("probs", probabilities, numbers(precise(recorded, "probs")));
}

void replay_block_noise(const json& recorded, comparison& c) {
  const std::size_t items = recorded["shape"][0], block = recorded["block_length"],
                    prompt = recorded["prompt_length"];
  const std::vector<token> clean = tokens_of(recorded["x0"]);
  const std::vector<double> attention = numbers(recorded["attention_mask"]);
  const auto valid = std::make_unique<bool[]>(clean.size());
  for (std::size_t i = 0; i < clean.size(); ++i) valid[i] = attention[i] != 0;
  const auto source = [&](const tweedie::discrete::uniform_request& r) {
    const bool share = r.use == tweedie::discrete::draw_use::route;
    const std::size_t number = share ? r.index : (r.index - prompt) / block;
    const std::vector<double> u = uniforms_of(recorded["draws"].at(2 * number + (share ? 0 : 1)));
    return share ? u.at(r.item) : u.at(r.item * (u.size() / items) + (r.index - prompt) % block);
  };
  const block_noise noise = add_block_noise(clean, {valid.get(), clean.size()}, items, prompt,
                                            block, recorded["mask_token_id"], source);
  c.same("noisy", as_numbers(noise.noisy), numbers(recorded["noisy"]));
  c.same("noisy_rev", as_numbers(noise.reversed), numbers(recorded["noisy_rev"]));
  c.same("masked", as_numbers(noise.masked), numbers(recorded["masked"]));
  c.same("masked_rev", as_numbers(noise.masked_reversed), numbers(recorded["masked_rev"]));
}

void replay_block_refinement(const json& recorded, const named_tensors& tensor, comparison& c) {
  const std::string op = recorded.value("op", "step");
  if (op == "top_k_then_top_p") return replay_filters(recorded, tensor, c);
  if (op == "add_noise") return replay_block_noise(recorded, c);
  if (op == "get_num_transfer_tokens") {
    for (const json& row : recorded["table"]) {
      std::vector<double> quotas;
      const std::size_t steps = row["steps"];
      for (std::size_t k = 0; k < steps; ++k)
        quotas.push_back(static_cast<double>(
            tweedie::discrete::even_quota(row["block_length"].get<std::size_t>(), k, steps)));
      c.same("out", quotas, numbers(row["out"]));
    }
    return;
  }
  auto scheduler = load<block_refinement_scheduler>("BlockRefinementScheduler", recorded);
  if (op != "step") throw unsupported("op", op);
  const json& call = recorded["step_kwargs"];
  only("step_kwargs", call,
       {"sampling_method", "temperature", "top_k", "top_p", "threshold", "editing_threshold",
        "minimal_topk"});
  one_of("sampling_method", call.value("sampling_method", "auto"),
         {"auto", "greedy", "multinomial"});
  block_refinement_options how;
  if (!recorded["mask_token_id"].is_null()) how.mask = recorded["mask_token_id"].get<token>();
  const auto given = [&](const char* key) { return call.contains(key) && !call[key].is_null(); };
  if (call.value("sampling_method", "auto") != "greedy")
    how.rule.temperature = call.value("temperature", 0.0);
  if (given("top_k")) how.rule.top_k = call["top_k"];
  if (given("top_p")) how.rule.top_p = call["top_p"];
  if (given("threshold")) how.threshold = call["threshold"].get<double>();
  if (given("editing_threshold")) how.editing_threshold = call["editing_threshold"].get<double>();
  how.prompt = recorded["prompt_tokens"];
  const std::size_t items = recorded["shape"][0];
  std::vector<token> x = tokens_of(recorded["sample_init"]);
  std::vector<std::vector<double>> states, transferred, edited, drawn, probabilities;
  for (std::size_t k = 0; k < recorded["num_steps_run"].get<std::size_t>(); ++k) {
    std::size_t n = 0;
    const std::vector<double> logits = rows_of(tensor, recorded["logits"][k], n);
    const auto r = scheduler.step(logits_view<double>(logits, n), k, token_batch{x, items},
                                  recorded_step(recorded["draws"][k], items), how);
    states.push_back(as_numbers(x));
    transferred.push_back(as_numbers(r.transferred));
    edited.push_back(as_numbers(r.edited));
    drawn.push_back(as_numbers(r.tokens));
    probabilities.push_back(r.probabilities);
  }
  c.same("prev_sample", states, tensors(precise(recorded, "prev_sample")));
  c.same("transfer_index", transferred, tensors(precise(recorded, "transfer_index")));
  c.same("editing_transfer_index", edited, tensors(precise(recorded, "editing_transfer_index")));
  c.same("sampled_tokens", drawn, tensors(precise(recorded, "sampled_tokens")));
  c.same("sampled_probs", probabilities, tensors(precise(recorded, "sampled_probs")));
}

json without_nulls(json recorded) {
  json kept = json::object();
  for (const auto& [key, value] : recorded["config"].items())
    if (!value.is_null()) kept[key] = value;
  recorded["config"] = kept;
  return recorded;
}

void replay_ddim(const json& recorded, const named_tensors& tensor, comparison& c) {
  if (recorded.contains("op")) {
    if (recorded["op"] != "to_loo_logits") throw std::runtime_error("unknown op");
    std::vector<double> logits = tensor(recorded["logits"]);
    const std::vector<token> x = tokens_of(recorded["tokens"]);
    const std::size_t n = recorded["shape"][2];
    for (std::size_t r = 0; r < x.size(); ++r)
      discrete_ddim_scheduler::leave_one_out(std::span(logits.data() + r * n, n), x[r],
                                             recorded["alpha"]);
    c.same("out", logits, numbers(precise(recorded, "out")));
    return;
  }
  const auto scheduler =
      load<discrete_ddim_scheduler>("DiscreteDDIMScheduler", without_nulls(recorded));
  const std::size_t items = recorded["shape"][0];
  std::vector<token> x = tokens_of(recorded["sample_init"]);
  const json& ops = precise(recorded, "ops");
  const json& expected = precise(recorded, "numbers");
  for (std::size_t k = 0; k < ops.size(); ++k) {
    const json& op = ops[k];
    std::size_t n = 0;
    const std::vector<double> values = rows_of(tensor, op["logits"], n);
    const logits_view<double> logits(values, n);
    const std::size_t step = op["timestep"];
    const recorded_step source(op["draws"], items);
    one_of("op", op["op"], {"predictor", "corrector"});
    const auto r =
        op["op"] == "predictor"
            ? scheduler.step(logits, step, token_batch{x, items}, source, recorded["temperature"])
            : scheduler.correct(logits, step, token_batch{x, items}, source);
    c.same("prev_sample", as_numbers(x), numbers(op["prev_sample"]));
    c.same("sampled_tokens", as_numbers(r.tokens), numbers(op["sampled_tokens"]));
    c.same("sampled_probs", r.probabilities, numbers(expected[k]["sampled_probs"]));
    c.same("probs", r.weights, numbers(expected[k]["probs"]));
  }
}

void replay_entropy_bound(const json& recorded, const named_tensors& tensor, comparison& c) {
  const auto scheduler = load<entropy_bound_scheduler>("EntropyBoundScheduler", recorded);
  const double bound = recorded["entropy_bound_override"].is_null()
                           ? scheduler.entropy_bound
                           : recorded["entropy_bound_override"].get<double>();
  const std::size_t items = recorded["shape"][0];
  std::vector<token> x = tokens_of(recorded["sample_init"]);
  std::vector<std::vector<double>> states, accepted, drawn, probabilities, entropies;
  for (std::size_t k = 0; k < recorded["logits"].size(); ++k) {
    std::size_t n = 0;
    const std::vector<double> logits = rows_of(tensor, recorded["logits"][k], n);
    const auto r =
        scheduler.step(logits_view<double>(logits, n), k, token_batch{x, items},
                       recorded_step(recorded["draws"][k], items), scheduler.temperature(k), bound);
    states.push_back(as_numbers(x));
    accepted.push_back(as_numbers(r.accepted));
    drawn.push_back(as_numbers(r.tokens));
    probabilities.push_back(r.probabilities);
    entropies.push_back(r.entropies);
  }
  c.same("prev_sample", states, tensors(precise(recorded, "prev_sample")));
  c.same("accepted_index", accepted, tensors(precise(recorded, "accepted_index")));
  c.same("sampled_tokens", drawn, tensors(precise(recorded, "sampled_tokens")));
  c.same("sampled_probs", probabilities, tensors(precise(recorded, "sampled_probs")));
  c.same("entropy", entropies, tensors(precise(recorded, "entropy")));
}

void replay_vq_diffusion(const json& recorded, const named_tensors& tensor, comparison& c) {
  const auto scheduler = load<vq_diffusion_scheduler>("VQDiffusionScheduler", recorded);
  const std::size_t items = recorded["shape"][0], places = recorded["shape"][1],
                    classes = scheduler.classes, t = recorded["timestep"];
  const std::vector<double> log_clean = tensor(recorded["log_p_x_0"]);  // (B, K - 1, n)
  const std::vector<token> x_t = tokens_of(recorded["x_t"]);
  std::vector<double> rows(log_clean.size()), log_p(items * classes * places),
      sums(items * places, 0.0);
  for (std::size_t b = 0; b < items; ++b)
    for (std::size_t y = 0; y + 1 < classes; ++y)
      for (std::size_t i = 0; i < places; ++i)
        rows[(b * places + i) * (classes - 1) + y] =
            log_clean[(b * (classes - 1) + y) * places + i];
  if (recorded.contains("log_p") && !recorded["log_p"].is_null() && t > 0) {
    std::vector<double> out(classes);
    for (std::size_t r = 0; r < x_t.size(); ++r) {
      scheduler.log_posterior(std::span(rows.data() + r * (classes - 1), classes - 1), x_t[r], t,
                              out);
      for (std::size_t y = 0; y < classes; ++y) {
        log_p[((r / places) * classes + y) * places + r % places] = out[y];
        sums[r] += std::exp(out[y]);
      }
    }
    c.same("log_p", log_p, numbers(precise(recorded, "log_p")));
    c.same("p_sum", sums, numbers(precise(recorded, "p_sum")));
  }
  // Numbers are listed as (B, classes, n).
  const std::vector<double> u = uniforms_of(recorded["draws"][0]);
  const std::size_t drawn_classes = u.size() / (items * places);
  std::vector<token> x = x_t;
  scheduler.step(logits_view<double>(rows, classes - 1), t, token_batch{x, items},
                 [&](const tweedie::discrete::uniform_request& r) {
                   const std::size_t y = r.index % drawn_classes, i = r.index / drawn_classes;
                   return u.at((r.item * drawn_classes + y) * places + i);
                 });
  c.same("prev_sample", as_numbers(x), numbers(recorded["prev_sample"]));

  const json& tables = precise(recorded, "tables");
  const std::vector<double> index = numbers(tables["index"]);
  std::vector<double> at, bt, ct, cum_at, cum_bt, cum_ct;
  const double others = static_cast<double>(classes - 1);
  for (const double i : index) {
    const auto& s = scheduler.step_kernels.at(static_cast<std::size_t>(i));
    const auto& m = scheduler.marginals.at(static_cast<std::size_t>(i));
    at.push_back(std::log(s.keep));
    bt.push_back(std::log(s.uniform / others));
    ct.push_back(std::log(s.mask));
    cum_at.push_back(std::log(m.keep));
    cum_bt.push_back(std::log(m.uniform / others));
    cum_ct.push_back(std::log(m.mask));
  }
  // The reference's cumulative tables end with the identity, for index -1.
  cum_at.push_back(0);
  cum_bt.push_back(-INFINITY);
  cum_ct.push_back(-INFINITY);
  c.same("log_at", at, numbers(tables["log_at"]));
  c.same("log_bt", bt, numbers(tables["log_bt"]));
  c.same("log_ct", ct, numbers(tables["log_ct"]));
  c.same("log_cumprod_at", cum_at, numbers(tables["log_cumprod_at"]));
  c.same("log_cumprod_bt", cum_bt, numbers(tables["log_cumprod_bt"]));
  c.same("log_cumprod_ct", cum_ct, numbers(tables["log_cumprod_ct"]));
}

}  // namespace

std::vector<outcome> replay_discrete_schedulers(const json& file, const std::string& name) {
  const named_tensors tensor(file);
  const std::string format = file["format"];
  return replay_cases(file, name, "op", [&](const json& recorded, comparison& c) {
    if (format.find("amused") != std::string::npos) return replay_amused(recorded, tensor, c);
    if (format.find("block") != std::string::npos)
      return replay_block_refinement(recorded, tensor, c);
    if (format.find("ddim") != std::string::npos) return replay_ddim(recorded, tensor, c);
    if (format.find("entropy") != std::string::npos)
      return replay_entropy_bound(recorded, tensor, c);
    replay_vq_diffusion(recorded, tensor, c);
  });
}

}  // namespace reference
