// Prints the table of all comparisons: work, what it is measured against, target, measured ratio or
// exponent.
// Takes Google Benchmark's options (--benchmark_filter, --benchmark_out, ...).
#include <cmath>
#include <cstdio>

#include "comparison.hpp"

namespace comparison {

namespace {

std::vector<row>& rows() {
  static std::vector<row> all;
  return all;
}

constexpr int rounds = 25;
constexpr double shortest = 2e-4;  // seconds that one timing lasts at least

std::size_t repeats_for(double once) {
  return static_cast<std::size_t>(std::max(1.0, shortest / (once + 1e-12)));
}

void measure(benchmark::State& state, const row& description, const std::function<pair()>& make) {
  const pair work = make();
  const std::size_t repeats = repeats_for(std::min(seconds(work.ours, 1), seconds(work.theirs, 1)));
  std::vector<double> ours, theirs, ratios;
  for ([[maybe_unused]] auto _ : state) {
    theirs.push_back(seconds(work.theirs, repeats));
    ours.push_back(seconds(work.ours, repeats));
    state.SetIterationTime(ours.back());
    const double quotient = description.direction == reach::at_least ? theirs.back() / ours.back()
                                                                     : ours.back() / theirs.back();
    ratios.push_back(work.scale * quotient);
  }
  state.counters["ours_us"] = median(ours) * 1e6;
  state.counters["theirs_us"] = median(theirs) * 1e6;
  state.counters["ratio"] = median(ratios);
  state.counters["target"] = description.target;
}

// Slope of the line through (log size, log time).
double fitted_exponent(const std::vector<std::size_t>& sizes, const std::vector<double>& times) {
  const auto count = static_cast<double>(sizes.size());
  double mean_x = 0, mean_y = 0, covariance = 0, variance = 0;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    mean_x += std::log(static_cast<double>(sizes[i])) / count;
    mean_y += std::log(times[i]) / count;
  }
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const double dx = std::log(static_cast<double>(sizes[i])) - mean_x;
    covariance += dx * (std::log(times[i]) - mean_y);
    variance += dx * dx;
  }
  return covariance / variance;
}

void measure_growth(benchmark::State& state, double model, const std::vector<std::size_t>& sizes,
                    const std::function<body(std::size_t)>& make) {
  std::vector<body> works;
  std::vector<std::size_t> repeats;
  for (const std::size_t size : sizes) {
    works.push_back(make(size));
    works.back()();
    repeats.push_back(repeats_for(seconds(works.back(), 1)));
  }
  std::vector<std::vector<double>> times(sizes.size());
  for ([[maybe_unused]] auto _ : state) {
    for (std::size_t i = 0; i < sizes.size(); ++i)
      times[i].push_back(seconds(works[i], repeats[i]));
    state.SetIterationTime(times.back().back());
  }
  std::vector<double> medians;
  for (const std::vector<double>& t : times) medians.push_back(median(t));
  state.counters["ours_us"] = medians.back() * 1e6;
  state.counters["ratio"] = fitted_exponent(sizes, medians);
  state.counters["target"] = model;
}

bool passes(const row& r, double measured) {
  switch (r.direction) {
    case reach::at_least: return measured >= r.target;
    case reach::at_most: return measured <= r.target;
    default: return std::abs(measured - r.target) <= 0.15;
  }
}

const char* sign(reach direction) {
  switch (direction) {
    case reach::at_least: return ">=";
    case reach::at_most: return "<=";
    default: return "exponent";
  }
}

class table : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context&) override {
    std::printf("| work | against | ours, us | target | measured | |\n|---|---|---|---|---|---|\n");
    return true;
  }
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      const auto found = std::find_if(rows().begin(), rows().end(), [&](const row& r) {
        return run.run_name.function_name == r.work + " | " + r.against;
      });
      if (found == rows().end()) continue;
      const double ratio = run.counters.at("ratio");
      const bool passed = passes(*found, ratio);
      missed_ += passed ? 0 : 1;
      std::printf("| %s | %s | %.4g | %s %.3g | %.3g | %s |\n", found->work.c_str(),
                  found->against.c_str(), run.counters.at("ours_us").value, sign(found->direction),
                  found->target, ratio, passed ? "pass" : "falls short");
      std::fflush(stdout);
    }
  }
  void Finalize() override { std::printf("\n%d fall short.\n", missed_); }

 private:
  int missed_ = 0;
};

}  // namespace

void add(row description, std::function<pair()> make) {
  rows().push_back(description);
  benchmark::RegisterBenchmark(
      (description.work + " | " + description.against).c_str(),
      [description, make](benchmark::State& state) { measure(state, description, make); })
      ->UseManualTime()
      ->Iterations(rounds);
}

void add_growth(const std::string& work, const std::string& model, double exponent,
                std::vector<std::size_t> sizes, std::function<body(std::size_t)> make) {
  rows().push_back({work, model, reach::exponent, exponent});
  benchmark::RegisterBenchmark((work + " | " + model).c_str(),
                               [exponent, sizes, make](benchmark::State& state) {
                                 measure_growth(state, exponent, sizes, make);
                               })
      ->UseManualTime()
      ->Iterations(rounds);
}

}  // namespace comparison

void register_kernels();
void register_noise();
void register_sampling();
void register_guidance();
void register_losses();
void register_peers();
void register_growth();
void register_tokens();

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  register_kernels();
  register_noise();
  register_sampling();
  register_guidance();
  register_losses();
  register_peers();
  register_growth();
  register_tokens();
  comparison::table display;
  benchmark::RunSpecifiedBenchmarks(&display);
  return 0;
}
