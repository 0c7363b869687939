// A sample of any size in pieces, each with a run of its own, which is kept on disk as it goes on.
#pragma once

#include <Eigen/Core>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "../support/perceptron.hpp"
#include "tweedie/grid/spacing.hpp"
#include "tweedie/sampler/ddim.hpp"
#include "tweedie/schedule/discrete.hpp"
#include "tweedie/solve/sampling.hpp"
#include "tweedie/solve/saved_bytes.hpp"

namespace many_machines {

// Writes aside, then renames: a file is whole or not there, whenever the machine dies.
inline void write_whole(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  std::filesystem::path part = path;
  part += ".part";
  std::ofstream file(part, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()), std::ssize(bytes));
  file.close();
  if (!file) throw std::runtime_error(part.string() + " cannot be written");
  std::filesystem::rename(part, path);
}

inline std::vector<std::byte> read_whole(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<std::byte> bytes(std::filesystem::file_size(path));
  if (!file.read(reinterpret_cast<char*>(bytes.data()), std::ssize(bytes)))
    throw std::runtime_error(path.string() + " cannot be read");
  return bytes;
}

// Draws items [first, first + count), item i a digit of class i mod 10 whose noise depends on i alone. Goes on from
// `path` if it is there, and leaves the finished run there. `called()` is told of each call of the network.
template <class Called>
Eigen::MatrixXf draw(const support::perceptron<float>& network, std::uint64_t first,
                     std::size_t count, const std::filesystem::path& path, const Called& called) {
  const auto plan = tweedie::ddim(tweedie::trailing(tweedie::cosine_schedule(1000), 20), 1);
  tweedie::seeded_items noise{std::vector<std::uint64_t>(count)};
  std::iota(noise.seeds.begin(), noise.seeds.end(), first);
  std::vector<int> labels;
  for (const std::uint64_t item : noise.seeds) labels.push_back(static_cast<int>(item % 10));
  Eigen::MatrixXf x(network.shape().input, static_cast<Eigen::Index>(count));
  noise.fill({.draw = -1, .kind = {}, .items = count}, tweedie::elements(x));

  tweedie::sampling run(plan, tweedie::network_description{tweedie::predicts_sample}, x, noise,
                        tweedie::clip{-1, 1});
  if (std::filesystem::exists(path)) try {
      run.resume(tweedie::saved_from_bytes<float>(read_whole(path), run.plan()));
    } catch (const std::exception& error) {
      std::fprintf(stderr, "%s: %s; begun again\n", path.c_str(), error.what());
    }
  const std::size_t done = run.steps_done();
  support::perceptron<float>::activations activations;
  while (run.next()) {
    if (run.steps_done() % 5 == 0) write_whole(path, tweedie::to_bytes(run.saved(), run.plan()));
    called();
    run.output() = network.forward(run.input(), std::vector<double>(count, run.network_time()),
                                   labels, activations);
  }
  if (run.steps_done() > done) write_whole(path, tweedie::to_bytes(run.saved(), run.plan()));
  return run.state();
}

}  // namespace many_machines
