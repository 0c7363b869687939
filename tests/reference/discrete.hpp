// What the drivers of recorded discrete samplers share: named tensors, recorded random numbers, the
// precision to compare with.
#pragma once

#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "drive.hpp"
#include "outcome.hpp"
#include "tweedie/discrete/random.hpp"
#include "tweedie/discrete/tokens.hpp"

namespace reference {

/// The named tensors of a file.
class named_tensors {
 public:
  explicit named_tensors(const json& file) : all_(&file.at("tensors")) {}
  std::vector<double> operator()(const json& name) const {
    return numbers(all_->at(name.get<std::string>()).at("data"));
  }
  std::vector<std::size_t> shape(const json& name) const {
    return all_->at(name.get<std::string>()).at("shape").get<std::vector<std::size_t>>();
  }

 private:
  const json* all_;
};

/// A field in double precision: that of "f64" if it is there.
inline const json& precise(const json& recorded, const char* key) {
  return recorded.contains("f64") && recorded["f64"].contains(key) ? recorded["f64"][key]
                                                                   : recorded.at(key);
}

inline std::vector<tweedie::discrete::token> tokens_of(const json& value) {
  std::vector<tweedie::discrete::token> all;
  for (const double v : numbers(value)) all.push_back(static_cast<tweedie::discrete::token>(v));
  return all;
}
template <class Range>
std::vector<double> as_numbers(const Range& range) {
  return {range.begin(), range.end()};
}

/// One list of recorded draws as uniforms; whole numbers below n become the middle of their nth.
inline std::vector<double> uniforms_of(const json& draw) {
  if (draw.at("kind") != "randint") return numbers(draw.at("u"));
  std::vector<double> u = numbers(draw.at("values"));
  const double low = draw.at("low"), high = draw.at("high");
  for (double& v : u) v = (v - low + 0.5) / (high - low);
  return u;
}

/// Uniforms of one step, item i's starting at i times `per_item`. Lists are taken in the order in
/// which uses first appear, among those of the kind that the use draws.
class recorded_step {
 public:
  recorded_step(const json& draws, std::size_t items) : items_(items) {
    for (const json& d : draws) lists_.push_back({d.at("kind"), uniforms_of(d), false});
  }

  double operator()(const tweedie::discrete::uniform_request& r) const {
    const auto [at, fresh] = of_use_.try_emplace(r.use, lists_.size());
    if (fresh) {
      for (std::size_t l = 0; l < lists_.size() && at->second == lists_.size(); ++l)
        if (!lists_[l].taken && lists_[l].kind == kind_of(r.use)) at->second = l;
      if (at->second < lists_.size()) lists_[at->second].taken = true;
    }
    if (at->second >= lists_.size())
      throw std::runtime_error("draw of kind " + std::string(kind_of(r.use)) + " was not recorded");
    const std::vector<double>& u = lists_[at->second].u;
    return u.at(r.item * (u.size() / items_) + r.index);
  }

 private:
  static const char* kind_of(tweedie::discrete::draw_use use) {
    using enum tweedie::discrete::draw_use;
    return use == choice || use == route ? "multinomial" : use == replacement ? "randint" : "rand";
  }
  struct list {
    std::string kind;
    std::vector<double> u;
    bool taken;
  };
  std::size_t items_;
  mutable std::vector<list> lists_;
  mutable std::map<tweedie::discrete::draw_use, std::size_t> of_use_;
};

/// All cases of a file, each through `body(case, comparison)`.
template <class Body>
std::vector<outcome> replay_cases(const json& file, const std::string& name, const char* group_key,
                                  const Body& body) {
  std::vector<outcome> all;
  for (const json& recorded : file.at("cases")) {
    const std::string group =
        recorded.contains(group_key) ? recorded[group_key].get<std::string>() : "step";
    if (recorded.contains("raises")) {
      all.push_back({recorded.at("id"), name, group, verdict::skipped, 0,
                     "the reference raises " + recorded["raises"].get<std::string>()});
      continue;
    }
    all.push_back(
        attempt(recorded.at("id"), name, group, [&](comparison& c) { body(recorded, c); }));
  }
  return all;
}

/// arg max over a row, the first of equals.
inline std::size_t arg_max(const double* row, std::size_t n) {
  return static_cast<std::size_t>(std::max_element(row, row + n) - row);
}

}  // namespace reference
