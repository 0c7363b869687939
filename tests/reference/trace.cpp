#include "trace.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "tweedie/program/bind.hpp"

namespace reference {
namespace {

using namespace tweedie;
using huggingface::loaded_sampler;

// Linear interpolation between order statistics, as torch.quantile.
double quantile(std::vector<double> values, double ratio) {
  std::sort(values.begin(), values.end());
  const double rank = ratio * static_cast<double>(values.size() - 1);
  const auto low = static_cast<std::size_t>(rank);
  const std::size_t high = std::min(low + 1, values.size() - 1);
  return values[low] + (rank - static_cast<double>(low)) * (values[high] - values[low]);
}

void transform(const huggingface::clean_transform& how, tensor& x0, std::size_t items) {
  if (const auto* clip = std::get_if<huggingface::clip_range>(&how)) {
    for (double& v : x0) v = std::clamp(v, -clip->range, clip->range);
  } else if (const auto* threshold = std::get_if<huggingface::dynamic_threshold>(&how)) {
    const std::size_t length = x0.size() / items;
    for (std::size_t i = 0; i < items; ++i) {
      const std::span<double> item(x0.data() + i * length, length);
      std::vector<double> size;
      for (const double v : item) size.push_back(std::abs(v));
      const double s = std::min(std::max(quantile(size, threshold->ratio), 1.0), threshold->maximum);
      for (double& v : item) v = std::clamp(v, -s, s) / s;
    }
  }
}

}  // namespace

trace run(const loaded_sampler& sampler, tensor x, std::size_t items, const network& model,
          const std::vector<tensor>& noises, const inpainting& known) {
  const bool transformed = !std::holds_alternative<std::monostate>(sampler.transform);
  const bound_program plan = bind(sampler.plan, sampler.network,
                                  transformed ? clean_estimate::transformed : clean_estimate::linear);
  const std::size_t n = x.size();
  trace t;
  std::vector<tensor> registers(static_cast<std::size_t>(plan.registers), tensor(n));
  registers[0] = std::move(x);
  std::size_t evaluations = 0;
  std::size_t marks = 0;
  tensor output(n), x0(n), variance(n);
  const auto noise = [&](int draw) {
    t.draws = std::max(t.draws, static_cast<std::size_t>(draw) + 1);
    if (static_cast<std::size_t>(draw) >= noises.size())
      throw std::runtime_error("draw " + std::to_string(draw) + " was not recorded");
    tensor z = noises[static_cast<std::size_t>(draw)];
    const draw_kind& kind = plan.draws[static_cast<std::size_t>(draw)];
    if (kind.learned)
      for (std::size_t i = 0; i < n; ++i)
        z[i] *= std::exp(((1 + variance[i]) * kind.log_upper + (1 - variance[i]) * kind.log_lower) / 4);
    return z;
  };

  for (const bound_stage& s : plan.stages) {
    if (s.evaluates) {
      const tensor& state = registers[static_cast<std::size_t>(s.state)];
      tensor input(n);
      for (std::size_t i = 0; i < n; ++i) input[i] = s.input_scale * state[i];
      output = model.output(input, s.time);
      if (model.variance) {
        variance = model.variance(input);
        t.variances.push_back(variance);
        if (sampler.second_output == huggingface::variance_output::variance)
          for (double& v : variance) v = std::log(v);
      } else {
        t.variances.emplace_back();
      }
      for (std::size_t i = 0; i < n; ++i) x0[i] = s.clean.x * state[i] + s.clean.y * output[i];
      transform(sampler.transform, x0, items);
      huggingface::preview p;
      if (evaluations < sampler.previews.size()) p = sampler.previews[evaluations];
      tensor shown(n);
      for (std::size_t i = 0; i < n; ++i) {
        shown[i] = p.state * state[i] + p.output * output[i];
        if (p.clean != 0) shown[i] += p.clean * x0[i];
      }
      if (p.draw != 0) {
        const tensor z = noise(p.draw_index);
        for (std::size_t i = 0; i < n; ++i) shown[i] += p.draw * z[i];
      }
      t.states.push_back(state);
      t.inputs.push_back(std::move(input));
      t.times.push_back(s.time);
      t.outputs.push_back(output);
      t.previews.push_back(std::move(shown));
      ++evaluations;
    }
    std::vector<tensor> inputs;
    for (const operand& in : s.pass.inputs) {
      switch (in.from) {
        case source::stored: inputs.push_back(registers[static_cast<std::size_t>(in.index)]); break;
        case source::clean: inputs.push_back(x0); break;
        case source::output: inputs.push_back(output); break;
        case source::draw: inputs.push_back(noise(in.index)); break;
        case source::noise: break;
      }
    }
    for (std::size_t j = 0; j < s.pass.outputs.size(); ++j) {
      tensor& to = registers[static_cast<std::size_t>(s.pass.outputs[j])];
      to.assign(n, 0);
      for (std::size_t k = 0; k < inputs.size(); ++k) {
        const double w = s.pass.weight(j, k);
        if (w == 0) continue;
        for (std::size_t i = 0; i < n; ++i) to[i] += w * inputs[k][i];
      }
    }
    if (s.mark) {
      tensor& state = registers[static_cast<std::size_t>(s.mark->state)];
      for (const huggingface::masked_mark& m : sampler.masked)
        if (m.mark == marks) {
          const tensor z = noise(m.draw_index);
          for (std::size_t i = 0; i < n; ++i)
            state[i] = known.mask[i] * (m.level.alpha * known.original[i] + m.level.sigma * z[i]) +
                       (1 - known.mask[i]) * state[i];
        }
      t.marks.push_back(state);
      ++marks;
    }
  }
  t.result = registers[static_cast<std::size_t>(plan.result)];
  return t;
}

}  // namespace reference
