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

// One plot. `commands` are gnuplot lines put before it: axis labels, log scales, ranges.
struct panel {
  std::string commands;
  std::vector<curve> curves;
};

// Panels side by side. Returns whether a picture was written.
inline bool plot_panels(const std::filesystem::path& png, const std::vector<panel>& panels,
                        int width = 900, int height = 600,
                        const std::string& style = "lines lw 2") {
  if (std::system("command -v gnuplot >/dev/null 2>&1") != 0) {
    std::fprintf(stderr, "gnuplot is not installed: %s is skipped\n", png.c_str());
    return false;
  }
  std::ostringstream script;
  script.precision(10);
  script << "set terminal pngcairo size " << width << "," << height << "\nset output '"
         << png.string() << "'\nset grid\n";
  if (panels.size() > 1) script << "set multiplot layout 1," << panels.size() << "\n";
  for (const panel& p : panels) {
    script << p.commands << "\nplot ";
    for (std::size_t i = 0; i < p.curves.size(); ++i) {
      const curve& c = p.curves[i];
      if (c.x.size() != c.y.size())
        throw std::invalid_argument("plot: x and y of \"" + c.title + "\" differ in length");
      script << (i > 0 ? ", " : "") << "'-' with " << (c.style.empty() ? style : c.style)
             << (c.title.empty() ? " notitle" : " title '" + c.title + "'");
    }
    script << "\n";
    for (const curve& c : p.curves) {
      for (std::size_t i = 0; i < c.x.size(); ++i) script << c.x[i] << ' ' << c.y[i] << '\n';
      script << "e\n";
    }
  }
  std::FILE* pipe = popen("gnuplot", "w");
  if (pipe == nullptr) throw std::runtime_error("plot: gnuplot could not be started");
  std::fputs(script.str().c_str(), pipe);
  if (pclose(pipe) != 0) throw std::runtime_error("plot: gnuplot failed on " + png.string());
  std::fprintf(stderr, "%s written\n", png.c_str());
  return true;
}

inline bool plot(const std::filesystem::path& png, const std::string& commands,
                 const std::vector<curve>& curves, const std::string& style = "lines lw 2") {
  return plot_panels(png, {{commands, curves}}, 900, 600, style);
}

}  // namespace support
