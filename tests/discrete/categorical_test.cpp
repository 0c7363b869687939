// Rows of logits: one reading against long double sums, sampling against the distribution function.
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "refusal.hpp"
#include "tweedie/discrete/categorical.hpp"

namespace tweedie::discrete {
namespace {

template <class S>
std::vector<S> row_of(std::size_t count, unsigned seed, double spread) {
  std::mt19937 engine(seed);
  std::normal_distribution<double> normal(0, spread);
  std::vector<S> row(count);
  for (S& x : row) x = static_cast<S>(static_cast<float>(normal(engine)));
  return row;
}

struct exact_reading {
  long double log_sum = 0, entropy = 0;
};
template <class S>
exact_reading exact(const std::vector<S>& row, long double scale) {
  long double max = -INFINITY, sum = 0, entropy = 0;
  for (const S x : row)
    max = std::max(max, static_cast<long double>(static_cast<double>(x)) * scale);
  for (const S x : row) sum += std::exp(static_cast<double>(x) * scale - max);
  const long double log_sum = max + std::log(sum);
  for (const S x : row) {
    const long double log_p = static_cast<double>(x) * scale - log_sum;
    if (std::exp(log_p) > 0) entropy -= log_p * std::exp(log_p);
  }
  return {log_sum, entropy};
}

// Sampling inverts the distribution function at T: it is asked just inside both ends of the interval of
// every token that is not unlikely.
template <class S>
void expect_samples_of(const row_reader& reader, const std::vector<S>& row, double temperature) {
  const double rounding = std::is_same_v<S, double> ? 1e-13 : 1e-6;
  const exact_reading law = exact(row, 1.0L / temperature);
  long double before = 0;
  for (std::size_t k = 0; k < row.size(); ++k) {
    const double p = static_cast<double>(std::exp(
        static_cast<double>(row[k]) / static_cast<long double>(temperature) - law.log_sum));
    const auto first = static_cast<double>(before);
    if (p > 1e-4) {
      EXPECT_EQ(reader.sample(row.data(), first + rounding), static_cast<token>(k));
      EXPECT_EQ(reader.sample(row.data(), first + p - rounding), static_cast<token>(k));
    }
    before += p;
  }
}

template <class S>
class RowReader : public testing::Test {};
using scalars = testing::Types<float, double, float16, bfloat16>;
TYPED_TEST_SUITE(RowReader, scalars);

TYPED_TEST(RowReader, AgreesWithLongSums) {
  const double tolerance = std::is_same_v<TypeParam, double> ? 1e-13 : 3e-6;
  for (const std::size_t count : {1, 2, 7, 33, 2047, 2048, 2049, 5000}) {
    for (const double spread : {0.1, 3.0, 30.0}) {
      std::vector<TypeParam> row = row_of<TypeParam>(count, 7, spread);
      if (count > 4) row[3] = static_cast<TypeParam>(-INFINITY);
      row_reader reader;
      const row_reading& r = reader.read(row.data(), count, {.temperature = 0.7, .shape = true});
      EXPECT_NEAR(r.log_sum, static_cast<double>(exact(row, 1).log_sum), tolerance * (1 + spread));
      EXPECT_NEAR(r.entropy, static_cast<double>(exact(row, 1).entropy), 10 * tolerance);
      const auto best = std::max_element(row.begin(), row.end(), [](TypeParam a, TypeParam b) {
        return static_cast<double>(a) < static_cast<double>(b);
      });
      EXPECT_EQ(reader.best(row.data()), best - row.begin());
      double second = -INFINITY;
      for (auto it = row.begin(); it != row.end(); ++it)
        if (it != best) second = std::max(second, static_cast<double>(*it));
      EXPECT_EQ(r.runner_up, second);
      if (count <= 64 || count >= 5000) expect_samples_of(reader, row, 0.7);
    }
  }
}

TYPED_TEST(RowReader, RefusesRowsThatAreNoDistribution) {
  for (const std::size_t count : {5, 100, 3000}) {
    std::vector<TypeParam> row = row_of<TypeParam>(count, 1, 1);
    row[count - 2] = static_cast<TypeParam>(NAN);
    row_reader reader;
    EXPECT_EQ(refusal([&] { reader.read(row.data(), count, {}, "step", 4); }),
              "step: a logit of row 4 = nan; valid: finite or -inf");
    row[count - 2] = static_cast<TypeParam>(INFINITY);
    EXPECT_EQ(refusal([&] { reader.read(row.data(), count, {}, "step", 4); }),
              "step: a logit of row 4 = inf; valid: finite or -inf");
    std::fill(row.begin(), row.end(), static_cast<TypeParam>(-INFINITY));
    EXPECT_EQ(refusal([&] { reader.read(row.data(), count, {}, "step", 4); }),
              "step: row 4 has nothing but -inf");
  }
}

// What is not asked for costs nothing and changes nothing else.
TYPED_TEST(RowReader, SumsDoNotDependOnWhatElseIsWanted) {
  const std::vector<TypeParam> row = row_of<TypeParam>(5000, 3, 4);
  row_reader all, few;
  for (const double temperature : {1.0, 0.6}) {
    const row_reading a =
        all.read(row.data(), row.size(), {.temperature = temperature, .shape = true});
    const row_reading b = few.read(row.data(), row.size(), {.temperature = temperature});
    EXPECT_EQ(a.log_sum, b.log_sum);
    EXPECT_EQ(a.max, b.max);
    EXPECT_EQ(all.best(row.data()), few.best(row.data()));
    for (double u = 0.5e-2; u < 1; u += 1e-2)
      EXPECT_EQ(all.sample(row.data(), u), few.sample(row.data(), u));
  }
}

// Tokens that cannot be are never drawn and weigh nothing, at any temperature.
TYPED_TEST(RowReader, ImpossibleTokensStaySo) {
  for (const std::size_t count : {3, 64, 3000}) {
    std::vector<TypeParam> row(count, static_cast<TypeParam>(-INFINITY));
    row[count / 3] = static_cast<TypeParam>(1.5f);
    row[count - 1] = static_cast<TypeParam>(0.5f);
    row[0] = static_cast<TypeParam>(9.f);
    row_reader reader;
    for (const double temperature : {1e-30, 0.5, 1.0, 10.0, 1e6, 1e30, 1e300}) {
      const row_reading& r =
          reader.read(row.data(), count,
                      {.temperature = temperature, .excluded = {0, static_cast<token>(count)}});
      const double p = 1 / (1 + std::exp(-1 / temperature));
      EXPECT_EQ(reader.best(row.data()), static_cast<token>(count / 3));
      EXPECT_NEAR(r.log_sum, 1.5 + std::log1p(std::exp(-1.0)), 1e-6);
      for (const double u : {0.0, 0.4, p - 1e-3, p + 1e-3, 0.999999, 1 - 0x1p-53})
        if (u < 1) {
          EXPECT_EQ(reader.sample(row.data(), u), static_cast<token>(u < p ? count / 3 : count - 1))
              << u << " at " << temperature;
        }
    }
  }
}

// The first block is far above, far below, or nothing beside the others.
TYPED_TEST(RowReader, RowsMayRiseAndFallByAnyAmount) {
  const double tolerance = std::is_same_v<TypeParam, double> ? 1e-12 : 2e-5;
  for (const double slope : {-0.04, 0.04, 2.0, -2.0}) {
    std::vector<TypeParam> row;
    for (std::size_t k = 0; k < 6000; ++k)
      row.push_back(static_cast<TypeParam>(static_cast<float>(slope * static_cast<double>(k))));
    row_reader reader;
    const row_reading& r = reader.read(row.data(), row.size(), {.temperature = 3, .shape = true});
    EXPECT_NEAR(r.log_sum, static_cast<double>(exact(row, 1).log_sum),
                tolerance * (1 + std::abs(r.log_sum) * 0.01));
    EXPECT_NEAR(r.entropy, static_cast<double>(exact(row, 1).entropy), tolerance);
    expect_samples_of(reader, row, 3);
  }
}

// The kernel's vectors of every width that this processor has, and one element at a time.
template <std::size_t N>
void expect_sums_by(const auto& read, std::size_t n, double scale) {
  constexpr float reference = 1.5f;
  std::vector<float> x = row_of<float>(n, static_cast<unsigned>(n), 9);
  x[3] = -INFINITY;
  detail::extremes<float> ends;
  detail::block_reading found;
  read(&ends, x.data(), n, reference, static_cast<float>(scale), found);
  double sum = 0, weighted = 0, tempered = 0;
  for (const float v : x) {
    const double d = static_cast<double>(v) - static_cast<double>(reference);
    sum += std::exp(d);
    weighted += d > -INFINITY ? d * std::exp(d) : 0;
    tempered += std::exp(static_cast<double>(static_cast<float>(scale)) * d);
  }
  std::sort(x.rbegin(), x.rend());
  EXPECT_EQ(found.max, static_cast<double>(x[0])) << N;
  EXPECT_EQ(ends.runner_up(), x[1]) << N;
  EXPECT_NEAR(found.sum, sum, 6e-7 * sum) << N;
  EXPECT_NEAR(found.weighted, weighted, 2e-6 * std::abs(weighted)) << N;
  EXPECT_NEAR(found.tempered, tempered, 4e-6 * tempered) << N << " at " << scale;
  x[n - 5] = NAN;
  read(&ends, x.data(), n, reference, static_cast<float>(scale), found);
  EXPECT_TRUE(std::isnan(found.sum)) << N;
}

TEST(RowKernel, EveryWidthGivesTheSums) {
  static constexpr detail::wanted_sums all{true, true, true};
  for (const double scale : {0.02, 0.7, 1.0, 2.5})
    for (const std::size_t n : {32, 96, 1024}) {
      // Always inlined, so it has no address to pass.
      const auto lanes_of = []<std::size_t N>() {
        return [](detail::extremes<float>* ends, const float* x, std::size_t count, float reference,
                  float by, detail::block_reading& out) {
          detail::read_lanes<all, N, float>(ends, x, count, reference, by, out);
        };
      };
      expect_sums_by<1>(lanes_of.operator()<1>(), n, scale);
      expect_sums_by<0>(lanes_of.operator()<tweedie::detail::lanes<float>>(), n, scale);
#if TWEEDIE_ASKS_THE_PROCESSOR
      if (tweedie::detail::has_avx2()) expect_sums_by<8>(detail::read_eights<all>, n, scale);
      if (tweedie::detail::has_avx512()) expect_sums_by<16>(detail::read_sixteens<all>, n, scale);
#endif
    }
}

TEST(Filters, KeepTheLikelyTokens) {
  std::vector<double> x = {1, 3, 2, 3, 0};
  keep_top_k(x, 2);
  EXPECT_EQ(x, (std::vector<double>{-INFINITY, 3, -INFINITY, 3, -INFINITY}));
  x = {std::log(0.1), std::log(0.5), std::log(0.4)};
  keep_top_p(x, 0.45);
  EXPECT_EQ(x, (std::vector<double>{-INFINITY, std::log(0.5), -INFINITY}));
  x = {std::log(0.1), std::log(0.5), std::log(0.4)};
  keep_top_p(x, 0.55);
  EXPECT_EQ(x, (std::vector<double>{-INFINITY, std::log(0.5), std::log(0.4)}));
  keep_top_p(x, 1e-9);
  EXPECT_EQ(x[1], std::log(0.5));
  EXPECT_EQ(x[2], -INFINITY);
  EXPECT_EQ(refusal([&] { keep_top_p(x, 0); }), "keep_top_p: p = 0; valid: p > 0");
}

}  // namespace
}  // namespace tweedie::discrete
