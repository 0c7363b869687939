// A progress bar on standard error with a value of interest and the time left. On a terminal it is
// redrawn in place; elsewhere it prints a line every tenth of the way.
#pragma once

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <utility>

namespace support {

class progress {
 public:
  progress(std::string title, long total)
      : title_(std::move(title)),
        total_(total > 0 ? total : 1),
        terminal_(isatty(fileno(stderr)) != 0) {}

  void show(long done, const std::string& value) {
    const auto now = clock::now();
    const long tenth = done * 10 / total_;
    const bool last = done >= total_;
    if (terminal_ ? (!last && now - drawn_ < std::chrono::milliseconds(100)) : tenth == tenth_)
      return;
    drawn_ = now;
    tenth_ = tenth;
    const double elapsed = std::chrono::duration<double>(now - start_).count();
    const double left =
        done > 0 ? elapsed * static_cast<double>(total_ - done) / static_cast<double>(done) : 0.0;
    constexpr long cells = 30;
    const auto filled = static_cast<std::size_t>(done * cells / total_);
    const std::string bar = std::string(filled, '#') + std::string(cells - filled, '.');
    std::fprintf(stderr, "%s%s [%s] %3ld %%  %s  %.0f s left %s", terminal_ ? "\r" : "",
                 title_.c_str(), bar.c_str(), done * 100 / total_, value.c_str(), left,
                 !terminal_ || last ? "\n" : "");
  }

 private:
  using clock = std::chrono::steady_clock;
  std::string title_;
  long total_;
  bool terminal_;
  long tenth_ = -1;
  clock::time_point start_ = clock::now();
  clock::time_point drawn_{};
};

}  // namespace support
