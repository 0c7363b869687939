// Categorical distributions given by rows of logits: normaliser, best tokens, entropy and a sample
// from one reading of a row.
//
//   p(k) = exp(x_k / T) / sum_j exp(x_j / T),   H = -sum_k p(k) log p(k)  (nats)
//
// A row is read once: exponentials are summed relative to the largest logit of the blocks before.
// Each block keeps its sum, so that inverting the distribution function afterwards reads one block
// again. A logit of -inf is a token that cannot be;
// NaN, +inf and rows without a possible token are refused.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <limits>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "tweedie/discrete/tokens.hpp"
#include "tweedie/tensor/load_store.hpp"
#include "tweedie/tensor/packet.hpp"

namespace tweedie::discrete {

/// What one reading of a row finds.
struct row_reading {
  token best = 0;               ///< most likely token, the first of equals
  double max = 0;               ///< its logit
  double runner_up = 0;         ///< second largest logit; -inf if there is none
  double log_sum = 0;           ///< log sum exp(x)
  double entropy = 0;           ///< H at T = 1
  double log_sum_tempered = 0;  ///< log sum exp(x / T)

  /// log p at T = 1 of a token with this logit.
  double log_probability(double logit) const { return logit - log_sum; }
  /// Difference of the two largest probabilities at T = 1.
  double margin() const { return std::exp(max - log_sum) - std::exp(runner_up - log_sum); }
};

/// Reads rows; keeps what a sample of the last one needs. Allocates for the first row only.
class row_reader {
 public:
  /// Reads a row of `count` logits. Reads n; the blocks are summed in the logits' arithmetic type,
  /// joined in double.
  /// \param temperature T > 0 of `sample` and log_sum_tempered.
  /// \param excluded a token that cannot be, whatever its logit; none if it is not in the row.
  /// \throws std::invalid_argument for NaN, +inf, or nothing but -inf, naming `function` and `row`.
  template <storage_scalar S>
  const row_reading& read(const S* row, std::size_t count, double temperature = 1,
                          const char* function = "row_reader", std::size_t row_number = 0,
                          token excluded = -1);

  /// The token whose part of the distribution function at T contains u in [0, 1): the first k with
  /// p(0) + ... + p(k) > u. `row` is the row that was read last.
  template <storage_scalar S>
  token sample(const S* row, double u) const;

 private:
  struct block {
    // Of the terms e^d, d = x - reference: their sum, and that of d e^d; sum of e^(d / T).
    double reference, sum, weighted, tempered;
  };
  std::vector<block> blocks_;
  row_reading reading_;
  std::size_t count_ = 0, excluded_ = 0;
  double scale_ = 1;
};

/// log p of a whole row in double, T = 1: out[k] = x_k - log sum exp(x).
template <storage_scalar S>
void log_softmax(std::span<const S> row, std::span<double> out,
                 const char* function = "log_softmax", std::size_t row_number = 0) {
  double max = -INFINITY;
  for (const S x : row) {
    const double v = static_cast<double>(x);
    if (std::isnan(v) || v == INFINITY)
      detail::fail(function, "a logit of row " + std::to_string(row_number), v,
                   "valid: finite or -inf");
    max = std::max(max, v);
  }
  if (max == -INFINITY)
    detail::fail(function, "row " + std::to_string(row_number) + " has nothing but -inf");
  double sum = 0;
  for (const S x : row) sum += std::exp(static_cast<double>(x) - max);
  const double log_sum = max + std::log(sum);
  for (std::size_t k = 0; k < row.size(); ++k) out[k] = static_cast<double>(row[k]) - log_sum;
}

/// The index of the first value with the running sum above u times the whole sum.
inline std::size_t invert_distribution(std::span<const double> weights, double u) {
  const double target = u * std::accumulate(weights.begin(), weights.end(), 0.0);
  double sum = 0;
  std::size_t last = 0;
  for (std::size_t k = 0; k < weights.size(); ++k) {
    sum += weights[k];
    if (sum > target) return k;
    if (weights[k] > 0) last = k;
  }
  return last;
}

/// Sets all but the k largest logits to -inf; equals of the k-th stay. k = 0 keeps all.
inline void keep_top_k(std::span<double> logits, std::size_t k) {
  if (k == 0 || k >= logits.size()) return;
  std::vector<double> sorted(logits.begin(), logits.end());
  std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(k - 1),
                   sorted.end(), std::greater<>());
  for (double& x : logits)
    if (x < sorted[k - 1]) x = -INFINITY;
}

/// Nucleus sampling (Holtzman et al. 2020): keeps the smallest set of most likely tokens whose
/// probability exceeds p, at least one. p >= 1 keeps all.
/// \throws std::invalid_argument unless p > 0.
inline void keep_top_p(std::span<double> logits, double p) {
  detail::require(p > 0, "keep_top_p", "p", p, "valid: p > 0");
  if (p >= 1) return;
  std::vector<std::size_t> by_size(logits.size());
  std::iota(by_size.begin(), by_size.end(), std::size_t{0});
  std::stable_sort(by_size.begin(), by_size.end(),
                   [&](std::size_t a, std::size_t b) { return logits[a] > logits[b]; });
  const double max = logits[by_size[0]];
  double whole = 0;
  for (const double x : logits) whole += std::exp(x - max);
  double before = 0;
  for (const std::size_t k : by_size) {
    const double weight = std::exp(logits[k] - max);
    if (before > p * whole) logits[k] = -INFINITY;
    before += weight;
  }
}

namespace detail {

inline constexpr std::size_t row_block = 2048;

// e^d for d in [-87, 80], to 2e-7: 2^n e^r with n = round(d / ln 2), e^r by the polynomial of
// Cephes' expf. Eigen's takes twice the instructions, for digits that sums of floats do not keep.
EIGEN_ALWAYS_INLINE tweedie::detail::packet<float> exponential(tweedie::detail::packet<float> d) {
  using packet = tweedie::detail::packet<float>;
  using Eigen::internal::padd;
  using Eigen::internal::pmadd;
  using Eigen::internal::pmul;
  using Eigen::internal::psub;
  const auto constant = [](float c) { return Eigen::internal::pset1<packet>(c); };
  constexpr float magic = 12582912.0f;  // 1.5 2^23: the sum's low bits are n
  const packet shifted = pmadd(d, constant(1.44269504f), constant(magic));
  const packet n = psub(shifted, constant(magic));
  const packet r = pmadd(n, constant(-0.693147182f), d);
  packet p = pmadd(r, constant(1.9875691500e-4f), constant(1.3981999507e-3f));
  p = pmadd(p, r, constant(8.3334519073e-3f));
  p = pmadd(p, r, constant(4.1665795894e-2f));
  p = pmadd(p, r, constant(1.6666665459e-1f));
  p = pmadd(p, r, constant(0.5f));
  p = padd(pmadd(p, pmul(r, r), r), constant(1));
  using bits = tweedie::detail::float_bits;
  return std::bit_cast<packet>(
      static_cast<bits>(std::bit_cast<bits>(p) + (std::bit_cast<bits>(shifted) << 23)));
}
// Doubles keep all their digits, one at a time.
inline tweedie::detail::packet<double> exponential(tweedie::detail::packet<double> d) {
  double values[tweedie::detail::lanes<double>];
  Eigen::internal::pstoreu(values, d);
  for (double& v : values) v = std::exp(v);
  return tweedie::detail::load(static_cast<const double*>(values));
}

// One reading of a block: largest and second largest, and the sums of e^d, d e^d and e^(s d),
// d = x - reference. Not finite: an element that is not a number, or infinite.
struct block_reading {
  double max = -INFINITY, runner_up = -INFINITY;
  double sum = 0, weighted = 0, tempered = 0;
  bool unordered = false;
};

// d is cut off where e^d and d e^d are nothing beside the largest term of the row.
template <class A>
inline constexpr A least_exponent = std::same_as<A, float> ? A(-87) : A(-700);

template <bool Tempered, storage_scalar S>
[[gnu::noinline]] block_reading read_block(const S* x, std::size_t count, arithmetic_t<S> reference,
                                           arithmetic_t<S> scale) {
  using A = arithmetic_t<S>;
  using packet = tweedie::detail::packet<A>;
  using Eigen::internal::pmadd;
  using tweedie::detail::lanes;
  using tweedie::detail::maximum;
  using tweedie::detail::minimum;
  constexpr A lowest = least_exponent<A>;
  block_reading out;
  const auto take = [&out](double v) {
    out.runner_up = std::max(out.runner_up, std::min(out.max, v));
    out.max = std::max(out.max, v);
  };
  constexpr std::size_t width = 2, step = width * lanes<A>;
  const std::size_t whole = count - count % step;
  if (whole > 0) {
    const auto constant = [](A c) { return Eigen::internal::pset1<packet>(c); };
    const packet zero = constant(0), low = constant(lowest), shift = constant(reference),
                 s = constant(scale);
    packet most[width], second[width], sum[width], weighted[width], hot[width];
    for (std::size_t p = 0; p < width; ++p) {
      most[p] = second[p] = constant(-std::numeric_limits<A>::infinity());
      sum[p] = weighted[p] = hot[p] = zero;
    }
    for (std::size_t i = 0; i < whole; i += step) {
      for (std::size_t p = 0; p < width; ++p) {
        const packet v = tweedie::detail::load(x + i + p * lanes<A>);
        __builtin_prefetch(x + i + p * lanes<A> + 1024);
        second[p] = maximum(second[p], minimum(most[p], v));
        most[p] = maximum(most[p], v);
        // NaN stays NaN here, and makes d e^d one.
        const packet d = maximum(Eigen::internal::psub(v, shift), low);
        const packet e = exponential(d);
        sum[p] = Eigen::internal::padd(sum[p], e);
        weighted[p] = pmadd(d, e, weighted[p]);
        if constexpr (Tempered)
          hot[p] =
              Eigen::internal::padd(hot[p], exponential(maximum(Eigen::internal::pmul(d, s), low)));
      }
    }
    A values[lanes<A>];
    const auto each = [&values](packet from, const auto& f) {
      Eigen::internal::pstoreu(values, from);
      for (const A v : values) f(static_cast<double>(v));
    };
    for (std::size_t p = 0; p < width; ++p) {
      each(most[p], take);
      each(second[p], take);
      each(sum[p], [&](double v) { out.sum += v; });
      each(weighted[p], [&](double v) { out.weighted += v; });
      if constexpr (Tempered) each(hot[p], [&](double v) { out.tempered += v; });
    }
  }
  for (std::size_t i = whole; i < count; ++i) {
    const A v = static_cast<A>(x[i]);
    take(static_cast<double>(v));
    const A d = std::max(v - reference, lowest);
    const A e = std::exp(d);
    out.sum += static_cast<double>(e);
    out.weighted += static_cast<double>(d * e);
    if constexpr (Tempered)
      out.tempered += static_cast<double>(std::exp(std::max(d * scale, lowest)));
  }
  if constexpr (!Tempered) out.tempered = out.sum;
  if (!std::isfinite(out.weighted))
    for (std::size_t k = 0; k < count; ++k) out.unordered |= std::isnan(static_cast<A>(x[k]));
  return out;
}

template <storage_scalar S>
arithmetic_t<S> largest(const S* x, std::size_t count) {
  using A = arithmetic_t<S>;
  A most = -std::numeric_limits<A>::infinity();
  for (std::size_t i = 0; i < count; ++i) most = std::max(most, static_cast<A>(x[i]));
  return most;
}

}  // namespace detail

template <storage_scalar S>
const row_reading& row_reader::read(const S* row, std::size_t count, double temperature,
                                    const char* function, std::size_t row_number, token excluded) {
  using A = arithmetic_t<S>;
  detail::require(temperature > 0 && std::isfinite(temperature), function, "temperature",
                  temperature, "valid: above 0");
  blocks_.clear();
  count_ = count;
  scale_ = 1 / temperature;
  excluded_ = excluded < 0 ? count : static_cast<std::size_t>(excluded);
  reading_ = {0, -INFINITY, -INFINITY, 0, 0, 0};
  std::size_t best_block = 0;
  for (std::size_t begin = 0; begin < count; begin += detail::row_block) {
    const std::size_t size = std::min(detail::row_block, count - begin);
    const S* x = row + begin;
    S copy[detail::row_block];
    if (excluded_ >= begin && excluded_ < begin + size) {
      std::copy_n(x, size, copy);
      copy[excluded_ - begin] = static_cast<S>(-std::numeric_limits<A>::infinity());
      x = copy;
    }
    // Relative to the largest so far; a block that is far above it is read again.
    A reference = static_cast<A>(reading_.max);
    if (!std::isfinite(reference)) reference = detail::largest(x, std::min<std::size_t>(size, 64));
    if (!std::isfinite(reference)) reference = 0;
    const auto read_relative = [&] {
      return temperature == 1
                 ? detail::read_block<false>(x, size, reference, A{1})
                 : detail::read_block<true>(x, size, reference, static_cast<A>(scale_));
    };
    detail::block_reading found = read_relative();
    if (found.unordered || found.max == INFINITY)
      detail::fail(function, "a logit of row " + std::to_string(row_number),
                   found.unordered ? NAN : INFINITY, "valid: finite or -inf");
    if (found.max == -INFINITY) {
      blocks_.push_back({0, 0, 0, 0});
      continue;
    }
    const double above = (found.max - static_cast<double>(reference)) * std::max(1.0, scale_);
    if (above > 40 || (reading_.max == -INFINITY && above < -40)) {
      reference = static_cast<A>(found.max);
      found = read_relative();
    }
    if (found.max > reading_.max) {
      reading_.runner_up = std::max(reading_.max, found.runner_up);
      reading_.max = found.max;
      best_block = begin;
    } else {
      reading_.runner_up = std::max(reading_.runner_up, found.max);
    }
    blocks_.push_back({static_cast<double>(reference), found.sum, found.weighted, found.tempered});
  }
  if (reading_.max == -INFINITY)
    detail::fail(function, "row " + std::to_string(row_number) + " has nothing but -inf");
  std::size_t best = best_block;
  while (best == excluded_ || static_cast<double>(row[best]) != reading_.max) ++best;
  reading_.best = static_cast<token>(best);
  double sum = 0, weighted = 0, tempered = 0;
  for (const block& b : blocks_) {
    if (b.sum == 0) continue;
    const double shift = b.reference - reading_.max;
    const double factor = std::exp(shift);
    sum += b.sum * factor;
    weighted += (b.weighted + shift * b.sum) * factor;
    tempered += b.tempered * std::exp(shift * scale_);
  }
  reading_.log_sum = reading_.max + std::log(sum);
  reading_.entropy = std::max(0.0, std::log(sum) - weighted / sum);
  reading_.log_sum_tempered = reading_.max * scale_ + std::log(tempered);
  return reading_;
}

template <storage_scalar S>
token row_reader::sample(const S* row, double u) const {
  double whole = 0;
  for (const block& b : blocks_)
    if (b.sum > 0) whole += b.tempered * std::exp((b.reference - reading_.max) * scale_);
  // The block of the wanted token, and how much of the whole lies before it.
  const double target = u * whole;
  double before = 0;
  std::size_t chosen = 0;
  for (std::size_t b = 0; b < blocks_.size(); ++b) {
    if (blocks_[b].sum == 0) continue;
    const double mass =
        blocks_[b].tempered * std::exp((blocks_[b].reference - reading_.max) * scale_);
    chosen = b;
    if (before + mass > target) break;
    before += mass;
  }
  // Parts of the block, then the elements of one part.
  constexpr std::size_t part = 256;
  const std::size_t end = std::min(count_, (chosen + 1) * detail::row_block);
  std::size_t begin = chosen * detail::row_block;
  const auto reference = static_cast<arithmetic_t<S>>(blocks_[chosen].reference);
  const double factor = std::exp((blocks_[chosen].reference - reading_.max) * scale_);
  for (; begin + part < end; begin += part) {
    if (excluded_ >= begin && excluded_ < begin + part) break;
    const double mass =
        scale_ == 1
            ? detail::read_block<false>(row + begin, part, reference, arithmetic_t<S>{1}).sum
            : detail::read_block<true>(row + begin, part, reference,
                                       static_cast<arithmetic_t<S>>(scale_))
                  .tempered;
    if (before + mass * factor > target) break;
    before += mass * factor;
  }
  std::size_t last = begin;
  for (std::size_t k = begin; k < end; ++k) {
    if (k == excluded_) continue;
    const double mass = std::exp((static_cast<double>(row[k]) - reading_.max) * scale_);
    if (mass > 0) last = k;
    before += mass;
    if (before > target) break;
  }
  return static_cast<token>(last);
}

}  // namespace tweedie::discrete
