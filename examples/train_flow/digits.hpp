// Digits drawn from the fonts of the machine: three of the ten, so that a small network which is
// not told the class draws them well.
#pragma once

#include <Eigen/Core>
#include <cstdio>
#include <vector>

#include "../support/glyphs.hpp"
#include "../support/nearest.hpp"
#include "../support/png.hpp"
#include "flow.hpp"
#include "tweedie/metric/discrepancy.hpp"

namespace flows {

// The pictures of `data` with one of the labels.
inline support::dataset only(const support::dataset& data, const std::vector<int>& labels) {
  std::vector<Eigen::Index> picks;
  support::dataset chosen{{}, {}, data.tile};
  for (std::size_t i = 0; i < data.labels.size(); ++i)
    for (const int label : labels)
      if (data.labels[i] == label) {
        picks.push_back(static_cast<Eigen::Index>(i));
        chosen.labels.push_back(label);
      }
  chosen.pictures = data.pictures(Eigen::all, picks);
  return chosen;
}

// From a picture to the nearest one of `data`.
inline double mean_distance_to(const support::dataset& data, const MatrixXf& pictures) {
  double sum = 0;
  for (const support::neighbour& n : support::nearest_pictures(data, pictures)) sum += n.distance;
  return sum / static_cast<double>(pictures.cols());
}

// Prints the table and the three verdicts.
inline void flow_to_digits() {
  constexpr Eigen::Index batch = 128, couples = 6000, points = 500;
  constexpr int fine_steps = 25;
  const std::vector<int> kept{2, 4, 7};
  const support::dataset data = only(support::draw_digits({.side = 10, .pictures = 12000}), kept);
  const support::dataset fresh =
      only(support::draw_digits({.side = 10, .pictures = 12000, .seed = 2}), kept);
  const Eigen::Index pixels = data.pictures.rows();
  support::random_draws random(3);
  support::descent training{
      .title = "digits", .steps = 1300, .rising_steps = 100, .second_decay = 0.99};

  network first({.input = pixels,
                 .output = pixels,
                 .width = 160,
                 .blocks = 3,
                 .time_features = 32,
                 .condition = 64},
                4);
  train(first, training, random, [&] {
    pairs drawn{data.pictures(Eigen::all, random.below(data.pictures.cols(), batch)),
                MatrixXf(pixels, batch)};
    random.fill_normal(drawn.noise);
    return drawn;
  });

  pairs coupled{{}, MatrixXf(pixels, couples)};
  random.fill_normal(coupled.noise);
  coupled.data = flow(first, coupled.noise, fine_steps);
  network second = first;
  training.title = "digits, reflow";
  train(second, training, random, [&] { return coupled.some(random.below(couples, batch)); });

  MatrixXf noise(pixels, points), sheet(pixels, 0);
  random.fill_normal(noise);
  const auto draw_fresh = [&](Eigen::Index count) -> MatrixXf {
    return fresh.pictures(Eigen::all, random.below(fresh.pictures.cols(), count));
  };
  const MatrixXf target = draw_fresh(2 * points), other = draw_fresh(points);
  const auto distance = [&](const MatrixXf& x) { return tweedie::energy_distance(x, target); };
  std::printf("%-12s %8s   energy distance to the data after 1, 2, 4, 8, 25 steps; nearest\n",
              "digits", "bend");
  std::vector<double> bends, one_step, many_steps;
  constexpr Eigen::Index columns = 20;
  for (const network* net : {&first, &second}) {
    bends.push_back(bend(*net, noise, fine_steps));
    std::printf("%-12s %8.4f  ", net == &first ? "flow" : "reflow", bends.back());
    MatrixXf x;
    for (const int steps : {1, 2, 4, 8, fine_steps}) {
      x = flow(*net, noise, steps);
      const double d = distance(x);
      if (steps == 1) one_step.push_back(d);
      if (steps == fine_steps) many_steps.push_back(d);
      std::printf(" %8.4f", d);
      sheet.conservativeResize(pixels, sheet.cols() + columns);
      sheet.rightCols(columns) = x.leftCols(columns);
    }
    std::printf(" %8.3f\n", mean_distance_to(data, x));
  }
  std::printf("%-12s %8s   %8.4f %45.3f\n", "fresh data", "", distance(other),
              mean_distance_to(data, other));
  std::printf("reflow takes 70 %% of the bend away: %s\n",
              bends[1] < 0.3 * bends[0] ? "yes" : "no");
  std::printf("one step is twice as near to the data after reflow: %s\n",
              one_step[1] < one_step[0] / 2 ? "yes" : "no");
  std::printf("one step after reflow is not as near as 25 steps before: %s\n",
              one_step[1] > many_steps[0] ? "yes" : "no");
  support::write_contact_sheet("train_flow_digits.png", sheet, data.tile, columns, 4);
  std::fprintf(
      stderr,
      "train_flow_digits.png written, rows of 1, 2, 4, 8, 25 steps before and after reflow\n");
}

}  // namespace flows
