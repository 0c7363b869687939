// Recorded runs of the schedulers of huggingface/diffusers.
#include <cmath>
#include <string>
#include <vector>

#include "kinds.hpp"
#include "trace.hpp"
#include "tweedie/interop/huggingface.hpp"

namespace reference {
namespace {

using namespace tweedie;
using huggingface::loaded_sampler;
using huggingface::request;

// m(x, t) = 0.3 sin x + 0.2 x + 0.1 cos(t / 100); learned variances 0.3 + 0.2 cos x.
network test_network(const std::string& name) {
  network model;
  model.output = [](std::span<const double> x, double t) {
    tensor y(x.size());
    for (std::size_t i = 0; i < x.size(); ++i)
      y[i] = 0.3 * std::sin(x[i]) + 0.2 * x[i] + 0.1 * std::cos(t / 100);
    return y;
  };
  if (one_of("model", name, {"a", "av"}) == "av")
    model.variance = [](std::span<const double> x) {
      tensor v(x.size());
      for (std::size_t i = 0; i < x.size(); ++i) v[i] = 0.3 + 0.2 * std::cos(x[i]);
      return v;
    };
  return model;
}

const json& entry(const json& c, const char* key) {
  static const json none;
  return c.contains(key) ? c[key] : none;
}

// The double precision value where it differs from the shipped one.
const json& precise(const json& c, const char* key) {
  if (c.contains("f64") && c["f64"].contains(key)) return c["f64"][key];
  return entry(c, key);
}

request request_of(const json& c) {
  std::optional<int> steps;
  if (c.contains("num_inference_steps") && c["num_inference_steps"].is_number())
    steps = c["num_inference_steps"].get<int>();
  nlohmann::json timesteps_arguments = plain(entry(c, "set_timesteps_kwargs"));
  if (timesteps_arguments.is_object() && timesteps_arguments.contains("num_inference_steps")) {
    steps = timesteps_arguments["num_inference_steps"].get<int>();
    timesteps_arguments.erase("num_inference_steps");
  }
  nlohmann::json step_arguments = plain(entry(c, "step_kwargs"));
  if (c.contains("eta_override")) step_arguments["eta"] = plain(c["eta_override"]);
  const json& extra = entry(c, "extra");
  if (extra.is_object() && extra.contains("pairs")) step_arguments["pairs"] = plain(extra["pairs"]);
  request how{steps, timesteps_arguments, step_arguments, c.value("begin_index_steps", 0)};
  how.faithful = true;
  return how;
}

// Options that most change which formulas run.
std::string group_of(const json& c) {
  const json& config = c["config"];
  std::string group;
  for (const char* key : {"algorithm_type", "solver_order", "prediction_type"})
    if (config.contains(key) && !config[key].is_null())
      group +=
          (group.empty() ? "" : ", ") + (config[key].is_string() ? config[key].get<std::string>()
                                                                 : "order " + config[key].dump());
  return group;
}

void compare_forward(const json& c, const loaded_sampler& sampler, comparison& compare) {
  const json& forward = entry(c, "forward");
  if (!forward.is_object() || !sampler.forward) return;
  // FlowMatchHeunDiscreteScheduler.scale_noise looks a list of timesteps up as if it were one.
  if (c["config"]["_class_name"] == "FlowMatchHeunDiscreteScheduler") return;
  std::vector<double> t = numbers(forward["timesteps"]);
  if (c["f64"].contains("timesteps")) {  // the same entries in double precision
    const std::vector<double> shipped = numbers(c["timesteps"]);
    for (double& v : t)
      v = numbers(c["f64"]["timesteps"])[huggingface::index_for_timestep(shipped, v)];
  }
  const std::vector<double> x0 = numbers(forward["x0"]);
  const std::vector<double> eps = numbers(forward["eps"]);
  // A batch of one is repeated for each timestep.
  const std::size_t size = x0.size() / c["shape"][0].get<std::size_t>() * t.size();
  tensor noised(size), velocity(size);
  for (std::size_t i = 0; i < size; ++i) {
    const signal_noise level = sampler.forward(t[i / (size / t.size())]);
    const std::size_t k = i % x0.size();
    noised[i] = level.alpha * x0[k] + level.sigma * eps[k];
    velocity[i] = level.alpha * eps[k] - level.sigma * x0[k];
  }
  const json& recorded =
      c.contains("f64") && c["f64"].contains("forward") ? c["f64"]["forward"] : forward;
  for (const char* key : {"add_noise", "scale_noise"})
    if (forward.contains(key))
      compare.same(std::string("forward.") + key, noised,
                   numbers(recorded.contains(key) ? recorded[key] : forward[key]));
  // EulerDiscreteScheduler.get_velocity indexes its table with the position in the schedule.
  if (forward.contains("get_velocity") && c["config"]["_class_name"] != "EulerDiscreteScheduler")
    compare.same("forward.get_velocity", velocity,
                 numbers(recorded.contains("get_velocity") ? recorded["get_velocity"]
                                                           : forward["get_velocity"]));
}

void compare_tables(const json& c, const loaded_sampler& sampler, comparison& compare) {
  compare.same("timesteps", sampler.timesteps, numbers(precise(c, "timesteps")));
  if (c.contains("sigmas") && !c["sigmas"].is_null())
    compare.same("sigmas", sampler.sigmas, numbers(precise(c, "sigmas")));
  if (c.contains("init_noise_sigma"))
    compare.same("init_noise_sigma", sampler.init_noise_sigma,
                 precise(c, "init_noise_sigma").get<double>());
  for (const auto& [name, values] : sampler.tables) {
    const json& recorded = precise(c, name.c_str());
    const json& extra = entry(c, "extra");
    if (!recorded.is_null())
      compare.same(name, values, numbers(recorded));
    else if (extra.contains(name))
      compare.same(name, values, numbers(extra[name]));
  }
}

// Image to image starts from the fixed picture sin(1 + 0.7 i) noised with 1.25 cos(2 + 1.3 i).
void compare_begin(const json& c, const loaded_sampler& sampler, comparison& compare) {
  const std::vector<double> begin = numbers(precise(c, "x_begin"));
  const signal_noise level = sampler.plan.start.level;
  tensor ours(begin.size());
  const auto six_digits = [](double v) { return std::round(v * 1e6) / 1e6; };
  for (std::size_t i = 0; i < begin.size(); ++i) {
    const auto k = static_cast<double>(i);
    ours[i] = level.alpha * six_digits(std::sin(1 + 0.7 * k)) +
              level.sigma * six_digits(1.25 * std::cos(2 + 1.3 * k));
  }
  compare.same("x_begin", ours, begin);
}

// One noise-free step from every timestep at once.
void compare_parallel(const json& c, const loaded_sampler& sampler, comparison& compare) {
  const json& recorded =
      c["f64"].contains("batch_step") ? c["f64"]["batch_step"] : c["extra"]["batch_step"];
  const std::vector<double> samples = numbers(recorded["samples"]);
  const std::vector<double> outputs = numbers(recorded["model_outputs"]);
  const std::vector<double> expected = numbers(recorded["result"]);
  if (!compare.same_size("parallel_steps", sampler.parallel_steps.size(), sampler.timesteps.size()))
    return;
  const std::size_t length = samples.size() / sampler.timesteps.size();
  for (std::size_t k = 0; k < sampler.parallel_steps.size(); ++k) {
    loaded_sampler one = sampler;
    one.plan = sampler.parallel_steps[k];
    const auto part = [&](const std::vector<double>& all) {
      return tensor(all.begin() + static_cast<std::ptrdiff_t>(k * length),
                    all.begin() + static_cast<std::ptrdiff_t>((k + 1) * length));
    };
    network replayed;
    replayed.output = [&](std::span<const double>, double) { return part(outputs); };
    compare.same("batch_step[" + std::to_string(k) + "]",
                 run(one, part(samples), 1, replayed, {}).result, part(expected));
  }
}

// Channels of both network outputs, item by item.
tensor channels(const tensor& output, const tensor& variance, std::size_t items) {
  const auto length = static_cast<std::ptrdiff_t>(output.size() / items);
  tensor both;
  for (std::size_t i = 0; i < items; ++i)
    for (const tensor* part : {&output, &variance}) {
      const auto first = part->begin() + static_cast<std::ptrdiff_t>(i) * length;
      both.insert(both.end(), first, first + length);
    }
  return both;
}

// Values that are recorded in shipped precision only are held to a multiple of its noise floor.
void compare_loosely(const json& c, const trace& t, std::size_t items, comparison& compare) {
  const double floor = c.value("max_rel_diff_f32_f64", 0.0);
  const double loose = std::max(1e-4, 1e3 * floor);
  const json& outputs = entry(c, "model_outputs");
  const json& times = entry(c, "model_t");
  if (!times.is_null()) {
    // Interpolated in shipped precision; exact where every listed timestep is asked in turn.
    const std::vector<double> recorded = numbers(times);
    compare.near("model_t", t.times, recorded, std::max(0.02, loose));
    const std::vector<double> listed = numbers(precise(c, "timesteps"));
    if (c.value("driver", "") == "standard" && t.times.size() == listed.size() &&
        recorded == numbers(entry(c, "timesteps")))
      compare.same("model_t", t.times, listed);
  }
  if (outputs.is_array() && compare.same_size("model_outputs", t.outputs.size(), outputs.size()))
    for (std::size_t i = 0; i < outputs.size(); ++i)
      compare.near(
          "model_outputs[" + std::to_string(i) + "]",
          t.variances[i].empty() ? t.outputs[i] : channels(t.outputs[i], t.variances[i], items),
          numbers(outputs[i]), loose);
  const json& previews = entry(c, "pred_original");
  if (previews.is_array() && compare.same_size("pred_original", t.previews.size(), previews.size()))
    for (std::size_t i = 0; i < previews.size(); ++i)
      compare.near("pred_original[" + std::to_string(i) + "]", t.previews[i], numbers(previews[i]),
                   loose);
}

// The sample after every step() of the reference: our marks, or the states the network is asked
// about where the reference counts every network call as a step.
std::vector<tensor> trajectory_of(const trace& t, std::size_t count) {
  if (t.marks.size() == count) return t.marks;
  if (t.states.size() != count) return t.marks;
  std::vector<tensor> states(t.states.begin() + 1, t.states.end());
  states.push_back(t.result);
  return states;
}

void replay_case(const json& c, outcome& o) {
  comparison compare;
  one_of("driver", c.value("driver", "standard"),
         {"standard", "unclip", "parallel", "cog_dpm", "repaint", "wuerstchen", "sde_vp", "sde_ve",
          "karras_ve", "flowmap", "helios_dmd"});
  const loaded_sampler sampler = huggingface::scheduler(plain(c["config"]), request_of(c));
  compare_tables(c, sampler, compare);
  compare_forward(c, sampler, compare);
  tensor x = numbers(entry(c, "x_init"));
  if (c.contains("x_begin")) {
    compare_begin(c, sampler, compare);
    x = numbers(precise(c, "x_begin"));
  }
  inpainting known;
  if (c.contains("extra") && c["extra"].contains("mask"))
    known = {numbers(c["extra"]["original_image"]), numbers(c["extra"]["mask"])};
  const auto items = c["shape"][0].get<std::size_t>();
  const std::vector<tensor> noises = tensors(c["noises"]);
  const trace t = run(sampler, x, items, test_network(c["model"]), noises, known);

  if (c.contains("scaled_input_first") && !t.inputs.empty())
    compare.near("scaled_input_first", t.inputs.front(), numbers(precise(c, "scaled_input_first")),
                 c["f64"].contains("scaled_input_first")
                     ? 1e-9
                     : std::max(1e-5, 1e3 * c.value("max_rel_diff_f32_f64", 0.0)));
  const std::vector<tensor> trajectory = tensors(precise(c, "trajectory"));
  compare.same("trajectory", trajectory_of(t, trajectory.size()), trajectory);
  compare_loosely(c, t, items, compare);
  const std::size_t corrections =
      sampler.correction ? static_cast<std::size_t>(sampler.correction->steps) : 0;
  compare.same_size("draws", sampler.plan.draws.size() * (corrections + 1), noises.size());
  if (c.contains("extra") && c["extra"].contains("batch_step"))
    compare_parallel(c, sampler, compare);
  compare.into(o);
}

}  // namespace

std::vector<outcome> replay_diffusers(const json& file, const std::string&) {
  std::vector<outcome> outcomes;
  for (const json& c : file["cases"]) {
    outcome o;
    o.id = c.value("id", "");
    o.subject = c["config"].value("_class_name", "");
    o.group = group_of(c);
    try {
      replay_case(c, o);
    } catch (const std::exception& error) {
      o.result = verdict::failed;
      o.message = error.what();
    }
    outcomes.push_back(std::move(o));
  }
  return outcomes;
}

std::vector<outcome> replay_diffusers_quirks(const json& file, const std::string&) {
  std::vector<outcome> outcomes;
  for (const json& c : file["cases"]) {
    outcome o;
    o.subject = c["scheduler"];
    o.group = "quirks";
    o.id = o.subject + ": " + c.value("note", "");
    nlohmann::json config = plain(c["config"]);
    config["_class_name"] = o.subject;
    const bool runs = c["f64"].value("outcome", "") == "finite";
    try {
      const loaded_sampler sampler = huggingface::scheduler(config, request_of(c));
      const std::vector<tensor> noises(sampler.plan.draws.size(), tensor(8, 0.1));
      const trace t = run(sampler, tensor{0.3, -1.2, 0.8, 2.1, -0.4, 0.9, -0.7, 1.5}, 2,
                          test_network("a"), noises);
      comparison compare;
      for (const double v : t.result)
        if (!std::isfinite(v)) compare.fail("result is not finite");
      compare.into(o);
      if (!runs && o.result == verdict::passed) {
        o.result = verdict::skipped;
        o.message =
            "the reference " + c["f64"].value("outcome", "") + "; here the result is finite";
      }
    } catch (const std::invalid_argument& error) {
      o.result = runs ? verdict::failed : verdict::skipped;
      o.message = (runs ? "" : "the reference " + c["f64"].value("outcome", "") + "; here: ") +
                  std::string(error.what());
    }
    outcomes.push_back(std::move(o));
  }
  return outcomes;
}

}  // namespace reference
