// Losses with gradients against a loop that reads and writes the same streams and adds; those with
// exponentials also against the loop one would write by hand for them with Eigen's packets.
#include <array>
#include <string>

#include "comparison.hpp"
#include "streams.hpp"
#include "tweedie/objective/adversarial.hpp"
#include "tweedie/objective/regression.hpp"
#include "tweedie/objective/variational_bound.hpp"

namespace {

using namespace tweedie;
using comparison::pair;
using comparison::reach;

constexpr std::size_t items = 16;
constexpr std::size_t large = 4 << 20;   // 16 MB a tensor, beyond the caches
constexpr std::size_t small = 16 << 10;  // 64 kB a tensor, in the second-level cache

using Eigen::internal::padd;
using Eigen::internal::pexp;
using Eigen::internal::pmul;
using Eigen::internal::psub;
using lanes = Eigen::internal::packet_traits<float>::type;
constexpr std::size_t lane_count = Eigen::internal::packet_traits<float>::size;
lanes load(const float* from) { return Eigen::internal::ploadu<lanes>(from); }
lanes constant(double value) { return Eigen::internal::pset1<lanes>(static_cast<float>(value)); }

// Every output becomes the sum of the inputs.
template <std::size_t Inputs, std::size_t Outputs>
[[gnu::noinline]] void memory_bound(std::array<const float*, Inputs> in,
                                    std::array<float*, Outputs> out, std::size_t n) {
  for (std::size_t i = 0; i < n; i += lane_count) {
    lanes sum = load(in[0] + i);
    for (std::size_t k = 1; k < Inputs; ++k) sum = padd(sum, load(in[k] + i));
    for (float* to : out) Eigen::internal::pstoreu(to + i, sum);
  }
}

// softplus(-l) and its slope times `scale`.
[[gnu::noinline]] float softplus_by_hand(const float* logits, float* gradient, double scale,
                                         std::size_t n) {
  lanes sum = constant(0);
  for (std::size_t i = 0; i < n; i += lane_count) {
    const lanes l = Eigen::internal::pnegate(load(logits + i));
    const lanes e = pexp(Eigen::internal::pnegate(Eigen::internal::pabs(l)));
    const lanes whole = padd(constant(1), e);
    sum = padd(sum, padd(Eigen::internal::pmax(l, constant(0)), Eigen::internal::plog(whole)));
    const lanes top =
        Eigen::internal::pselect(Eigen::internal::pcmp_le(constant(0), l), constant(1), e);
    Eigen::internal::pstoreu(gradient + i,
                             pmul(constant(-scale), Eigen::internal::pdiv(top, whole)));
  }
  return Eigen::internal::predux(sum);
}

// Twice the term of a variance l = offset + slope v and its slopes.
[[gnu::noinline]] float bound_by_hand(streams<float>& m, const bound_item& item, std::size_t n) {
  const double log_v = item.step.posterior_log_variance;
  lanes sum = constant(0);
  for (std::size_t i = 0; i < n; i += lane_count) {
    const lanes l = padd(constant(item.log_variance.offset),
                         pmul(constant(item.log_variance.slope), load(m[1] + i)));
    const lanes precision = pexp(Eigen::internal::pnegate(l));
    const lanes r = pmul(constant(item.gain), psub(load(m[0] + i), load(m[2] + i)));
    const lanes weighted = pmul(r, precision);
    const lanes ratio = padd(pmul(constant(std::exp(log_v)), precision), pmul(r, weighted));
    Eigen::internal::pstoreu(m[3] + i, pmul(constant(item.gain), weighted));
    Eigen::internal::pstoreu(
        m[4] + i, pmul(constant(-item.log_variance.slope / 2), psub(ratio, constant(1))));
    sum = padd(sum, padd(psub(ratio, constant(1 + log_v)), l));
  }
  return Eigen::internal::predux(sum);
}

auto batch_of(streams<float>& m, std::size_t i) {
  return batch_view{std::span<float>(m.tensors[i]), items};
}

constexpr reduction mean = reduction::mean_over_dimensions;

template <class Metric>
void regression_row(const std::string& name, std::size_t n, const Metric& metric) {
  comparison::add({name, "reading two tensors, writing one", reach::at_most, 1.3}, [=] {
    auto m = make_streams<float>(3, n);
    return pair{[=] {
                  const std::vector<double> weights(items, 0.5);
                  benchmark::DoNotOptimize(regression(batch_of(*m, 0), batch_of(*m, 1), weights,
                                                      metric, mean, batch_of(*m, 2)));
                },
                [=] {
                  memory_bound<2, 1>({(*m)[0], (*m)[1]}, {(*m)[2]}, n);
                }};
  });
}

void hinge_row(const std::string& name, adversarial_part part) {
  comparison::add({name, "reading one tensor, writing one", reach::at_most, 1.3}, [=] {
    auto m = make_streams<float>(2, large);
    return pair{[=] {
                  benchmark::DoNotOptimize(adversarial_losses(hinge_game{}, part, batch_of(*m, 0),
                                                              mean, batch_of(*m, 1)));
                },
                [=] { memory_bound<1, 1>({(*m)[0]}, {(*m)[1]}, large); }};
  });
}

std::vector<bound_item> items_of_bound(bound_variance kind) {
  const std::vector<signal_noise> levels = {{0.6, 0.8}, {0.7, std::sqrt(0.51)}, {0.8, 0.6}, {1, 0}};
  return std::vector<bound_item>(items, make_bound_item(bound_steps(levels)[1], {0, 1}, kind));
}

void fixed_variance_row() {
  comparison::add(
      {"bound term with gradient, 4 M", "reading two tensors, writing one", reach::at_most, 1.3},
      [] {
        auto m = make_streams<float>(3, large);
        const auto terms = items_of_bound(bound_variance::fixed_small);
        return pair{[=] {
                      benchmark::DoNotOptimize(
                          bound_terms(batch_of(*m, 0), batch_of(*m, 1), batch_of(*m, 1), terms,
                                      discretised_gaussian(), mean, batch_of(*m, 2)));
                    },
                    [=] {
                      memory_bound<2, 1>({(*m)[0], (*m)[1]}, {(*m)[2]}, large);
                    }};
      });
}

template <class Theirs>
void learned_variance_row(const std::string& against, const Theirs& theirs) {
  comparison::add(
      {"bound term, learned variance, with gradients, 4 M", against, reach::at_most, 1.3}, [=] {
        auto m = make_streams<float>(5, large);
        const auto terms = items_of_bound(bound_variance::learned_range);
        return pair{[=] {
                      benchmark::DoNotOptimize(learned_variance_bound_terms(
                          batch_of(*m, 0), batch_of(*m, 1), batch_of(*m, 2), batch_of(*m, 2), terms,
                          discretised_gaussian(), mean, batch_of(*m, 3), batch_of(*m, 4)));
                    },
                    [=] { theirs(*m, terms[0]); }};
      });
}

template <class Theirs>
void softplus_row(const std::string& against, const Theirs& theirs) {
  comparison::add({"softplus of logits with gradient, 4 M", against, reach::at_most, 1.3}, [=] {
    auto m = make_streams<float>(2, large);
    return pair{[=] {
                  benchmark::DoNotOptimize(
                      adversarial_losses(non_saturating_game{}, adversarial_part::generator,
                                         batch_of(*m, 0), mean, batch_of(*m, 1)));
                },
                [=] { theirs(*m); }};
  });
}

}  // namespace

void register_losses() {
  regression_row("squared error with gradient, 4 M", large, squared_error{});
  regression_row("squared error with gradient, 16 k", small, squared_error{});
  regression_row("pseudo-Huber error with gradient, 4 M", large, pseudo_huber_error(0.1));
  hinge_row("hinge of real logits with gradient, 4 M", adversarial_part::real);
  hinge_row("hinge of the generator with gradient, 4 M", adversarial_part::generator);
  softplus_row("reading one tensor, writing one",
               [](streams<float>& m) { memory_bound<1, 1>({m[0]}, {m[1]}, large); });
  softplus_row("packet loop with Eigen's exp and log", [](streams<float>& m) {
    benchmark::DoNotOptimize(softplus_by_hand(m[0], m[1], 1.0 / large, large));
  });
  fixed_variance_row();
  learned_variance_row("reading three tensors, writing two",
                       [](streams<float>& m, const bound_item&) {
                         memory_bound<3, 2>({m[0], m[1], m[2]}, {m[3], m[4]}, large);
                       });
  learned_variance_row("packet loop with Eigen's exp",
                       [](streams<float>& m, const bound_item& item) {
                         benchmark::DoNotOptimize(bound_by_hand(m, item, large));
                       });
}
