// Plots columns of numbers through gnuplot, or says that it is not installed and goes on.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace support {

struct curve {
  std::string title;
  std::vector<double> x;
  std::vector<double> y;
  std::string style = {};  // as after gnuplot's `with`; empty: that of the plot
};

// `commands` are gnuplot lines put before the plot: axis labels, log scales, ranges.
// Returns whether a picture was written.
inline bool plot(const std::filesystem::path& png, const std::string& commands,
                 const std::vector<curve>& curves, const std::string& style = "lines lw 2") {
  if (std::system("command -v gnuplot >/dev/null 2>&1") != 0) {
    std::fprintf(stderr, "gnuplot is not installed: %s is skipped\n", png.c_str());
    return false;
  }
  std::ostringstream script;
  script.precision(10);
  script << "set terminal pngcairo size 900,600\nset output '" << png.string() << "'\nset grid\n"
         << commands << "\nplot ";
  for (std::size_t i = 0; i < curves.size(); ++i) {
    if (curves[i].x.size() != curves[i].y.size())
      throw std::invalid_argument("plot: x and y of \"" + curves[i].title + "\" differ in length");
    const std::string& own = curves[i].style;
    script << (i > 0 ? ", " : "") << "'-' with " << (own.empty() ? style : own)
           << (curves[i].title.empty() ? " notitle" : " title '" + curves[i].title + "'");
  }
  script << "\n";
  for (const curve& c : curves) {
    for (std::size_t i = 0; i < c.x.size(); ++i) script << c.x[i] << ' ' << c.y[i] << '\n';
    script << "e\n";
  }
  std::FILE* pipe = popen("gnuplot", "w");
  if (pipe == nullptr) throw std::runtime_error("plot: gnuplot could not be started");
  std::fputs(script.str().c_str(), pipe);
  if (pclose(pipe) != 0) throw std::runtime_error("plot: gnuplot failed on " + png.string());
  std::fprintf(stderr, "%s written\n", png.c_str());
  return true;
}

}  // namespace support
