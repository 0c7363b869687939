// A saved run as bytes, for a file or another machine.
//
//   std::vector<std::byte> bytes = to_bytes(run.saved(), run.plan());
//   again.resume(saved_from_bytes<float>(bytes, again.plan()));      // a run of the same plan and shape
//
// Format 1, the same on every machine; numbers are little-endian, fractions IEEE 754:
//
//   bytes  0.. 8  magic 89 'T' 'W' 'D' 0d 0a 1a 0a: a transfer as text changes it
//          8..12  format, 1
//         12..16  scalar of the state: 1 float, 2 double, 3 float16, 4 bfloat16
//         16..24  length of the whole in bytes
//         24..32  fingerprint of the plan
//         32..40  stage          40..48  1 if the scaled input of that stage is ready, else 0
//         48..56  b, weights of branches          56..64  m, scalars of the state
//         64..    b doubles, then m scalars: registers, then what guidance remembers, each padded with
//                 zeros to whole cache lines of 64 bytes
//   last 8 bytes  FNV-1a hash of all before (Fowler, Noll, Vo), 64 bits. Each of its steps is a bijection of
//                 the hash, so that no change of a single byte goes unseen.
//
// Seeds are not in it: noise is the caller's. What stands after the end, before the beginning or in
// between is refused, and so is a state of another plan.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "tweedie/program/lower.hpp"
#include "tweedie/schedule/error.hpp"
#include "tweedie/solve/sampling.hpp"
#include "tweedie/tensor/packet.hpp"
#include "tweedie/tensor/storage.hpp"

namespace tweedie {

/// A number that two plans share only if they take the same steps: hash of structure, levels and weights.
/// Numbers count to the precision of float, and those below 1e-9 as 0, so that the last bits in which
/// compilers and mathematical libraries differ do not matter.
std::uint64_t fingerprint(const lowered_program& plan);

/// `saved`, of a run of `plan`, in format 1.
template <storage_scalar S>
std::vector<std::byte> to_bytes(const saved_sampling<S>& saved, const lowered_program& plan);

/// What `to_bytes` was given. \throws std::invalid_argument for bytes that are no saved run, cut off, longer,
/// damaged, of a later format, of another scalar or of another plan.
template <storage_scalar S>
saved_sampling<S> saved_from_bytes(std::span<const std::byte> bytes, const lowered_program& plan);

namespace detail {

class fnv1a {
 public:
  void add(std::byte value) {
    hash_ = (hash_ ^ std::to_integer<std::uint64_t>(value)) * 0x100000001b3;
  }
  void add(std::span<const std::byte> values) {
    for (const std::byte value : values) add(value);
  }
  std::uint64_t value() const { return hash_; }

 private:
  std::uint64_t hash_ = 0xcbf29ce484222325;
};

template <std::size_t Size>
using bits_of_size =
    std::conditional_t<Size == 2, std::uint16_t,
                       std::conditional_t<Size == 4, std::uint32_t,
                                          std::conditional_t<Size == 8, std::uint64_t, void>>>;

// Little-endian bytes of an integer or a fraction.
template <class Number>
std::array<std::byte, sizeof(Number)> little_endian(Number number) {
  const auto bits = bit_cast<bits_of_size<sizeof(Number)>>(number);
  std::array<std::byte, sizeof(Number)> bytes;
  for (std::size_t i = 0; i < sizeof(Number); ++i)
    bytes[i] = static_cast<std::byte>(bits >> (8 * i) & 0xff);
  return bytes;
}
template <class Number>
Number from_little_endian(std::span<const std::byte> bytes) {
  using bits_type = bits_of_size<sizeof(Number)>;
  bits_type bits = 0;
  for (std::size_t i = 0; i < sizeof(Number); ++i)
    bits = static_cast<bits_type>(bits | std::to_integer<bits_type>(bytes[i]) << (8 * i));
  return bit_cast<Number>(bits);
}

namespace saved_format {

inline constexpr std::array<unsigned char, 8> magic{0x89, 'T', 'W', 'D', '\r', '\n', 0x1a, '\n'};
inline constexpr std::uint32_t version = 1;
inline constexpr std::array<const char*, 5> scalar_names{"", "float", "double", "float16",
                                                         "bfloat16"};
inline constexpr std::size_t header_size = 64;
inline constexpr std::size_t check_size = 8;

template <storage_scalar S>
constexpr std::uint32_t scalar_number() {
  if constexpr (std::is_same_v<S, float>) return 1;
  if constexpr (std::is_same_v<S, double>) return 2;
  if constexpr (std::is_same_v<S, float16>) return 3;
  return 4;
}

inline std::uint64_t check_sum(std::span<const std::byte> bytes) {
  fnv1a hash;
  hash.add(bytes);
  return hash.value();
}

}  // namespace saved_format

}  // namespace detail

inline std::uint64_t fingerprint(const lowered_program& plan) {
  detail::fnv1a hash;
  const auto count = [&](auto number) {
    hash.add(detail::little_endian(static_cast<std::uint64_t>(number)));
  };
  const auto number = [&](double v) {
    hash.add(detail::little_endian(std::abs(v) < 1e-9 ? 0.0f : static_cast<float>(v)));
  };
  const auto level = [&](const node& at) {
    number(at.time);
    number(at.level.alpha);
    number(at.level.sigma);
  };
  count(plan.registers);
  count(plan.result);
  level(plan.start);
  count(plan.how.branches);
  count(plan.how.transformed);
  count(plan.how.reads_state);
  count(plan.draws.size());
  for (const draw_kind& d : plan.draws) {
    count(d.learned);
    for (const double v : {d.from, d.to, d.log_lower, d.log_upper}) number(v);
  }
  count(plan.stages.size());
  for (const lowered_stage& s : plan.stages) {
    count(s.evaluates);
    count(s.state);
    count(s.shown);
    number(s.input_scale);
    number(s.time);
    level(s.at);
    count(s.passes.size());
    for (const linear_pass& p : s.passes) {
      count(p.inputs.size());
      for (const operand& in : p.inputs) {
        count(in.from);
        count(in.index);
      }
      count(p.outputs.size());
      for (const int r : p.outputs) count(r);
      for (const double w : p.weights) number(w);
    }
    count(s.mark.has_value());
    if (s.mark) {
      count(s.mark->state);
      level(s.mark->at);
    }
  }
  return hash.value();
}

template <storage_scalar S>
std::vector<std::byte> to_bytes(const saved_sampling<S>& saved, const lowered_program& plan) {
  namespace format = detail::saved_format;
  const std::size_t length = format::header_size + sizeof(double) * saved.branch_weights.size() +
                             sizeof(S) * saved.memory.size() + format::check_size;
  std::vector<std::byte> bytes;
  bytes.reserve(length);
  const auto put = [&](auto number) {
    const auto digits = detail::little_endian(number);
    bytes.insert(bytes.end(), digits.begin(), digits.end());
  };
  const auto put_count = [&](std::size_t number) { put(static_cast<std::uint64_t>(number)); };
  for (const unsigned char c : format::magic) bytes.push_back(static_cast<std::byte>(c));
  put(format::version);
  put(format::scalar_number<S>());
  put_count(length);
  put(fingerprint(plan));
  put_count(saved.stage);
  put_count(saved.input_ready ? 1 : 0);
  put_count(saved.branch_weights.size());
  put_count(saved.memory.size());
  for (const double w : saved.branch_weights) put(w);
  for (const S v : saved.memory) put(v);
  put(format::check_sum(bytes));
  return bytes;
}

template <storage_scalar S>
saved_sampling<S> saved_from_bytes(std::span<const std::byte> bytes, const lowered_program& plan) {
  namespace format = detail::saved_format;
  constexpr const char* name = "saved_from_bytes";
  if (bytes.size() < format::header_size + format::check_size)
    detail::fail(name, "length", static_cast<double>(bytes.size()),
                 "no saved run is shorter than " +
                     std::to_string(format::header_size + format::check_size) + " bytes");
  if (!std::equal(format::magic.begin(), format::magic.end(), bytes.begin(),
                  [](unsigned char c, std::byte b) { return b == static_cast<std::byte>(c); }))
    detail::fail(name, "these bytes are no saved run: another kind of file, or one sent as text");
  std::size_t at = format::magic.size();
  const auto take = [&]<class Number>(Number& number) {
    number = detail::from_little_endian<Number>(bytes.subspan(at));
    at += sizeof(Number);
  };
  std::uint32_t version, scalar;
  std::uint64_t length, print, stage, ready, weights, scalars;
  take(version);
  detail::require(version == format::version, name, "format", version, "valid: 1");
  take(scalar);
  take(length);
  if (length != bytes.size())
    detail::fail(name, "length", static_cast<double>(bytes.size()),
                 "cut off or continued: valid: " + std::to_string(length));
  const std::size_t end = bytes.size() - format::check_size;
  if (detail::from_little_endian<std::uint64_t>(bytes.subspan(end)) !=
      format::check_sum(bytes.first(end)))
    detail::fail(name, "these bytes are damaged: their hash is another");
  if (scalar != format::scalar_number<S>())
    detail::fail(name, std::string("the state is of ") +
                           (scalar < format::scalar_names.size() ? format::scalar_names[scalar]
                                                                 : "an unknown scalar") +
                           ", the run of " + format::scalar_names[format::scalar_number<S>()]);
  take(print);
  if (print != fingerprint(plan))
    detail::fail(name, "saved by a run of another plan, network description or guidance");
  take(stage);
  take(ready);
  take(weights);
  take(scalars);
  // Counts that a foreign writer got wrong must not ask for memory.
  const std::uint64_t room = end - format::header_size;
  if (weights > room / sizeof(double) || scalars > room / sizeof(S) ||
      weights * sizeof(double) + scalars * sizeof(S) != room || ready > 1)
    detail::fail(name, "its counts do not fit its length");
  saved_sampling<S> saved;
  saved.stage = static_cast<std::size_t>(stage);
  saved.input_ready = ready == 1;
  saved.branch_weights.resize(static_cast<std::size_t>(weights));
  saved.memory.resize(static_cast<std::size_t>(scalars));
  for (double& w : saved.branch_weights) take(w);
  for (S& v : saved.memory) take(v);
  return saved;
}

}  // namespace tweedie
