// Which sampler, on which grid, for so many network calls?
//
// Three models: an exact mixture of Gaussians, pictures of digits known by heart, and a small network trained on such
// pictures. On each, every pair of 9 grids and 21 deterministic samplers, as published, is held against the exact end of
// the same trajectories: root mean square error over samples and coordinates. Beside them, the sampler in fashion on a
// grid made for the model (optimal_grid, from records alone) and steps fitted to it (optimal_program), both from other
// seeds than those they are judged on.
//
// Prints how many times the error of the best pair of each model a pair makes (errors below 0.001 count as 0.001;
// geometric mean over the models), the pair to take for each budget, and writes which_sampler.png.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <limits>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "support/glyphs.hpp"
#include "support/gnuplot.hpp"
#include "support/memorised.hpp"
#include "support/open_network.hpp"
#include "tweedie/optimal.hpp"
#include "tweedie/oracle/mixture.hpp"
#include "tweedie/tweedie.hpp"

namespace {

using namespace tweedie;
using Eigen::MatrixXd;
using Eigen::MatrixXf;

const discrete_schedule& schedule() {
  static const discrete_schedule s = scaled_linear_beta_schedule(1000);
  return s;
}
const auto between = nodes_of(schedule());

using make_grid = std::function<grid(int steps)>;
using make_program = std::function<program(const grid&)>;

const std::vector<std::pair<std::string, make_grid>> grids = {
    {"leading", [](int n) { return leading(schedule(), n, 1); }},
    {"linspace", [](int n) { return linspace(schedule(), n); }},
    {"trailing", [](int n) { return trailing(schedule(), n); }},
    {"Karras", [](int n) { return karras(schedule(), n); }},
    {"exponential", [](int n) { return exponential(schedule(), n); }},
    {"beta", [](int n) { return beta_quantiles(schedule(), n); }},
    {"AYS", [](int n) { return published_levels(schedule(), align_your_steps_sd15_levels, n); }},
    {"GITS", [](int n) { return gits(schedule(), n); }},
    {"KL optimal", [](int n) { return kl_optimal(schedule(), n); }}};

const std::vector<std::pair<std::string, make_program>> samplers = {
    {"DDIM", [](const grid& g) { return ddim(g); }},
    {"Heun", [](const grid& g) { return heun(g); }},
    {"Heun++", [](const grid& g) { return heun_plus_plus(g); }},
    {"DPM2", [](const grid& g) { return dpm_2(g, between); }},
    {"DPM-Solver-2", [](const grid& g) { return dpm_solver(g, 2, between); }},
    {"DPM-Solver-3", [](const grid& g) { return dpm_solver(g, 3, between); }},
    {"DPM++ 2S", [](const grid& g) { return singlestep(g, block_orders(g, 2)); }},
    {"DPM++ 2M", [](const grid& g) { return dpm_solver_plus_plus(g, 2); }},
    {"DPM++ 3M", [](const grid& g) { return dpm_solver_plus_plus(g, 3); }},
    {"res_multistep",
     [](const grid& g) { return dpm_solver_plus_plus(g, 2, second_order_term::exact); }},
    {"DPM 2M", [](const grid& g) { return dpm_solver_multistep(g, 2); }},
    {"res_2s", [](const grid& g) { return exponential_runge_kutta(g, etd2(), between); }},
    {"res_3s", [](const grid& g) { return exponential_runge_kutta(g, etd3(), between); }},
    {"UniPC 2", [](const grid& g) { return unipc(g, 2); }},
    {"UniPC 3", [](const grid& g) { return unipc(g, 3); }},
    {"DEIS 3", [](const grid& g) { return deis(g, 3); }},
    {"LMS", [](const grid& g) { return lms(g); }},
    {"PLMS", [](const grid& g) { return plms(g); }},
    {"iPNDM", [](const grid& g) { return ipndm(g); }},
    {"iPNDM_v", [](const grid& g) { return ipndm_v(g); }},
    {"gradient est.", [](const grid& g) { return gradient_estimation(g); }}};

constexpr int budgets[] = {5, 8, 10, 20};
constexpr std::size_t budget_count = std::size(budgets);

// The program with the most steps that stays within the calls.
program within(int calls, const make_grid& nodes, const make_program& plan) {
  for (int steps = calls; steps > 1; --steps) {
    program found = plan(nodes(steps));
    if (found.evaluations() <= static_cast<std::size_t>(calls)) return found;
  }
  return plan(nodes(1));
}

struct model {
  std::string name;
  Eigen::Index dimension;
  double lowest;  // level to which pilot runs go: a network knows none below its table's
  std::function<MatrixXd(const node&, const MatrixXd&)> denoise;
  optimal_program_options fit = {};

  // A deterministic start at the noisy end and, over 200 steps, where it goes.
  pilot_runs runs(Eigen::Index samples, std::uint64_t seed, bool keep = false) const {
    MatrixXd z(dimension, samples);
    fill_standard_normal(z, seed);
    return record_pilots(schedule(), denoise, z, 200, lowest, keep);
  }
};

model gaussians() {
  constexpr Eigen::Index d = 16;
  MatrixXd z(d, 8);
  fill_standard_normal(z, 7);
  Eigen::VectorXd spectrum = Eigen::VectorXd::LinSpaced(d, 1, d).cwiseInverse();
  spectrum *= d / spectrum.sum() / 2;
  std::vector<oracle::component<double>> parts;
  for (const auto& column : z.colwise())
    parts.push_back({1, spectrum.cwiseSqrt().cwiseProduct(column), spectrum.asDiagonal()});
  return {"mixture of Gaussians", d, 2e-3,
          [data = oracle::mixture<double>(parts)](const node& at, const MatrixXd& x) {
            return data.denoise(at.level, x);
          }};
}

constexpr int side = 12;

model known_by_heart(const support::dataset& digits) {
  return {"digits known by heart",
          side * side,
          2e-3,
          [memory = support::memorised(digits.pictures.leftCols(200))](
              const node& at, const MatrixXd& x) -> MatrixXd {
            return memory.denoise(at.level, x.cast<float>()).cast<double>();
          },
          {.search = {.iterations = 4}, .starts = 1, .ways = {0, 30}}};
}

// Told no labels: all are 0.
model trained(support::dataset digits) {
  std::fill(digits.labels.begin(), digits.labels.end(), 0);
  std::vector<Eigen::Index> all(digits.labels.size());
  std::iota(all.begin(), all.end(), Eigen::Index{0});
  const auto network = std::make_shared<support::open_network>(support::trained(digits, all, 1500));
  return {"trained network",
          side * side,
          0,
          [network](const node& at, const MatrixXd& x) -> MatrixXd {
            const auto count = static_cast<std::size_t>(x.cols());
            const std::vector<double> angle(count, std::atan2(at.level.sigma, at.level.alpha));
            const std::vector<int> label(count);
            support::open_network::activations a;
            return network
                ->forward(support::open_network::told(x.cast<float>(), angle, label, false), a)
                .cast<double>();
          },
          {.search = {.iterations = 4}, .starts = 1, .ways = {0, 30}}};
}

// Errors of a method: of each model, at each budget.
struct row {
  std::string name;
  std::vector<std::vector<double>> errors = {};
};

// Errors over the best of the published pairs, which come first in `rows`: geometric means over models.
std::vector<double> ratios(const row& method, const std::vector<row>& rows, std::size_t pairs) {
  constexpr double counts = 1e-3;
  std::vector<double> out;
  for (std::size_t b = 0; b < budget_count; ++b) {
    double sum = 0;
    for (std::size_t m = 0; m < method.errors.size(); ++m) {
      double best = std::numeric_limits<double>::infinity();
      for (std::size_t i = 0; i < pairs; ++i) best = std::min(best, rows[i].errors[m][b]);
      sum += std::log(std::max(method.errors[m][b], counts) / std::max(best, counts));
    }
    out.push_back(std::exp(sum / static_cast<double>(method.errors.size())));
  }
  return out;
}
double mean_logarithm(const std::vector<double>& v) {
  return std::accumulate(v.begin(), v.end(), 0.0,
                         [](double sum, double x) { return sum + std::log(x); }) /
         static_cast<double>(v.size());
}

support::panel panel_of(const std::vector<row>& rows, std::size_t pairs, const std::string& name,
                        std::size_t model, const std::vector<std::size_t>& shown) {
  constexpr const char* colours[] = {"#d95f02", "#7570b3", "#1b9e77", "#66a61e", "#000000"};
  support::curve all{"each of the 189 pairs", {}, {}, "lines lw 1 lc rgb '#d4d4d4'"};
  support::curve least{"the best of them", {}, {}, "points pt 7 ps 1.2 lc rgb '#808080'"};
  for (std::size_t b = 0; b < budget_count; ++b) {
    least.x.push_back(budgets[b]);
    least.y.push_back(std::numeric_limits<double>::infinity());
  }
  for (std::size_t i = 0; i < pairs; ++i) {
    for (std::size_t b = 0; b < budget_count; ++b) {
      all.x.push_back(budgets[b]);
      all.y.push_back(rows[i].errors[model][b]);
      least.y[b] = std::min(least.y[b], all.y.back());
    }
    all.x.push_back(budgets[0]);
    all.y.push_back(std::numeric_limits<double>::quiet_NaN());  // lifts the pen
  }
  support::panel out{
      "set title '" + name + "'\nset logscale xy\nset xrange [4.7:21]\n" +
          "set yrange [3e-5:1]\nset xtics (5, 8, 10, 20)\n" +
          "set format y '10^{%T}'\nset xlabel 'network calls'\n" +
          (model == 0 ? "set ylabel 'root mean square error'\nset key bottom left noenhanced"
                      : "unset ylabel\nunset key"),
      {all, least}};
  for (std::size_t k = 0; k < shown.size(); ++k) {
    const bool fitted = shown[k] >= pairs;
    support::curve c{rows[shown[k]].name,
                     {},
                     {},
                     "linespoints pt 7 ps 0.8 lw " + std::string(fitted ? "3.5" : "2") +
                         " lc rgb '" + (fitted ? "#e7298a" : colours[k % std::size(colours)]) +
                         "'"};
    for (std::size_t b = 0; b < budget_count; ++b) {
      c.x.push_back(budgets[b]);
      c.y.push_back(rows[shown[k]].errors[model][b]);
    }
    out.curves.push_back(std::move(c));
  }
  return out;
}

}  // namespace

int main() {
  const support::dataset digits = support::draw_digits({.side = side, .pictures = 2000});
  const std::vector<model> models = {gaussians(), known_by_heart(digits), trained(digits)};
  std::vector<row> rows;
  for (const auto& [sampler, plan] : samplers)
    for (const auto& [nodes, make] : grids) rows.push_back({sampler + ", " + nodes});
  const std::size_t pairs = rows.size();
  rows.push_back({"DPM++ 2M, optimal_grid"});
  rows.push_back({"optimal_program"});

  for (const model& m : models) {
    for (row& r : rows) r.errors.emplace_back();
    const pilot_runs judges = m.runs(64, 1), pilots = m.runs(64, 2, true);
    for (const int calls : budgets) {
      std::size_t at = 0;
      const auto enter = [&](const program& plan) {
        const double error = end_error(plan, m.denoise, judges);
        rows[at++].errors.back().push_back(std::isfinite(error) ? error : 1e9);
      };
      for (const auto& [sampler, plan] : samplers)
        for (const auto& [nodes, make] : grids) enter(within(calls, make, plan));
      enter(dpm_solver_plus_plus(optimal_grid(pilots, calls, recorded_planner::multistep), 2));
      enter(optimal_program(schedule(), calls, m.denoise, pilots, m.fit).plan);
    }
  }

  std::vector<std::vector<double>> ratio;
  for (const row& r : rows) ratio.push_back(ratios(r, rows, pairs));
  std::vector<std::size_t> ranked(rows.size());
  std::iota(ranked.begin(), ranked.end(), std::size_t{0});
  std::stable_sort(ranked.begin(), ranked.end(), [&](std::size_t i, std::size_t j) {
    return mean_logarithm(ratio[i]) < mean_logarithm(ratio[j]);
  });
  const auto named = [&](const std::string& name) {
    return static_cast<std::size_t>(
        std::find_if(rows.begin(), rows.end(), [&](const row& r) { return r.name == name; }) -
        rows.begin());
  };
  const std::size_t usual = named("DPM++ 2M, Karras");

  std::printf("error / that of the best pair of the model\n");
  std::printf("rank  %-26s", "calls:");
  for (const int calls : budgets) std::printf(" %6d", calls);
  std::printf("\n");
  for (std::size_t k = 0; k < ranked.size(); ++k) {
    const std::size_t i = ranked[k];
    if (k >= 12 && i < pairs && i != usual && i != named("DDIM, leading") &&
        i != named("UniPC 2, leading"))
      continue;
    std::printf("%4zu  %-26s", k + 1, rows[i].name.c_str());
    for (const double r : ratio[i]) std::printf(" %6.2f", r);
    std::printf("\n");
  }

  std::printf("\nwhat to take\n");
  std::vector<std::size_t> advice;
  for (std::size_t b = 0; b < budget_count; ++b) {
    std::size_t best = 0;
    for (std::size_t i = 0; i < pairs; ++i)
      if (ratio[i][b] < ratio[best][b]) best = i;
    advice.push_back(best);
    std::printf("%2d calls: %s (%.2f)", budgets[b], rows[best].name.c_str(), ratio[best][b]);
    if (ratio[pairs + 1][b] < ratio[best][b])
      std::printf("; steps fitted to the model (%.2f)", ratio[pairs + 1][b]);
    std::printf("\n");
  }

  bool fitted_wins = true, one_for_all = true, usual_is_twice = true;
  for (std::size_t b = 0; b < budget_count; ++b) {
    for (std::size_t i = 0; i < pairs; ++i)
      fitted_wins &= rows[pairs + 1].errors[0][b] < rows[i].errors[0][b];
    one_for_all &= advice[b] == advice[0];
    usual_is_twice &= b < 2 || ratio[usual][b] > 2 * ratio[advice[b]][b];
  }
  const auto say = [](bool yes) { return yes ? "yes" : "no"; };
  std::printf("one pair is the best of all at every budget: %s\n", say(one_for_all));
  std::printf(
      "from 10 calls on DPM++ 2M on Karras errs more than twice as much as the pair to take: %s\n",
      say(usual_is_twice));
  std::printf("steps fitted to the mixture beat all pairs there, on other seeds: %s\n",
              say(fitted_wins));

  std::vector<std::size_t> shown = {named("DDIM, leading"), usual};
  for (const std::size_t i : ranked)
    if (i < pairs && shown.size() < 4) shown.push_back(i);
  shown.push_back(pairs + 1);
  std::vector<support::panel> panels;
  for (std::size_t m = 0; m < models.size(); ++m)
    panels.push_back(panel_of(rows, pairs, models[m].name, m, shown));
  support::plot_panels("which_sampler.png", panels, 1500, 560);
}
