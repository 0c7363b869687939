// How pictures are laid out: rows of one digit, and film strips of one picture.
#pragma once

#include <Eigen/Core>
#include <cstddef>
#include <vector>

#include "../support/dataset.hpp"
#include "generate.hpp"
#include "tweedie/solve/add_noise.hpp"

namespace digits {

using support::dataset;

// 0 0 0 … 1 1 1 …: `copies` of every class.
inline std::vector<int> rows_of_labels(int classes, int copies) {
  std::vector<int> labels;
  for (int k = 0; k < classes * copies; ++k) labels.push_back(k / copies);
  return labels;
}

// Pictures of the data with the wanted labels, spread over it.
inline Eigen::MatrixXf real_pictures(const dataset& data, const std::vector<int>& labels) {
  Eigen::MatrixXf pictures(data.pictures.rows(), static_cast<Eigen::Index>(labels.size()));
  const std::size_t total = data.labels.size();
  constexpr std::size_t stride = 7919;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    std::size_t pick = i * stride % total;
    for (std::size_t tries = 0; data.labels[pick] != labels[i] && tries < total; ++tries)
      pick = (pick + 1) % total;
    pictures.col(static_cast<Eigen::Index>(i)) = data.pictures.col(static_cast<Eigen::Index>(pick));
  }
  return pictures;
}

// Each picture at all times, one row of frames for each, with the same noise along a row.
inline Eigen::MatrixXf forward_film(const tweedie::discrete_schedule& schedule,
                                    const Eigen::MatrixXf& pictures,
                                    const std::vector<double>& times, std::uint64_t seed) {
  const auto frames = static_cast<Eigen::Index>(times.size());
  const Eigen::MatrixXf noise =
      standard_noise(pictures.rows(), static_cast<std::size_t>(pictures.cols()), seed);
  Eigen::MatrixXf film(pictures.rows(), frames * pictures.cols());
  for (Eigen::Index row = 0; row < pictures.cols(); ++row) {
    auto strip = film.middleCols(row * frames, frames);
    strip = pictures.col(row).replicate(1, frames);
    const Eigen::MatrixXf row_noise = noise.col(row).replicate(1, frames);
    Eigen::Map<Eigen::MatrixXf> frame(strip.data(), strip.rows(), frames);
    tweedie::add_noise(schedule, frame, row_noise, times, frame);
  }
  return film;
}

// What `generate` passes through at the given times: one row of frames for each label.
inline Eigen::MatrixXf reverse_film(digit_network& network, const tweedie::program& plan,
                                    const std::vector<int>& labels,
                                    const std::vector<double>& times, double guidance,
                                    std::uint64_t seed) {
  const auto frames = static_cast<Eigen::Index>(times.size());
  Eigen::MatrixXf film(network.pixels(), frames * static_cast<Eigen::Index>(labels.size()));
  generate(network, plan, labels, guidance, seed,
           [&](const tweedie::node& reached, const auto& state) {
             for (Eigen::Index k = 0; k < frames; ++k)
               if (times[static_cast<std::size_t>(k)] == reached.time)
                 for (Eigen::Index row = 0; row < state.cols(); ++row)
                   film.col(row * frames + k) = state.col(row);
           });
  return film;
}

}  // namespace digits
