// Recorded numbers of torch's CPU generator. float randn is compared at its own precision, all else
// tightly.
#include <cstdint>
#include <string>
#include <vector>

#include "drive.hpp"
#include "kinds.hpp"
#include "tweedie/interop/torch_random.hpp"

namespace reference {
namespace {

using tweedie::torch_random::cpu_generator;

constexpr double float_tolerance = 2.5e-7;

template <class S>
std::vector<double> values(const std::vector<S>& drawn) {
  std::vector<double> list;
  for (const S& v : drawn) list.push_back(static_cast<double>(v));
  return list;
}

template <class S>
std::vector<double> randn(cpu_generator& generator, std::size_t n) {
  std::vector<S> out(n);
  generator.randn<S>(out);
  return values(out);
}

template <class S>
std::vector<double> rand(cpu_generator& generator, std::size_t n) {
  std::vector<S> out(n);
  generator.rand<S>(out);
  return values(out);
}

void replay_call(comparison& c, cpu_generator& generator, const json& call) {
  const std::string op = call.at("op");
  const auto n = call.at("n").get<std::size_t>();
  const bool single = call.value("dtype", "") == "float32";
  const std::vector<double> expected = numbers(call.at("result"));
  if (op == "randn" && single) {
    c.near(op, randn<float>(generator, n), expected, float_tolerance);
  } else if (op == "randn") {
    c.same(op, randn<double>(generator, n), expected);
  } else if (op == "rand") {
    c.same(op, single ? rand<float>(generator, n) : rand<double>(generator, n), expected);
  } else {
    std::vector<std::int64_t> out(n);
    if (op == "randint")
      generator.randint(call.at("low"), call.at("high"), out);
    else if (op == "random_int64")
      generator.random(out);
    else if (op == "randperm")
      generator.randperm(out);
    else
      return c.fail("no operation \"" + op + "\"");
    if (out != call.at("result").get<std::vector<std::int64_t>>()) c.fail(op + ": wrong integers");
  }
}

std::uint64_t seed_of(const json& call) { return call.at("seed").get<std::uint64_t>(); }

}  // namespace

std::vector<outcome> replay_torch_random(const json& file, const std::string&) {
  std::vector<outcome> outcomes;
  const auto run = [&](const std::string& group, auto&& body) {
    outcomes.push_back(
        attempt(group + "/" + std::to_string(outcomes.size()), "torch CPU generator", group, body));
  };
  for (const json& call : file.at("cases")) {
    run(call.at("op"), [&](comparison& c) {
      cpu_generator generator(seed_of(call));
      replay_call(c, generator, call);
    });
  }
  if (file.contains("sequence")) {
    run("sequence", [&](comparison& c) {
      cpu_generator generator(seed_of(file["sequence"]));
      for (const json& call : file["sequence"]["calls"]) replay_call(c, generator, call);
    });
  }
  for (const auto& [key, value] : file.get_ref<const json::object_t&>().fields()) {
    const bool brain = key.starts_with("bfloat16_randn");
    if (!brain && !key.starts_with("half_randn")) continue;
    run(brain ? "randn bfloat16" : "randn half", [&, &call = file.at(key)](comparison& c) {
      cpu_generator generator(seed_of(call));
      const std::size_t n = call.at("result").size();
      c.same("randn",
             brain ? randn<tweedie::bfloat16>(generator, n) : randn<tweedie::float16>(generator, n),
             numbers(call["result"]));
    });
  }
  if (file.contains("exponential")) {
    run("exponential", [&](comparison& c) {
      const json& call = file["exponential"];
      cpu_generator generator(seed_of(call));
      std::vector<double> out(call.at("n").get<std::size_t>());
      generator.exponential<double>(out);
      c.same("exponential", out, numbers(call.at("result")));
    });
  }
  return outcomes;
}

}  // namespace reference
