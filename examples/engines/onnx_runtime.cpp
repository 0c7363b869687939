// How do I sample with ONNX Runtime: bound buffers, integer times, half precision?
//
// Reads digits.onnx and digits_half.onnx, which export_onnx wrote to this folder, draws one digit of each class
// and compares with digits.npy, what the network that was exported draws.
//
// The runtime reads and writes the memory of the run: nothing is copied. That holds for its provider on the CPU;
// one on a GPU copies an input when it is bound, so bind inputs again before each call there.
#include <onnxruntime_cxx_api.h>

#include <cstdio>
#include <exception>
#include <map>
#include <vector>

#include "../support/npy.hpp"
#include "tweedie/tweedie.hpp"

namespace {

constexpr std::int64_t items = 10, side = 20;

// A tensor of the runtime over memory of ours.
template <class S>
Ort::Value over(const S* data, const std::vector<std::int64_t>& shape) {
  static const auto cpu = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  constexpr auto type = std::is_same_v<S, float>          ? ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT
                        : std::is_same_v<S, std::int64_t> ? ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64
                                                          : ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16;
  std::size_t bytes = sizeof(S);
  for (const std::int64_t extent : shape) bytes *= static_cast<std::size_t>(extent);
  return Ort::Value::CreateTensor(cpu, const_cast<S*>(data), bytes, shape.data(), shape.size(),
                                  type);
}

// The digits 0 to 9, in memory N x 1 x side x side; S is the scalar of the model.
template <class S>
Eigen::VectorXf draw(Ort::Env& env, const ORTCHAR_T* model) {
  Ort::Session session(env, model, Ort::SessionOptions());
  const auto plan =
      tweedie::dpm_solver_plus_plus(tweedie::trailing(tweedie::cosine_schedule(1000), 20), 2);
  Eigen::MatrixXf noise(side * side, items);
  tweedie::fill_standard_normal(noise, 1);
  using matrix = Eigen::Matrix<S, Eigen::Dynamic, Eigen::Dynamic>;
  const matrix x = noise.cast<S>(), classes = matrix::Identity(items + 1, items);
  std::vector<std::int64_t> times(items);
  tweedie::sampling run(plan, tweedie::network_description{tweedie::predicts_sample}, x,
                        tweedie::clip{-1, 1});

  // The input has a few places, the output one; both stay: one binding for each place.
  std::map<const S*, Ort::IoBinding> bindings;
  for (const auto& place : run.input_places()) {
    Ort::IoBinding& binding = bindings.try_emplace(place.data(), session).first->second;
    binding.BindInput("picture", over(place.data(), {items, 1, side, side}));
    binding.BindInput("time", over(times.data(), {items}));
    binding.BindInput("class", over(classes.data(), {items, items + 1}));
    binding.BindOutput("estimate", over(run.output().data(), {items, 1, side, side}));
  }
  while (run.next()) {
    std::fill(times.begin(), times.end(), static_cast<std::int64_t>(run.network_time()));
    session.Run(Ort::RunOptions(), bindings.at(run.input().data()));
  }
  return run.state().reshaped().template cast<float>();
}

}  // namespace

int main() try {
  Ort::Env env(ORT_LOGGING_LEVEL_WARNING, "onnx_runtime");
  const Eigen::VectorXf ours = support::load_npy("digits.npy");
  const auto report = [&](const char* name, const Eigen::VectorXf& theirs, double allowed) {
    const auto difference = static_cast<double>((theirs - ours).cwiseAbs().maxCoeff());
    std::printf("%s: largest difference from our own network's pictures: %.1e; allowed: %.0e\n",
                name, difference, allowed);
    return difference <= allowed;
  };
  const bool single = report("float", draw<float>(env, ORT_TSTR("digits.onnx")), 1e-5);
  const bool half = report("half", draw<tweedie::float16>(env, ORT_TSTR("digits_half.onnx")), 5e-2);
  return single && half ? 0 : 1;
} catch (const std::exception& error) {
  std::fprintf(stderr, "onnx_runtime: %s\n", error.what());
  return 1;
}
