// A process killed at any moment resumes from the state that it saved last, with the same bits.
#if defined(__unix__) || defined(__APPLE__)
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "tweedie/grid/named.hpp"
#include "tweedie/sampler/multistep.hpp"
#include "tweedie/schedule/discrete.hpp"
#include "tweedie/solve/saved_bytes.hpp"

namespace tweedie::killed_test {
namespace {

namespace files = std::filesystem;

using vector = std::vector<float>;
using requests = sampling<vector>;

const program& plan() {
  static const program made =
      sde_dpm_solver_plus_plus(karras(scaled_linear_beta_schedule(1000), 8), 2);
  return made;
}
requests begin() { return requests(plan(), {predicts_noise}, vector(37, 0.7f), gaussian_noise{5}); }
void answer(requests& run) {
  for (std::size_t i = 0; i < run.input().size(); ++i)
    run.output()[i] = std::sin(run.input()[i] + static_cast<float>(0.01 * run.network_time()));
}

// Written beside, in two pieces, then renamed: the name holds a whole state, this one or the one before.
template <class Event>
void save(const requests& run, const files::path& path, const Event& event) {
  const std::vector<std::byte> bytes = to_bytes(run.saved(), run.plan());
  const files::path beside = path.string() + ".new";
  {
    std::ofstream file(beside, std::ios::binary);
    const auto* text = reinterpret_cast<const char*>(bytes.data());
    file.write(text, static_cast<std::streamsize>(bytes.size() / 2)).flush();
    event();
    file.write(text + bytes.size() / 2,
               static_cast<std::streamsize>(bytes.size() - bytes.size() / 2));
  }
  event();
  files::rename(beside, path);
}

std::optional<std::vector<std::byte>> load(const files::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const auto* bytes = reinterpret_cast<const std::byte*>(text.data());
  return std::vector<std::byte>(bytes, bytes + text.size());
}

// What the killed program does: goes on from its file to the end, saving before every answer.
template <class Event>
void work(const files::path& path, const Event& event) {
  requests run = begin();
  if (const auto bytes = load(path)) run.resume(saved_from_bytes<float>(*bytes, run.plan()));
  event();
  while (run.next()) {
    save(run, path, event);
    event();
    answer(run);
    event();
  }
  save(run, path, event);
}

TEST(killed, at_any_moment_resumes_with_the_same_bits) {
  requests calm = begin();
  while (calm.next()) answer(calm);
  const files::path path =
      files::temp_directory_path() / ("tweedie_killed_" + std::to_string(::getpid()));
  // A child tells of each event and waits; after so many it is killed there.
  int killed = 0;
  for (bool finished = false; !finished; ++killed) {
    ASSERT_LT(killed, 300);
    int told[2], go_on[2];
    ASSERT_EQ(::pipe(told), 0);
    ASSERT_EQ(::pipe(go_on), 0);
    const ::pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ::close(told[0]);
      ::close(go_on[1]);
      const auto event = [&] {
        char c = 0;
        if (::write(told[1], &c, 1) != 1 || ::read(go_on[0], &c, 1) != 1) ::_exit(1);
      };
      work(path, event);
      ::_exit(0);
    }
    ::close(told[1]);
    ::close(go_on[0]);
    char c = 0;
    for (int events = 0;; ++events) {
      finished = ::read(told[0], &c, 1) != 1;
      if (finished) break;
      if (events == 1 + killed % 23) {
        ::kill(child, SIGKILL);
        break;
      }
      ASSERT_EQ(::write(go_on[1], &c, 1), 1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(finished ? WIFEXITED(status) && WEXITSTATUS(status) == 0 : WIFSIGNALED(status));
    ::close(told[0]);
    ::close(go_on[1]);
  }
  EXPECT_GT(killed, 9);  // each moment of a step at least once
  requests run = begin();
  run.resume(saved_from_bytes<float>(load(path).value(), run.plan()));
  EXPECT_FALSE(run.next());
  EXPECT_TRUE(std::equal(run.state().begin(), run.state().end(), calm.state().begin()));
  files::remove(path);
  files::remove(path.string() + ".new");
}

}  // namespace
}  // namespace tweedie::killed_test
#endif
