// Which order does each sampler really have? Errors at the end of the probability-flow ODE on a
// two-dimensional mixture of three Gaussians, whose denoiser is known exactly, against a solution
// of twelve digits; and errors of the variance of stochastic samplers on a Gaussian, computed from
// the law of the program without drawing anything.
//
// Three paths, each with the grid that belongs to it, from half log-SNR -3 to 3:
//   VP  the SDE with linear beta, equal steps in half log-SNR
//   VE  the noise level itself as time, Karras grid
//   RF  the straight path, equal steps in time
// A multistep method starts from nothing with orders 1, 2, ... ("ramp") or from an exact history
// ("exact"; here the first step is cut into pieces that double in length, which comes to the same).
// A slope is the logarithm to base 2 of the ratio of the errors before and after doubling the
// steps, at the finest doubling up to 1280 that ends above 1e-9, where rounding is out of sight.

#include <Eigen/Dense>
#include <cmath>
#include <cstdio>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "support/gnuplot.hpp"
#include "tweedie/grid/spacing.hpp"
#include "tweedie/oracle/mixture.hpp"
#include "tweedie/program/law.hpp"
#include "tweedie/sampler/ancestral.hpp"
#include "tweedie/sampler/corrector.hpp"
#include "tweedie/sampler/ddim.hpp"
#include "tweedie/sampler/ddpm.hpp"
#include "tweedie/sampler/dpm_solver.hpp"
#include "tweedie/sampler/er_sde.hpp"
#include "tweedie/sampler/exponential_runge_kutta.hpp"
#include "tweedie/sampler/linear_multistep.hpp"
#include "tweedie/sampler/midpoint.hpp"
#include "tweedie/sampler/multistep.hpp"
#include "tweedie/sampler/pndm.hpp"
#include "tweedie/sampler/reverse_sde.hpp"
#include "tweedie/sampler/runge_kutta.hpp"
#include "tweedie/schedule/continuous.hpp"
#include "tweedie/solve/ode.hpp"
#include "tweedie/solve/run.hpp"

namespace {

using namespace tweedie;
using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr double range = 3;  // half log-SNR from -range to range

oracle::component<double> part(double weight, const Eigen::Vector2d& mean,
                               const Eigen::Matrix2d& covariance) {
  return {weight, mean, covariance};
}

const oracle::mixture<double>& data() {
  static const oracle::mixture<double> mixture(
      {part(0.5, {-1.5, 0.3}, (Eigen::Matrix2d() << 0.2, 0.1, 0.1, 0.3).finished()),
       part(0.3, {1.0, 1.2}, (Eigen::Matrix2d() << 0.05, 0, 0, 0.4).finished()),
       part(0.2, {0.4, -1.4}, (Eigen::Matrix2d() << 0.3, -0.15, -0.15, 0.2).finished())});
  return mixture;
}

// A schedule, the grid that belongs to it, and nodes between those of the grid.
struct path {
  std::string name;
  std::function<signal_noise(double time)> level;
  std::function<node(double noise_level)> between;
  std::function<grid(int)> nodes;
  std::function<program(const grid&)> deis_2;  // needs the schedule's own type
};

template <class Schedule>
path make_path(const std::string& name, const Schedule& schedule,
               const std::function<double(double)>& half_log_snr_at) {
  const auto between = nodes_of(schedule);
  return {name, [schedule](double t) { return schedule(t); }, between,
          [between, half_log_snr_at](int n) {
            grid nodes;
            for (int i = 0; i <= n; ++i)
              nodes.push_back(between(std::exp(-half_log_snr_at(static_cast<double>(i) / n))));
            return nodes;
          },
          [schedule](const grid& g) { return deis_in_time(schedule, g, 2); }};
}

std::vector<path> paths() {
  const double high = std::exp(range), low = std::exp(-range);
  return {
      make_path("VP", variance_preserving_schedule{}, [](double u) { return range * (2 * u - 1); }),
      make_path("VE", edm_schedule{},
                [=](double u) {
                  const double a = std::pow(high, 1 / 7.0), b = std::pow(low, 1 / 7.0);
                  return -7 * std::log(a + u * (b - a));
                }),
      make_path("RF", rectified_flow{}, [=](double u) {
        const double t = std::lerp(high / (1 + high), low / (1 + low), u);
        return std::log((1 - t) / t);
      })};
}

// Cuts the first step into pieces of 2^-20, 2^-20, 2^-19, ..., 1/2 of it.
grid exactly_started(const grid& nodes, const std::function<node(double)>& between) {
  const double from = half_log_snr(nodes[0].level);
  const double to = half_log_snr(nodes[1].level);
  grid out{nodes[0]};
  for (int k = 20; k >= 1; --k)
    out.push_back(between(std::exp(-std::lerp(from, to, std::ldexp(1.0, -k)))));
  out.insert(out.end(), nodes.begin() + 1, nodes.end());
  return out;
}

// Starting points: quadrature-like offsets around the components' noised means.
const MatrixXd& starts() {  // in units of alpha at the noisy end
  static const MatrixXd points = [] {
    MatrixXd x(2, 8);
    for (int i = 0; i < 8; ++i) {
      const double angle = 0.4 + 0.785398163397448 * i, radius = std::exp(range) * (0.4 + 0.15 * i);
      x.col(i) << radius * std::cos(angle), radius * std::sin(angle);
    }
    return x;
  }();
  return points;
}

// Where the exact flow takes them, in units of alpha.
const MatrixXd& truth() {
  static const MatrixXd ends = [] {
    const auto rate = [](double log_level, const VectorXd& y) {
      const double u = std::exp(log_level);
      const MatrixXd x = y.reshaped(2, 8);
      return VectorXd((x - data().denoise({1, u}, x)).reshaped());
    };
    const VectorXd start = starts().reshaped();
    return MatrixXd(integrate(rate, start, range, -range, {1e-13, 1e-13}).state.reshaped(2, 8));
  }();
  return ends;
}

// Root mean square error at the end, in units of alpha.
double error_of(const program& plan, const path& on, signal_noise end) {
  MatrixXd x = plan.start.level.alpha * starts();
  run(plan, {.prediction = predicts_sample}, x,
      [&](const auto& in, double time, auto out) { out = data().denoise(on.level(time), in); });
  return std::sqrt((x / end.alpha - truth()).squaredNorm() / static_cast<double>(x.cols()));
}

struct method {
  std::string name;
  std::function<program(const grid&, const path&)> plan;
  double order;        // from an exact history
  double ramp_order;   // from the usual start
  std::string only{};  // path it is for
};

method one_step(const std::string& name, double order,
                std::function<program(const grid&, const path&)> plan) {
  return {name, std::move(plan), order, order};
}

std::vector<method> methods() {
  const auto rk = [](const butcher_tableau& m, plane_row row) {
    return [=](const grid& g, const path& p) { return runge_kutta(g, m, p.between, row); };
  };
  const auto etd = [](const exponential_tableau& m) {
    return [=](const grid& g, const path& p) { return exponential_runge_kutta(g, m, p.between); };
  };
  const auto solver = [](int order, plane_row row) {
    return [=](const grid& g, const path& p) {
      return dpm_solver(g, order, p.between, dpm_solver_rule{.row = row});
    };
  };
  const auto plain = [](auto plan) { return [=](const grid& g, const path&) { return plan(g); }; };
  std::vector<method> all{
      one_step("DDIM", 1, plain([](const grid& g) { return ddim(g); })),
      one_step("DPM-Solver-2", 2, solver(2, noise_row)),
      one_step("DPM-Solver-3", 3, solver(3, noise_row)),
      one_step("DPM-Solver++ 2S", 2, solver(2, clean_row)),
      one_step("DPM-Solver++ 3S", 3, solver(3, clean_row)),
      {"DPM-Solver++ 2M", plain([](const grid& g) { return dpm_solver_plus_plus(g, 2); }), 2, 2},
      {"DPM-Solver++ 3M as published", plain([](const grid& g) {
         return dpm_solver_plus_plus(g, 3, second_order_term::halved, third_order_term::published);
       }),
       2, 2},
      {"DPM-Solver++ 3M", plain([](const grid& g) { return dpm_solver_plus_plus(g, 3); }), 3, 2},
      {"exponential Adams 4", plain([](const grid& g) { return exponential_adams(g, 4); }), 4, 2}};
  for (int p = 1; p <= 3; ++p)
    all.push_back({"UniP-" + std::to_string(p), plain([p](const grid& g) { return unip(g, p); }),
                   static_cast<double>(p), std::min(p, 2) * 1.0});
  for (int p = 1; p <= 3; ++p)
    all.push_back({"UniPC-" + std::to_string(p), plain([p](const grid& g) { return unipc(g, p); }),
                   p + 1.0, std::min(p + 1, 3) * 1.0});
  all.push_back(one_step("ETD 2 (RES 2s)", 2, etd(etd2())));
  all.push_back(one_step("ETD 3 (RES 3s)", 3, etd(etd3())));
  all.push_back(one_step("Cox-Matthews", 4, etd(cox_matthews())));
  all.push_back(one_step("Krogstad", 4, etd(krogstad())));
  all.push_back(one_step("Heun in sigma", 2, rk(heun_tableau, noise_row)));
  all.push_back(one_step("Ralston in sigma", 2, rk(ralston_tableau, noise_row)));
  all.push_back(one_step("DPM2 (KDPM2)", 2,
                         [](const grid& g, const path& p) { return dpm_2(g, p.between); }));
  all.push_back(one_step("Kutta in sigma", 4, rk(kutta_tableau, noise_row)));
  all.push_back(one_step("midpoint in flow time", 2, rk(midpoint_tableau, straight_row)));
  all.push_back(one_step("Kutta in flow time", 4, rk(kutta_tableau, straight_row)));
  for (int k = 2; k <= 4; ++k)
    all.push_back({"LMS-" + std::to_string(k), plain([k](const grid& g) { return lms(g, k); }),
                   static_cast<double>(k), 2});
  all.push_back({"PLMS", plain([](const grid& g) { return plms(g); }), 2, 2});
  all.push_back({"DEIS tAB1", [](const grid& g, const path& p) { return p.deis_2(g); }, 2, 2});
  return all;
}

constexpr int steps[] = {20, 40, 80, 160, 320, 640, 1280};

std::vector<double> errors(const method& m, const path& p, bool exact_start) {
  std::vector<double> out;
  for (const int n : steps) {
    const grid nodes = p.nodes(n);
    const program plan = m.plan(exact_start ? exactly_started(nodes, p.between) : nodes, p);
    const double error = error_of(plan, p, nodes.back().level);
    if (n > 320 && error < 1e-9) break;
    out.push_back(error);
  }
  return out;
}

double slope_of(const std::vector<double>& e) { return std::log2(e[e.size() - 2] / e.back()); }

struct stochastic_method {
  std::string name;
  std::function<program(const grid&)> plan;
  double order;
};

std::vector<stochastic_method> stochastic_methods() {
  const auto sde = [](int order, third_order_term third = third_order_term::exact) {
    return [=](const grid& g) {
      return sde_dpm_solver_plus_plus(g, order, 1, second_order_term::halved, third);
    };
  };
  const auto two_stage = [](stage_noise how) {
    return [=](const grid& g) { return dpmpp_sde(g, noise_level_nodes, {.noise = how}); };
  };
  return {{"Euler-Maruyama", [](const grid& g) { return euler_maruyama(edm_schedule{}, g); }, 1},
          {"Euler ancestral = DDPM", [](const grid& g) { return euler_ancestral(g); }, 1},
          {"SDE-DPM-Solver++ 2M", sde(2), 2},
          {"SDE-DPM-Solver++ 3M as published", sde(3, third_order_term::published), 2},
          {"SDE-DPM-Solver++ 3M", sde(3), 2},
          {"dpmpp_sde, one Brownian path", two_stage(stage_noise::one_path), 2},
          {"dpmpp_sde, independent noise", two_stage(stage_noise::independent), 1},
          {"ER-SDE-1", [](const grid& g) { return er_sde(g, 1, sde_noise_scale); }, 1},
          {"ER-SDE-2", [](const grid& g) { return er_sde(g, 2, sde_noise_scale); }, 2},
          {"ER-SDE-3", [](const grid& g) { return er_sde(g, 3, sde_noise_scale); }, 2}};
}

// Relative error of the end variance for data N(0, 1/4), levels 20 to 0.05 in equal ratios.
double variance_error(const stochastic_method& m, int n) {
  grid nodes;
  for (const double level : exponential_levels(n + 1, 20, 0.05))
    nodes.push_back(noise_level_nodes(level));
  const double variance = 0.25;
  const double end =
      law(m.plan(nodes), gaussian_denoiser(0, variance), {0, variance + 400}).result.variance;
  return end / (variance + 0.05 * 0.05) - 1;
}

}  // namespace

int main() {
  int off = 0;
  const auto flag = [&off](double slope, double order) {
    const bool bad = std::abs(slope - order) > 0.15;
    off += bad;
    return bad ? '!' : ' ';
  };
  const std::vector<path> all = paths();
  // The table has every method; in the picture one or two of each order can be told apart.
  const std::set<std::string> drawn{"DDIM",
                                    "Heun in sigma",
                                    "PLMS",
                                    "DPM-Solver++ 2M",
                                    "DPM-Solver++ 3M as published",
                                    "DPM-Solver++ 3M",
                                    "UniPC-3",
                                    "exponential Adams 4",
                                    "Kutta in sigma"};
  std::vector<support::curve> curves;
  std::printf("%-30s %10s %10s |%5s %6s %6s %6s |%5s %6s %6s %6s\n", "", "VP, exact start", "", "",
              "exact", "start", "", "", "ramp", "start", "");
  std::printf("%-30s %10s %10s |%5s %6s %6s %6s |%5s %6s %6s %6s\n", "method", "N = 20", "N = 320",
              "order", "VP", "VE", "RF", "order", "VP", "VE", "RF");
  for (const method& m : methods()) {
    const bool has_history = m.order != m.ramp_order || m.name.find('M') != std::string::npos;
    std::string exact, ramp;
    std::vector<double> first;
    for (const path& p : all) {
      char text[32];
      const std::vector<double> e = errors(m, p, has_history);
      if (first.empty()) first = e;
      std::snprintf(text, sizeof text, " %5.2f%c", slope_of(e), flag(slope_of(e), m.order));
      exact += text;
      const double ramped = has_history ? slope_of(errors(m, p, false)) : slope_of(e);
      std::snprintf(text, sizeof text, " %5.2f ", ramped);
      ramp += text;
    }
    std::printf("%-30s %10.2e %10.2e |%5g%s |%5g%s\n", m.name.c_str(), first.front(), first[4],
                m.order, exact.c_str(), m.ramp_order, ramp.c_str());
    if (!drawn.contains(m.name)) continue;
    support::curve curve{m.name, {}, first};
    for (std::size_t i = 0; i < first.size(); ++i) curve.x.push_back(steps[i]);
    curves.push_back(std::move(curve));
  }
  std::printf("\n%-34s %12s %6s %6s\n", "relative error of the variance", "N = 640", "order",
              "slope");
  for (const stochastic_method& m : stochastic_methods()) {
    const double coarse = variance_error(m, 640);
    const double slope = std::log2(coarse / variance_error(m, 1280));
    std::printf("%-34s %+12.1e %6g %5.2f%c\n", m.name.c_str(), coarse, m.order, slope,
                flag(slope, m.order));
  }
  support::plot("convergence_orders.png",
                "set logscale xy\nset xlabel 'steps'\nset ylabel 'error'\nset key top right\nset "
                "xrange [10:20000]\nset "
                "format y '%.0e'",
                curves, "linespoints");
  return off == 0 ? 0 : 1;
}
