// Prints the table of all comparisons: work, what it is measured against, target, measured ratio.
// Takes Google Benchmark's options (--benchmark_filter, --benchmark_out, ...).
#include <cstdio>
#include <iostream>

#include "comparison.hpp"

namespace comparison {

namespace {

std::vector<row>& rows() {
  static std::vector<row> all;
  return all;
}

constexpr int rounds = 25;
constexpr double shortest = 2e-4;  // seconds that one timing lasts at least

void measure(benchmark::State& state, const row& description, const std::function<pair()>& make) {
  const pair work = make();
  const double once = std::min(seconds(work.ours, 1), seconds(work.theirs, 1));
  const auto repeats = static_cast<std::size_t>(std::max(1.0, shortest / (once + 1e-12)));
  std::vector<double> ours, theirs, ratios;
  for ([[maybe_unused]] auto _ : state) {
    theirs.push_back(seconds(work.theirs, repeats));
    ours.push_back(seconds(work.ours, repeats));
    state.SetIterationTime(ours.back());
    const double quotient = description.direction == reach::at_least
                                ? theirs.back() / ours.back()
                                : ours.back() / theirs.back();
    ratios.push_back(work.scale * quotient);
  }
  state.counters["ours_us"] = median(ours) * 1e6;
  state.counters["theirs_us"] = median(theirs) * 1e6;
  state.counters["ratio"] = median(ratios);
  state.counters["target"] = description.target;
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
      const bool at_least = found->direction == reach::at_least;
      const bool passes = at_least ? ratio >= found->target : ratio <= found->target;
      missed_ += passes ? 0 : 1;
      std::printf("| %s | %s | %.4g | %s %.3g | %.3g | %s |\n", found->work.c_str(),
                  found->against.c_str(), run.counters.at("ours_us").value,
                  at_least ? ">=" : "<=", found->target, ratio,
                  passes ? "pass" : "falls short");
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
  benchmark::RegisterBenchmark((description.work + " | " + description.against).c_str(),
                               [description, make](benchmark::State& state) {
                                 measure(state, description, make);
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

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  register_kernels();
  register_noise();
  register_sampling();
  register_guidance();
  register_losses();
  register_peers();
  comparison::table display;
  benchmark::RunSpecifiedBenchmarks(&display);
  return 0;
}
