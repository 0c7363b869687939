// How do I serve several requests from one thread, when the engine answers later?
//
// An asynchronous engine takes a call and says when it is done. Each run waits for its own call only, so one thread
// keeps any number in flight. A call that fails leaves its run where it was: it may be asked again. A request that
// is cancelled is just not asked any more; its memory must outlive the call that is under way.
#include <cstdio>
#include <future>
#include <stdexcept>
#include <vector>

#include "tweedie/tweedie.hpp"

namespace {

using sampling = tweedie::sampling<std::vector<float>>;

// Stands for a GPU's queue or a remote machine. Knows the exact noise for data N(mean, 1/4).
struct engine {
  tweedie::discrete_schedule schedule;
  int calls = 0;

  std::future<void> submit(const sampling& run, std::span<float> output, double mean) {
    const bool fails = ++calls == 9;
    return std::async(std::launch::async, [=, this, in = run.input(), time = run.network_time()] {
      if (fails) throw std::runtime_error("out of memory");
      const auto [alpha, sigma] = schedule(time);
      const double slope = sigma / (alpha * alpha / 4 + sigma * sigma);
      for (std::size_t i = 0; i < in.size(); ++i)
        output[i] = static_cast<float>(slope * (static_cast<double>(in[i]) - alpha * mean));
    });
  }
};

struct request {
  const char* name;
  double mean;
  sampling run;
  std::future<void> pending;
};

double mean(std::span<const float> x) {
  double sum = 0;
  for (const float v : x) sum += static_cast<double>(v);
  return sum / static_cast<double>(x.size());
}

}  // namespace

int main() {
  const auto schedule = tweedie::linear_beta_schedule(1000);
  const auto nodes = tweedie::trailing(schedule, 5);
  engine device{schedule};
  std::vector<float> x(1000);
  tweedie::fill_standard_normal(x, 1);
  const tweedie::network_description network{tweedie::predicts_noise};
  std::vector<request> requests;
  requests.push_back({"first", 1, sampling(tweedie::ddim(nodes), network, x), {}});
  requests.push_back(
      {"second", -2, sampling(tweedie::dpm_solver_plus_plus(nodes, 2), network, x), {}});
  requests.push_back({"third", 3, sampling(tweedie::ddim(nodes), network, x), {}});

  const auto submit = [&](request& r) {
    r.pending = device.submit(r.run, r.run.output(), r.mean);
    std::printf("%s: call %zu\n", r.name, r.run.steps_done() + 1);
  };
  for (request& r : requests)
    if (r.run.next()) submit(r);
  while (!requests.empty())
    for (auto r = requests.begin(); r != requests.end();) {
      bool goes_on = true;
      try {
        r->pending.get();
        goes_on = r->run.next();
        if (!goes_on) std::printf("%s: done, mean %.3f\n", r->name, mean(r->run.state()));
      } catch (const std::runtime_error& error) {
        std::printf("%s: %s, again\n", r->name, error.what());
      }
      if (goes_on) submit(*r);
      if (goes_on && r->mean == 3 && r->run.steps_done() == 3) {
        r->pending.wait();  // the engine still writes into its memory
        goes_on = false;
        std::printf("%s: cancelled\n", r->name);
      }
      r = goes_on ? r + 1 : requests.erase(r);
    }
}
