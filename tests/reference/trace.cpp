#include "trace.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <variant>

#include <Eigen/Core>

#include "tweedie/interop/huggingface/start.hpp"
#include "tweedie/solve/langevin.hpp"

namespace reference {
namespace {

using namespace tweedie;
using huggingface::loaded_sampler;
using batch = Eigen::MatrixXd;  // one column an item

// Noises in the order in which the reference drew them: before each of its own draws, those of the
// Langevin corrections.
struct recorded_noise {
  const std::vector<tensor>* noises;
  int corrections = 0;
  std::size_t* used;

  const tensor& at(std::size_t index) const {
    if (index >= noises->size())
      throw std::runtime_error("noise " + std::to_string(index) + " was not recorded");
    *used = std::max(*used, index + 1);
    return (*noises)[index];
  }
  const tensor& correction(std::size_t step, int k) const {
    return at(step * static_cast<std::size_t>(corrections + 1) + static_cast<std::size_t>(k));
  }
  const tensor& draw(int number) const {
    return correction(static_cast<std::size_t>(number), corrections);
  }

  template <class S>
  void fill(const noise_request& request, std::span<S> out) const {
    std::copy_n(draw(request.draw).begin(), out.size(), out.begin());
  }
};

std::span<const double> values(const auto& view) {
  return {view.data(), static_cast<std::size_t>(view.size())};
}
tensor copy(std::span<const double> v) { return {v.begin(), v.end()}; }

tensor preview_of(const loaded_sampler& sampler, const huggingface::preview& p, const node& at,
                  const tensor& state, tensor clean, const tensor& output, std::size_t items,
                  const recorded_noise& noise) {
  if (const auto* limits = std::get_if<huggingface::clip_range>(&sampler.transform))
    for (double& v : clean) v = std::clamp(v, -limits->range, limits->range);
  if (const auto* threshold = std::get_if<dynamic_threshold>(&sampler.transform)) {
    dynamic_threshold copied = *threshold;
    if (p.clean != 0) copied(std::span<double>(clean), items, at);
  }
  state_output z;
  if (p.noise != 0) {
    const double c = sampler.network.input_scale(at);
    z = noise_from(at.level,
                   sampler.network.prediction({at.time, {c * at.level.alpha, c * at.level.sigma}}));
  }
  tensor shown(state.size());
  for (std::size_t i = 0; i < shown.size(); ++i) {
    shown[i] = (p.state + p.noise * z.x) * state[i] + (p.output + p.noise * z.y) * output[i];
    if (p.clean != 0) shown[i] += p.clean * clean[i];
    if (p.draw != 0) shown[i] += p.draw * noise.draw(p.draw_index)[i];
  }
  return shown;
}

}  // namespace

trace run(const loaded_sampler& sampler, const tensor& x, std::size_t items, const network& model,
          const std::vector<tensor>& noises, const inpainting& known) {
  trace t;
  const int corrections = sampler.correction ? sampler.correction->steps : 0;
  const recorded_noise noise{&noises, corrections, &t.noises_used};
  const auto length = static_cast<Eigen::Index>(x.size() / items);
  const batch initial = Eigen::Map<const batch>(x.data(), length, static_cast<Eigen::Index>(items));
  auto s = huggingface::start(sampler, initial, noise);
  std::size_t steps = 0;

  const auto ask = [&] {
    const std::span<const double> input = values(s.input());
    const tensor output = model.output(input, s.network_time());
    t.inputs.push_back(copy(input));
    t.times.push_back(s.network_time());
    t.outputs.push_back(output);
    t.variances.push_back(model.variance ? model.variance(input) : tensor{});
    return output;
  };

  for (auto event = s.advance(); event != sampling_event::finished; event = s.advance()) {
    if (event == sampling_event::evaluate) {
      for (int k = 0; k < corrections; ++k) {
        const tensor score = ask();
        auto state = s.state();
        langevin(std::span<double>(state.data(), x.size()), score, noise.correction(steps, k),
                 items, sampler.correction->snr);
        t.states.push_back(copy(values(s.state())));
        t.marks.push_back(t.states.back());
      }
      const tensor output = ask();
      const tensor state = copy(values(s.state()));
      std::copy(output.begin(), output.end(), s.output().data());
      if (!t.variances.back().empty()) {
        tensor v = t.variances.back();
        if (sampler.second_output == huggingface::variance_output::variance)
          for (double& value : v) value = std::log(value);
        bool learned = false;
        for (const draw_kind& d : sampler.plan.draws) learned = learned || d.learned;
        if (learned) std::copy(v.begin(), v.end(), s.variance_output().data());
      }
      huggingface::preview p;
      if (t.previews.size() < sampler.previews.size()) p = sampler.previews[t.previews.size()];
      batch clean(initial);
      if (p.clean != 0) {
        try {
          s.estimate(clean);
        } catch (const std::invalid_argument&) {
          clean.setConstant(std::nan(""));  // the network's output does not determine x0 here
        }
      }
      t.previews.push_back(
          preview_of(sampler, p, s.at(), state, copy(values(clean)), output, items, noise));
      t.states.push_back(state);
    } else {
      if (!sampler.masked.empty())
        huggingface::paste_known(sampler, steps, s, noise, std::span<const double>(known.original),
                                 std::span<const double>(known.mask), items);
      t.marks.push_back(copy(values(s.state())));
      ++steps;
    }
  }
  t.result = copy(values(s.state()));
  return t;
}

}  // namespace reference
