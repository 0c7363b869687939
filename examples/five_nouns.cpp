// What do a schedule, a grid, a program, a network and noise look like?
//
// Draws the pictures of docs/concepts.md, and the one of README.md, into the current folder: vector graphics that follow
// a light or a dark page. Prints the numbers behind them.
#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "tweedie/distribution/normal_distribution.hpp"
#include "tweedie/oracle/mixture.hpp"
#include "tweedie/program/unrolled.hpp"
#include "tweedie/tweedie.hpp"

namespace {

using namespace tweedie;

std::string text(const char* format, ...) __attribute__((format(printf, 1, 2)));
std::string text(const char* format, ...) {
  char buffer[512];
  std::va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(buffer, sizeof buffer, format, arguments);
  va_end(arguments);
  return buffer;
}

// Colours by name: those of the page the picture stands on, or else of a light or dark screen.
std::string colour(const std::string& name) { return "var(--" + name + ")"; }

class drawing {
 public:
  drawing(double width, double height)
      : head_(text("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %g %g\" width=\"%g\" "
                   "font-family=\"sans-serif\" font-size=\"13\">\n",
                   width, height, width)) {}

  void line(double x0, double y0, double x1, double y1, const std::string& stroke = "grid",
            double width = 1) {
    body_ += text("<path d=\"M%.1f %.1fL%.1f %.1f\" style=\"stroke:%s\" stroke-width=\"%g\"/>\n",
                  x0, y0, x1, y1, colour(stroke).c_str(), width);
  }
  void path(const std::vector<std::pair<double, double>>& points, const std::string& stroke,
            double width = 2, const char* dashes = "", double opacity = 1) {
    body_ += "<path fill=\"none\" d=\"";
    add(points);
    body_ += text("\" style=\"stroke:%s\" stroke-width=\"%g\"", colour(stroke).c_str(), width);
    if (*dashes != 0) body_ += text(" stroke-dasharray=\"%s\"", dashes);
    if (opacity < 1) body_ += text(" opacity=\"%g\"", opacity);
    body_ += "/>\n";
  }
  void area(const std::vector<std::pair<double, double>>& points, const std::string& fill,
            double opacity) {
    body_ += "<path d=\"";
    add(points);
    body_ += text("Z\" style=\"fill:%s\" opacity=\"%.2f\"/>\n", colour(fill).c_str(), opacity);
  }
  void dot(double x, double y, const std::string& fill, double radius = 4) {
    body_ += text("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%g\" style=\"fill:%s\"/>\n", x, y, radius,
                  colour(fill).c_str());
  }
  void label(double x, double y, const std::string& what, const std::string& fill = "soft",
             const char* anchor = "start") {
    body_ += text("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" style=\"fill:%s\">%s</text>\n", x,
                  y, anchor, colour(fill).c_str(), what.c_str());
  }
  void save(const std::string& file) const {
    constexpr const char* light =
        "--ink:#24201c;--soft:#6d645a;--accent:#a63d24;--blue:#1f5f99;--green:#2f7a4f;"
        "--amber:#946000;--violet:#7a4aa3;--grid:#d9d0c4";
    constexpr const char* dark =
        "--ink:#e4e2de;--soft:#9b9a97;--accent:#f08a6c;--blue:#7db8ea;--green:#7fc79b;"
        "--amber:#e0b25c;--violet:#c3a0e6;--grid:#3a3f48";
    std::ofstream(file) << head_ << "<style>svg{" << light
                        << "}@media(prefers-color-scheme:dark){svg{" << dark << "}}</style>\n"
                        << body_ << "</svg>\n";
  }

 private:
  void add(const std::vector<std::pair<double, double>>& points) {
    for (std::size_t i = 0; i < points.size(); ++i)
      body_ += text("%s%.1f %.1f", i == 0 ? "M" : "L", points[i].first, points[i].second);
  }

  std::string head_;
  std::string body_;
};

// Linear map of [from, to] onto pixels.
struct axis {
  double from, to, first, last;
  double operator()(double v) const { return first + (v - from) / (to - from) * (last - first); }
};

void draw_schedules() {
  drawing d(680, 270);
  const axis time{0, 1, 40, 330}, size{0, 1, 235, 25};
  const axis alpha{0, 1, 430, 640}, sigma{0, 1, 235, 25};
  d.line(40, 235, 330, 235, "soft");
  d.line(40, 235, 40, 25, "soft");
  d.line(430, 235, 640, 235, "soft");
  d.line(430, 235, 430, 25, "soft");
  d.label(185, 258, "time, as a part of the whole", "soft", "middle");
  d.label(535, 258, "α", "soft", "middle");
  d.label(415, 135, "σ", "soft", "end");
  const auto sd = scaled_linear_beta_schedule(1000);
  const auto cosine = cosine_schedule(1000);
  const auto draw = [&](const auto& schedule, double least, double most, const std::string& stroke,
                        const char* name, double y) {
    std::vector<std::pair<double, double>> signal, noise, plane;
    for (int i = 0; i <= 60; ++i) {
      const auto [a, s] = schedule(least + (most - least) * i / 60);
      signal.emplace_back(time(i / 60.0), size(a));
      noise.emplace_back(time(i / 60.0), size(s));
      plane.emplace_back(alpha(a), sigma(s));
    }
    d.path(signal, stroke, 2.2);
    d.path(noise, stroke, 2, "5 4");
    d.path(plane, stroke, 2.2);
    d.label(440, y + 140, name, stroke);
  };
  draw(sd, 0, 999, "blue", "Stable Diffusion", 45);
  draw(cosine, 0, 999, "accent", "cosine", 63);
  draw(rectified_flow{}, 0, 1, "green", "rectified flow", 81);
  d.label(52, 20, "α solid, σ dashed", "soft");
  d.save("schedule.svg");
  std::printf("schedule  sigma/alpha at the noisy end: Stable Diffusion %.2f, cosine %.0f\n",
              sd(999).sigma / sd(999).alpha, cosine(999).sigma / cosine(999).alpha);
}

void draw_grids() {
  const auto schedule = scaled_linear_beta_schedule(1000);
  const std::vector<std::pair<const char*, grid>> rows = {
      {"leading", leading(schedule, 10)},
      {"trailing", trailing(schedule, 10)},
      {"karras", karras(schedule, 10)},
      {"exponential", exponential(schedule, 10)},
      {"beta_quantiles", beta_quantiles(schedule, 10)},
      {"flow, shift 3", uniform(time_shifted(rectified_flow{}, 3), 10)}};
  drawing d(680, 60 + 34.0 * static_cast<double>(rows.size()));
  const axis level{std::log(40.0), std::log(0.02), 160, 650};
  double y = 30;
  for (const double tick : {30.0, 10.0, 3.0, 1.0, 0.3, 0.1, 0.03}) {
    d.line(level(std::log(tick)), 15, level(std::log(tick)),
           15 + 34.0 * static_cast<double>(rows.size()));
    d.label(level(std::log(tick)), 35 + 34.0 * static_cast<double>(rows.size()), text("%g", tick),
            "soft", "middle");
  }
  d.label(20, 35 + 34.0 * static_cast<double>(rows.size()), "noise level σ/α", "soft");
  for (const auto& [name, nodes] : rows) {
    d.label(20, y + 5, name, "ink");
    for (const node& n : nodes)
      if (n.level.sigma > 0 && n.level.alpha > 0)
        d.dot(level(std::log(n.level.sigma / n.level.alpha)), y, "accent", 4.5);
    y += 34;
  }
  d.save("grid.svg");
  std::printf("grid      lowest noisy level of 10 steps: karras %.3f, trailing %.3f\n",
              noise_levels(rows[2].second)[9], noise_levels(rows[1].second)[9]);
}

// Each row of bars is what a later network call sees: how much of each earlier estimate its state holds.
void draw_programs() {
  const auto schedule = scaled_linear_beta_schedule(1000);
  const grid nodes = karras(schedule, 6);
  const std::vector<std::pair<const char*, program>> plans = {
      {"ddim", ddim(nodes)},
      {"dpm_solver_plus_plus, order 2", dpm_solver_plus_plus(nodes, 2)},
      {"unipc, order 3", unipc(nodes, 3)}};
  drawing d(700, 250);
  double left = 20;
  std::printf("program   weights of the last call on the estimates:\n");
  for (const auto& [name, plan] : plans) {
    const unrolled_program u = unroll(plan);
    d.label(left, 18, name, "ink");
    double y = 58;
    for (std::size_t row = 1; row + 1 < u.rows.size(); ++row) {
      d.line(left, y, left + 200, y);
      for (std::size_t j = 1; j < u.rows[row].size(); ++j) {
        const double x = left + 200.0 * (static_cast<double>(j) - 0.5) / 5, weight = u.rows[row][j];
        if (std::abs(weight) > 5e-3)
          d.line(x, y, x, y - 14 * weight, weight > 0 ? "accent" : "blue", 16);
      }
      y += 40;
    }
    std::printf("          %-30s", name);
    for (std::size_t j = 1; j < u.rows[5].size(); ++j) std::printf(" %6.3f", u.rows[5][j]);
    std::printf("\n");
    left += 230;
  }
  d.save("program.svg");
}

oracle::mixture<double> two_modes() {
  using vector = Eigen::VectorXd;
  using matrix = Eigen::MatrixXd;
  return oracle::mixture<double>({{0.65, vector::Constant(1, -1.0), matrix::Constant(1, 1, 0.04)},
                                  {0.35, vector::Constant(1, 1.2), matrix::Constant(1, 1, 0.04)}});
}

void draw_network() {
  const auto data = two_modes();
  drawing d(680, 270);
  const axis across{-3, 3, 40, 650}, up{-1.6, 1.6, 235, 20};
  d.line(40, up(0), 650, up(0));
  d.line(across(0), 20, across(0), 235);
  d.path({{across(-1.6), up(-1.6)}, {across(1.6), up(1.6)}}, "grid", 1.5, "3 4");
  d.label(345, 260, "what the network is shown, x / α", "soft", "middle");
  d.label(50, 30, "what it answers, E[x₀ | x]", "soft");
  const char* strokes[] = {"green", "blue", "accent"};
  const double levels[] = {0.1, 0.6, 2};
  for (int k = 0; k < 3; ++k) {
    const double s = levels[k];
    std::vector<std::pair<double, double>> points;
    for (int i = 0; i <= 150; ++i) {
      const double x = -3 + 6 * i / 150.0;
      const double y = data.denoise({1, s}, Eigen::MatrixXd::Constant(1, 1, x))(0, 0);
      if (std::abs(y) <= 1.6) points.emplace_back(across(x), up(y));
    }
    d.path(points, strokes[k], 2.4);
    d.label(560, 175 + 20.0 * k, text("σ/α = %g", s), strokes[k]);
  }
  d.save("network.svg");
  std::printf("network   answer at x = 0: sigma/alpha 0.1: %.3f, 2: %.3f; mean of the data %.3f\n",
              data.denoise({1, 0.1}, Eigen::MatrixXd::Zero(1, 1))(0, 0),
              data.denoise({1, 2}, Eigen::MatrixXd::Zero(1, 1))(0, 0),
              data.denoise({0, 1}, Eigen::MatrixXd::Zero(1, 1))(0, 0));
}

// States of a run at its nodes, a row per node.
Eigen::MatrixXd states(const program& plan, const Eigen::MatrixXd& start, std::uint64_t seed) {
  const auto data = two_modes();
  const auto schedule = cosine_schedule(1000);
  Eigen::MatrixXd x = start, out(static_cast<Eigen::Index>(plan.steps()) + 1, start.cols());
  sampling s(plan, network_description{predicts_sample}, x, gaussian_noise{seed});
  Eigen::Index row = 0;
  while (s.next()) {
    out.row(row++) = s.state();
    s.output() = data.denoise(schedule(s.network_time()), s.input());
  }
  out.row(row) = s.state();
  return out;
}

void draw_noise() {
  const auto nodes = trailing(cosine_schedule(1000), 100);
  Eigen::MatrixXd one = Eigen::MatrixXd::Constant(1, 1, -0.2);
  drawing d(680, 250);
  double left = 20;
  for (const double eta : {0.0, 1.0}) {
    const axis time{0, 100, left, left + 300}, place{-2.6, 2.6, 225, 30};
    d.line(left, place(-1), left + 300, place(-1));
    d.line(left, place(1.2), left + 300, place(1.2));
    d.label(left, 18, eta == 0 ? "ddim(g): nothing drawn" : "ddim(g, 1): draws by seeds 1 to 4",
            "ink");
    const char* strokes[] = {"accent", "blue", "green", "violet"};
    for (std::uint64_t seed = 1; seed <= (eta == 0 ? 1u : 4u); ++seed) {
      const Eigen::MatrixXd path = states(ddim(nodes, eta), one, seed);
      std::vector<std::pair<double, double>> points;
      for (Eigen::Index i = 0; i < path.rows(); ++i)
        points.emplace_back(time(static_cast<double>(i)), place(path(i, 0)));
      d.path(points, strokes[seed - 1], 1.8);
      std::printf("noise     eta = %g, seed %d ends at %.3f\n", eta, static_cast<int>(seed),
                  path(100, 0));
    }
    d.label(left, 245, "noise", "soft");
    d.label(left + 300, 245, "data", "soft", "end");
    left += 340;
  }
  d.save("noise.svg");
}

void draw_flow() {
  constexpr int steps = 50, runs = 21;
  const auto schedule = cosine_schedule(1000);
  const auto nodes = trailing(schedule, steps);
  const auto data = two_modes();
  drawing d(820, 330);
  const axis time{0, steps, 90, 700}, place{-2.7, 2.7, 300, 20};
  // The density at both ends.
  for (const bool clean : {false, true}) {
    std::vector<std::pair<double, double>> hill;
    for (int i = 0; i <= 120; ++i) {
      const double v = -2.7 + 5.4 * i / 120;
      const double p = std::exp(data.log_density(clean ? signal_noise{1, 0} : signal_noise{0, 1},
                                                 Eigen::VectorXd::Constant(1, v)));
      hill.emplace_back(clean ? 705 + 80 * p : 85 - 150 * p, place(v));
    }
    d.area(hill, clean ? "accent" : "blue", 0.35);
  }
  Eigen::MatrixXd start(1, runs);
  for (int i = 0; i < runs; ++i) start(0, i) = normal_quantile((i + 0.5) / runs);
  const Eigen::MatrixXd path = states(ddim(nodes), start, 1);
  for (int k = 0; k < runs; ++k) {
    std::vector<std::pair<double, double>> points;
    for (int i = 0; i <= steps; ++i) points.emplace_back(time(i), place(path(i, k)));
    d.path(points, path(steps, k) < 0 ? "accent" : "violet", 1.6, "", 0.85);
  }
  d.label(90, 322, "noise, N(0, 1)", "soft");
  d.label(395, 322, "ddim, 50 steps, exact denoiser", "soft", "middle");
  d.label(700, 322, "data", "soft", "end");
  d.save("flow.svg");
  std::printf("flow      %d of %d quantiles of the noise end in the mode of weight 0.65\n",
              static_cast<int>((path.row(steps).array() < 0).count()), runs);
}

}  // namespace

int main() {
  draw_schedules();
  draw_grids();
  draw_programs();
  draw_network();
  draw_noise();
  draw_flow();
}
