// Predictor-corrector multistep planners: UniPC and every stochastic or deterministic exponential
// Adams pair.
//
// The network is asked at the predicted sample, as in any multistep method. Its answer then first
// corrects the step that led there (Adams-Moulton: the new output is one more node of the
// polynomial, at s = 1), and the next prediction starts from the corrected sample. One evaluation a
// step, one order gained:
//
//   predict  x'_{i+1} = state * x_i + gain * sum_j a_j P_{i-j} + noise * w_i
//   ask      P_{i+1} = P(x'_{i+1})
//   correct  x_{i+1}  = state * x_i + gain * (b_0 P_{i+1} + sum_j b_j P_{i+1-j}) + noise * w_i
//
// UniPC-p (Zhao et al. 2023, theorem 3.1 and appendix C). Its p equations R(r) a = b fix the weights
// of polynomial interpolation; only the two-point formulas, UniP-2 and UniC-1, keep a free choice of
// B(h), which is second_order_term: bh1 (B = h) is `leading`, bh2 (B = e^h - 1) is `halved`, and
// varying coefficients are `exact`. UniP-p has order p, UniPC-p order p + 1.
#pragma once

#include "tweedie/sampler/multistep.hpp"
#include "tweedie/sampler/walk.hpp"

namespace tweedie {

/// What happens in one step from node i to node i + 1.
struct adams_step {
  int predictor = 1;  ///< outputs in the predictor's polynomial: its order
  int corrector =
      0;  ///< outputs in the corrector's, the new one included; 0 leaves the step as it is
};

/// Predicts and corrects. Where the step has no next evaluation (the last one), only the predictor
/// runs. Numbers of outputs above what is known are lowered to it.
inline program predictor_corrector(const legs& steps, std::span<const adams_step> orders,
                                   const multistep_model& model = {});

/// UniPC-p: predictor of order p, corrector with one output more.
inline program unipc(const legs& steps, int order = 2,
                     second_order_term second = second_order_term::halved,
                     plane_row row = clean_row) {
  constexpr const char* name = "unipc";
  std::vector<adams_step> orders;
  for (const int p : ramped_orders(steps, order, name)) orders.push_back({p, p + 1});
  return predictor_corrector(steps, orders, {.row = row, .second = second, .caller = name});
}

/// UniP-p: the predictor alone.
inline program unip(const legs& steps, int order = 2,
                    second_order_term second = second_order_term::halved,
                    plane_row row = clean_row) {
  constexpr const char* name = "unip";
  return multistep(steps, ramped_orders(steps, order, name),
                   {.row = row, .second = second, .caller = name});
}

inline program predictor_corrector(const legs& steps, std::span<const adams_step> orders,
                                   const multistep_model& model) {
  const char* const name = model.caller ? model.caller : "predictor_corrector";
  detail::check_row(name, model.row, steps);
  if (orders.size() != steps.size())
    detail::fail(name, "steps", static_cast<double>(orders.size()),
                 "valid: one for each step, steps = " + std::to_string(steps.size()));
  const detail::lambda_polynomial polynomial{model};
  linear certain;  // the part of the last step that does not depend on outputs
  exponential_step last;
  detail::output_history outputs;
  return walk_anywhere(name, steps, [&](recorder& r, linear x, const leg& l, std::size_t i) {
    const node& from = l.from;
    const node& to = l.to;
    detail::require(orders[i].predictor >= 1, name, "predictor", orders[i].predictor,
                    "valid: predictor >= 1");
    const estimate e = r.evaluate(x, from);
    const linear output = detail::output_of(e, x, from, model.row, model.noise);
    if (i > 0 && orders[i - 1].corrector > 0 && last.gain != 0) {
      x = certain + last.gain * detail::mean_output(polynomial, outputs, orders[i - 1].corrector,
                                                    steps[i - 1].from, from, last, &output);
      r.store(x);
    }
    outputs.push_back({from, output});

    const double tau = model.stochasticity ? model.stochasticity(from) : 0;
    last = step_between(from.level, to.level, model.row, tau);
    certain = last.state * x;
    if (model.stochasticity) certain += last.noise * r.draw(detail::increment(from, to));
    x = certain;
    if (last.gain != 0)
      x +=
          last.gain * detail::mean_output(polynomial, outputs, orders[i].predictor, from, to, last);
    return x;
  });
}

}  // namespace tweedie
