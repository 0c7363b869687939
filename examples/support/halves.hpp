// A batch in two halves, each on its own thread. Always two, so that results do not depend on the
// machine.
#pragma once

#include <Eigen/Core>
#include <future>

namespace support {

struct half {
  int index;
  Eigen::Index first;
  Eigen::Index count;
};

// Calls work(half) for both halves of `items` at the same time.
template <class Work>
void in_halves(Eigen::Index items, const Work& work) {
  const Eigen::Index middle = items / 2;
  auto second = std::async(std::launch::async, [&] { work(half{1, middle, items - middle}); });
  work(half{0, 0, middle});
  second.get();
}

}  // namespace support
