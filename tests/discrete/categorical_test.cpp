// Rows of logits: one reading against long double sums, sampling against the distribution function.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <random>
#include <vector>

#include "refusal.hpp"
#include "tweedie/discrete/categorical.hpp"
#include "tweedie/discrete/filtered_row.hpp"

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

// Wherever a row is in memory, with whatever excluded, not a bit of what is read differs.
TYPED_TEST(RowReader, PlaceInMemoryChangesNothing) {
  constexpr std::size_t count = 2500;
  const std::vector<TypeParam> row = row_of<TypeParam>(count, 5, 4);
  // At T = 1e-5 exponents are too large for an offset.
  for (const double temperature : {1.0, 0.3, 1e-5})
    for (const std::array<token, 2> excluded : {std::array<token, 2>{-1, -1}, {3, 1500}}) {
      row_reader first;
      const row_request how = {.temperature = temperature, .shape = true, .excluded = excluded};
      const row_reading a = first.read(row.data(), count, how);
      for (std::size_t shift = 1; shift <= 16; ++shift) {
        std::vector<TypeParam> moved(shift);
        moved.insert(moved.end(), row.begin(), row.end());
        row_reader second;
        const row_reading b = second.read(moved.data() + shift, count, how);
        EXPECT_EQ(a.log_sum, b.log_sum);
        EXPECT_EQ(a.entropy, b.entropy);
        EXPECT_EQ(a.max, b.max);
        EXPECT_EQ(a.runner_up, b.runner_up);
        for (double u = 0.5e-2; u < 1; u += 1e-2)
          EXPECT_EQ(first.sample(row.data(), u), second.sample(moved.data() + shift, u));
      }
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
void expect_sums_by(const auto& read, std::size_t n, double scale, float reference) {
  std::vector<float> x = row_of<float>(n, static_cast<unsigned>(n), 9);
  x[3] = -INFINITY;
  detail::block_scales<float> by(reference, static_cast<float>(scale));
  EXPECT_NEAR(by.limit, reference + 40 / std::max(1.0, scale), 1e-5);
  by.limit = 60;
  detail::row_sums<float> all;
  detail::lane_sums mass;
  const float largest = read(x.data(), n, by, all, mass);
  double sum = 0, weighted = 0, tempered = 0;
  for (const float v : x) {
    const double d = static_cast<double>(v) - by.plain.zero;
    sum += std::exp(d);
    weighted += d > -INFINITY ? d * std::exp(d) : 0;
    tempered += std::exp(static_cast<double>(static_cast<float>(scale)) *
                         (static_cast<double>(v) - by.tempered.zero));
  }
  std::sort(x.rbegin(), x.rend());
  EXPECT_EQ(largest, x[0]) << N;
  EXPECT_EQ(all.runner_up(), x[1]) << N;
  // An exponent of the largest logit is rounded as it is large.
  const double top = (std::max)(0.0, static_cast<double>(x[0]) - by.plain.zero);
  EXPECT_NEAR(detail::sum_of_lanes(all.plain, 0), sum, (1.6e-7 + 7.5e-8 * top) * sum) << N;
  EXPECT_NEAR(detail::sum_of_lanes(all.weighted, 0) / static_cast<double>(by.plain.slope), weighted,
              2e-6 * std::abs(weighted))
      << N;
  EXPECT_NEAR(detail::sum_of_lanes(mass, 0), tempered, 4e-6 * tempered) << N << " at " << scale;
  // Too large a logit changes nothing.
  const detail::row_sums<float> before = all;
  by.limit = x[0] - 1;
  EXPECT_EQ(read(x.data(), n, by, all, mass), x[0]) << N;
  EXPECT_EQ(all.runner_up(), before.runner_up()) << N;
  EXPECT_EQ(detail::sum_of_lanes(all.plain, 0), detail::sum_of_lanes(before.plain, 0)) << N;
  by.limit = 60;
  x[n - 5] = NAN;
  read(x.data(), n, by, all, mass);
  EXPECT_TRUE(std::isnan(detail::sum_of_lanes(all.plain, 0))) << N;
}

TEST(RowKernel, EveryWidthGivesTheSums) {
  static constexpr detail::wanted_sums all{true, true};
  for (const double scale : {0.02, 0.7, 1.0, 2.5})
    for (const std::size_t n : {32, 96, 1024})
      for (const float reference : {1.5f, 17.f}) {
        // Always inlined, so it has no address to pass.
        const auto lanes_of = []<std::size_t N>() {
          return [](const float* x, std::size_t count, const detail::block_scales<float>& by,
                    detail::row_sums<float>& sums, detail::lane_sums& mass) {
            return detail::read_lanes<all, N, float>(x, count, by, sums, mass);
          };
        };
        expect_sums_by<1>(lanes_of.operator()<1>(), n, scale, reference);
        expect_sums_by<0>(lanes_of.operator()<tweedie::detail::lanes<float>>(), n, scale,
                          reference);
#if TWEEDIE_ASKS_THE_PROCESSOR
        if (tweedie::detail::has_avx2())
          expect_sums_by<8>([](auto&&... of) { return detail::read_eights<all>(of..., 0); }, n,
                            scale, reference);
        if (tweedie::detail::has_avx512())
          expect_sums_by<16>(detail::read_sixteens<all>, n, scale, reference);
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

// What is left, without sorting, is what sorting leaves: also of rows with equals, few possible tokens,
// and shares that fall on the end of a token's.
TYPED_TEST(RowReader, FiltersAreTheSortedOnes) {
  std::vector<std::vector<TypeParam>> rows;
  for (const double spread : {0.01, 1.0, 8.0}) {
    rows.push_back(row_of<TypeParam>(3000, 11, spread));
    rows.push_back(row_of<TypeParam>(70, 12, spread));
  }
  rows.emplace_back(64, static_cast<TypeParam>(1.f));
  rows.emplace_back(1000, static_cast<TypeParam>(-INFINITY));
  for (const std::size_t k : {std::size_t{5}, std::size_t{400}, std::size_t{999}})
    rows.back()[k] = static_cast<TypeParam>(k == 400 ? 2.f : 1.f);
  filtered_row filtered;
  for (const std::vector<TypeParam>& row : rows)
    for (const double temperature : {1.0, 0.3, 2.0})
      for (const std::size_t top_k : {0u, 1u, 2u, 50u, 100000u})
        for (const double top_p : {1e-9, 0.25, 0.5, 0.9, 0.999, 1.0}) {
          row_reader reader;
          reader.read(row.data(), row.size(), {.temperature = temperature, .excluded = {2, -1}});
          filtered.keep(row.data(), reader, top_k, top_p);
          std::vector<double> sorted;
          for (const TypeParam x : row) sorted.push_back(static_cast<double>(x) / temperature);
          sorted[2] = -INFINITY;
          keep_top_k(sorted, top_k);
          keep_top_p(sorted, top_p);
          std::vector<token> left;
          for (std::size_t k = 0; k < sorted.size(); ++k)
            if (sorted[k] > -INFINITY) left.push_back(static_cast<token>(k));
          EXPECT_EQ(std::vector<token>(filtered.tokens().begin(), filtered.tokens().end()), left)
              << row.size() << " T " << temperature << " k " << top_k << " p " << top_p;
          const row_reading found = filtered.reading();
          row_reader again;
          const row_reading expected = again.read(sorted.data(), sorted.size(), {.shape = true});
          EXPECT_NEAR(found.log_sum, expected.log_sum, 1e-12 * (1 + std::abs(expected.log_sum)));
          EXPECT_NEAR(found.entropy, expected.entropy, 1e-12);
          EXPECT_EQ(found.max, expected.max);
          EXPECT_EQ(found.runner_up, expected.runner_up);
        }
}

// However far logits / T are beyond the digits of a double.
TYPED_TEST(RowReader, FiltersLeaveTheLargestAtAnyTemperature) {
  filtered_row filtered;
  for (const double temperature : {1e-3, 3e-9, 7e-13, 1e-30, 1e-100})
    for (const float large : {-3e4f, 777.f, 3e4f}) {
      std::vector<TypeParam> row(1000, static_cast<TypeParam>(large));
      row[500] = static_cast<TypeParam>(large + std::abs(large) / 8);
      for (const bool equal : {false, true}) {
        if (equal) row[500] = row[0];
        row_reader reader;
        reader.read(row.data(), row.size(), {.temperature = temperature});
        filtered.keep(row.data(), reader, 0, 1e-9);
        EXPECT_EQ(std::vector<token>(filtered.tokens().begin(), filtered.tokens().end()),
                  std::vector<token>{equal ? 0 : 500})
            << large << " T " << temperature;
      }
    }
}

}  // namespace
}  // namespace tweedie::discrete
