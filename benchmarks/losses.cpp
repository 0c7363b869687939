// Losses with gradients against the memory they move.
#include "comparison.hpp"
#include "streams.hpp"
#include "tweedie/objective/regression.hpp"
#include "tweedie/tensor/combine.hpp"

namespace {

using namespace tweedie;
using comparison::pair;
using comparison::reach;

constexpr Eigen::Index items = 16;
constexpr Eigen::Index item_size = 1 << 18;

struct batch {
  Eigen::MatrixXf output = Eigen::MatrixXf::Random(item_size, items);
  Eigen::MatrixXf target = Eigen::MatrixXf::Random(item_size, items);
  Eigen::MatrixXf gradient = Eigen::MatrixXf::Zero(item_size, items);
  std::vector<double> weights = std::vector<double>(items, 1.0);
};

}  // namespace

void register_losses() {
  comparison::add({"squared error with gradient, 4 M", "reading two tensors, writing one",
                   reach::at_most, 1.3},
                  [] {
                    auto s = std::make_shared<batch>();
                    return pair{[=] {
                                  benchmark::DoNotOptimize(regression(
                                      s->output, s->target, s->weights, squared_error{},
                                      reduction::mean_over_dimensions, s->gradient));
                                },
                                [=] {
                                  float* const out[] = {s->gradient.data()};
                                  const float* const in[] = {s->output.data(), s->target.data()};
                                  constexpr double weights[] = {2, -2};
                                  combine<float>(out, in, weights,
                                                 static_cast<std::size_t>(s->gradient.size()));
                                }};
                  });
}
