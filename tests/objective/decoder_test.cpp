#include "tweedie/objective/decoder.hpp"

#include <gtest/gtest.h>

#include "objective/gradient_check.hpp"
#include "objective/plain_decoder.hpp"

namespace {

using namespace tweedie;
using namespace tweedie_test;

double bin(int k) { return 2 * k / 255.0 - 1; }

template <bin_decoder Decoder>
double total_probability(const Decoder& decoder, double mean, double log_scale) {
  double sum = 0;
  for (int k = 0; k < 256; ++k) sum += std::exp(decoder(bin(k), mean, log_scale).log_probability);
  return sum;
}

TEST(decoder, bins_cover_everything) {
  for (const double mean : {-1.7, -1.0, -0.3, 0.0, 0.501, 1.0, 4.0})
    for (const double log_scale : {-15.0, -6.0, -2.0, 0.0, 3.0, 15.0}) {
      // Edges of bins are rounded to 1e-16.
      const double tolerance = 1e-12 + 1e-16 * std::exp(-log_scale);
      EXPECT_NEAR(total_probability(discretised_gaussian(), mean, log_scale), 1, tolerance)
          << mean << " " << log_scale;
      EXPECT_NEAR(total_probability(discretised_logistic(), mean, log_scale), 1, tolerance);
    }
}

TEST(decoder, far_bins_keep_their_logarithm) {
  EXPECT_NEAR(log_normal_cdf(-40.0), -804.6084420137538, 1e-10);
  // Bins from 10 to 10.1 and from 40 to 40.1 deviations; mpmath.
  const double tenth = 20 / 255.0;  // the deviation for which a bin is 0.1 wide
  const auto bin_from = [&](double z) {
    return discretised_gaussian()(bin(20), bin(20) + (z + 0.05) * tenth, std::log(tenth))
        .log_probability;
  };
  EXPECT_NEAR(bin_from(10), -53.68147, 5e-6);
  EXPECT_NEAR(bin_from(40), -804.62679, 5e-6);
  const double s = 1 / 2550.0;  // half-width = 10 s
  const double x = bin(128);    // x = 1/255 = 10 s; bin from 0 to 20 s
  const discretised_gaussian gaussian;
  EXPECT_NEAR(gaussian(x, 0, std::log(s)).log_probability, std::log(0.5), 1e-10);
  // Mean 50 s below the lower edge of the bin: log(Phi(-50) - Phi(-70)).
  EXPECT_NEAR(gaussian(x, -50 * s, std::log(s)).log_probability, log_normal_cdf(-50.0), 1e-8);
  EXPECT_NEAR(discretised_logistic()(x, -50 * s, std::log(s)).log_probability, -50, 1e-7);
}

TEST(decoder, far_bins_keep_their_slopes) {
  struct recorded {
    int k;
    double mean, log_scale;
    bin_likelihood exact;
  };
  // mpmath, 60 digits, from the numbers of double that `bin` and 1/255.0 are.
  const recorded list[] = {
      {255,
       -1.0,
       -15.0,
       {-21289215848197.61110459177, 21331041419592.46660179456, 42578431696363.00196317434}},
      {255,
       0.3,
       -20.0,
       {-57025044700375731.07557225, 163846607308121758.6113677, 114050089400751422.0378533}},
      {0,
       4.0,
       -10.0,
       {-6055055642.707836078179745, -2423923368.639658217757334, 12110111261.36048850767248}},
      {127,
       0.3,
       -4.0,
       {-137.8625683732519061219131, -897.5776866911297330107512, 269.2675257163567840057475}},
      {127,
       0.3,
       -10.0,
       {-21832443.50840631065322148, -145549561.9562702519266017, 43664868.58688107194214982}},
      {127,
       0.3,
       -20.0,
       {-10592337007665917.29434276, -70615580051105993.07577509, 21184674015331796.15875406}},
      {127,
       0.3,
       -30.0,
       {-5139033254170578420662381.0, -3.42602216944705256571522e+25,
        1.02780665083411568413247e+25}},
      {200,
       -0.25,
       -7.0,
       {-399119.4100310480568127882, 979770.0118856393449426206, 798224.3920362414450455308}},
      {128,
       0.0,
       -6.0,
       {-0.6947037714259012460177824, 320.2316021417742303859009, -0.01693681691901605672310402}},
      {100,
       0.5,
       -30.0,
       {-2.892756088977756766616904e+25, -8.128405539276341202760099e+25,
        5.785512177955513533233803e+25}},
      {100,
       -1.0,
       -2.0,
       {-20.55547164534221108303872, 42.81011709795796534171544, 32.56746187241557099559955}}};
  for (const auto& [k, mean, log_scale, exact] : list) {
    const bin_likelihood p = discretised_gaussian()(bin(k), mean, log_scale);
    EXPECT_LT(relative_error(p.log_probability, exact.log_probability), 1e-13)
        << k << " " << log_scale;
    EXPECT_LT(relative_error(p.mean_slope, exact.mean_slope), 1e-13) << k << " " << log_scale;
    EXPECT_LT(relative_error(p.log_scale_slope, exact.log_scale_slope), 1e-12)
        << k << " " << log_scale;
  }
}

template <bin_decoder Decoder>
void check_slopes(const Decoder& decoder) {
  for (const double x : {bin(0), bin(1), bin(100), bin(254), bin(255)})
    for (const double offset : {-0.5, -0.02, 0.0, 0.003, 0.4})
      for (const double log_scale : {-5.0, -3.0, -1.0, 2.0, 10.0}) {
        const double mean = x + offset;
        const bin_likelihood p = decoder(x, mean, log_scale);
        const auto of_mean = [&](double m) { return decoder(x, m, log_scale).log_probability; };
        const auto of_scale = [&](double l) { return decoder(x, mean, l).log_probability; };
        const double scale = std::exp(log_scale);
        EXPECT_LT(relative_error(p.mean_slope, central_difference(of_mean, mean, 1e-5 * scale)),
                  1e-6)
            << x << " " << offset << " " << log_scale;
        EXPECT_LT(relative_error(p.log_scale_slope, central_difference(of_scale, log_scale, 1e-5)),
                  1e-6)
            << x << " " << offset << " " << log_scale;
      }
}

TEST(decoder, slopes_equal_central_differences) {
  check_slopes(discretised_gaussian());
  check_slopes(discretised_logistic());
}

// Scales from e^-15, where bins are 13000 deviations wide, to e^15, means up to 2 away from the bin.
template <class Plain, bin_decoder Decoder>
void check_forward_mode(const Plain& plain_formula, const Decoder& decoder,
                        std::initializer_list<double> log_scales, double tolerance) {
  for (const double x : {bin(0), bin(1), bin(100), bin(254), bin(255)})
    for (const double offset : {-2.0, -0.02, 0.0, 0.003, 0.4, 2.0})
      for (const double log_scale : log_scales) {
        const double mean = x + offset;
        const bin_likelihood p = decoder(x, mean, log_scale);
        const auto near = [&](double ours, double exact) {
          EXPECT_LE(std::abs(ours - exact), tolerance * std::max(1.0, std::abs(exact)))
              << x << " " << offset << " " << log_scale;
        };
        near(p.log_probability, plain_formula(x, mean, log_scale));
        near(p.mean_slope, forward_mode(
                               [&](const differentiated& m) {
                                 return plain_formula(x, m, differentiated(log_scale));
                               },
                               mean));
        near(p.log_scale_slope,
             forward_mode(
                 [&](const differentiated& l) { return plain_formula(x, differentiated(mean), l); },
                 log_scale));
      }
}

TEST(decoder, equals_the_plain_formula_and_its_forward_mode) {
  check_forward_mode(plain_gaussian{}, discretised_gaussian(), {-15, -6, -4, -2, 0, 3, 15}, 1e-9);
  check_forward_mode(plain_logistic{}, discretised_logistic(), {-15, -6, -4, -2, 0, 3, 15}, 1e-9);
  // Differences of probabilities lose digits: 1e-16 of at least 1e-6 in these bins.
  check_forward_mode(plain_tanh{}, tanh_gaussian(), {-2, 0, 3}, 1e-9);
}

TEST(decoder, wide_and_narrow_branches_meet) {
  for (const double m : {0.0, 1.0, 2.9}) {
    const double h = 0.1;
    const auto narrow = detail::normal_interval(m, h * (1 - 1e-12));
    const auto wide = detail::normal_interval(m, h * (1 + 1e-12));
    EXPECT_NEAR(narrow.log_probability, wide.log_probability, 5e-12);
    EXPECT_NEAR(narrow.centre_slope, wide.centre_slope, 1e-10);
    EXPECT_NEAR(narrow.half_width_slope, wide.half_width_slope, 1e-9);
  }
}

TEST(tanh_gaussian, error_of_the_approximate_distribution_function) {
  double worst = 0;
  for (double x = -6; x <= 6; x += 1e-3)
    worst = std::max(worst, std::abs(tanh_gaussian::cdf(x) - normal_cdf(x)));
  EXPECT_NEAR(worst, 1.789e-4, 1e-7);
}

TEST(tanh_gaussian, stays_near_the_exact_decoder_and_stops_at_its_floor) {
  const tanh_gaussian reference;
  EXPECT_NEAR(reference(bin(100), bin(100), -5).log_probability,
              discretised_gaussian()(bin(100), bin(100), -5).log_probability, 2e-3);
  EXPECT_EQ(reference(bin(100), 1, -6).log_probability, std::log(1e-12));
  EXPECT_EQ(reference(bin(100), 1, -6).mean_slope, 0);
  const auto of_mean = [&](double m) { return reference(bin(0), m, -1).log_probability; };
  EXPECT_NEAR(reference(bin(0), -0.3, -1).mean_slope, central_difference(of_mean, -0.3, 1e-6),
              1e-8);
}

TEST(decoder, refuses_unscaled_data) {
  EXPECT_THROW(discretised_gaussian()(127, 0, 0), std::invalid_argument);
  EXPECT_THROW(discretised_logistic()(NAN, 0, 0), std::invalid_argument);
  EXPECT_THROW(tanh_gaussian()(1.1, 0, 0), std::invalid_argument);
  EXPECT_THROW(discretised_gaussian(1), std::invalid_argument);
  EXPECT_THROW(discretised_logistic(0), std::invalid_argument);
  EXPECT_THROW(tanh_gaussian(-256), std::invalid_argument);
}

}  // namespace
