// What the explorer's page asks of the library: plain functions of numbers, flat arrays, no page.
//
//   tables of names and makers      explorer_count, explorer_name, explorer_title, explorer_code
//   a program of four choices       explorer_plan, then explorer_formulas, explorer_levels
//   particles on a plane            explorer_particles, explorer_density
//   Gaussian data without particles explorer_law
//   error against network calls     explorer_errors
//   pictures known by heart         explorer_remember, explorer_pictures
//
// A function that answers with numbers leaves them in one array, explorer_answer(), and returns how many; -1 is a
// refusal, whose reason explorer_text() says. States are shown in the gauge alpha^2 + sigma^2 = 1, so that every
// schedule's particles start as N(0, I) and end as data.
#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <iterator>
#include <limits>
#include <memory>
#include <numbers>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "tweedie/distribution/normal_divergence.hpp"
#include "tweedie/grid/named.hpp"
#include "tweedie/grid/published.hpp"
#include "tweedie/grid/spacing.hpp"
#include "tweedie/guidance/classifier_free.hpp"
#include "tweedie/guidance/exact.hpp"
#include "tweedie/oracle/empirical.hpp"
#include "tweedie/oracle/mixture.hpp"
#include "tweedie/program/generated.hpp"
#include "tweedie/program/print.hpp"
#include "tweedie/sampler/ancestral.hpp"
#include "tweedie/sampler/corrector.hpp"
#include "tweedie/sampler/ddim.hpp"
#include "tweedie/sampler/ddpm.hpp"
#include "tweedie/sampler/dpm_solver.hpp"
#include "tweedie/sampler/er_sde.hpp"
#include "tweedie/sampler/exponential_runge_kutta.hpp"
#include "tweedie/sampler/heun.hpp"
#include "tweedie/sampler/ipndm.hpp"
#include "tweedie/sampler/linear_multistep.hpp"
#include "tweedie/sampler/midpoint.hpp"
#include "tweedie/sampler/multistep.hpp"
#include "tweedie/sampler/pndm.hpp"
#include "tweedie/sampler/singlestep.hpp"
#include "tweedie/sampler/stochastic_edm.hpp"
#include "tweedie/schedule/continuous.hpp"
#include "tweedie/schedule/discrete.hpp"
#include "tweedie/solve/ode.hpp"
#include "tweedie/solve/sampling.hpp"

namespace {

using namespace tweedie;
using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

// What the page lists: a name for addresses, a title, C++ that makes it, the maker. The code of a grid makes
// its nodes, or where it says {highest} the noise levels of its nodes; the page puts numbers in braces.
template <class Maker>
struct choice {
  const char* name;
  const char* title;
  const char* code;
  Maker make;
};

using any_schedule = std::variant<discrete_schedule, rectified_flow, edm_schedule,
                                  variance_preserving_schedule, cosine_path>;
using node_maker = std::function<node(double level)>;

const std::vector<choice<std::function<any_schedule()>>>& schedules() {
  static const std::vector<choice<std::function<any_schedule()>>> table = {
      {"scaled", "Stable Diffusion (scaled linear β)", "scaled_linear_beta_schedule(1000)",
       [] { return scaled_linear_beta_schedule(1000); }},
      {"linear", "DDPM (linear β)", "linear_beta_schedule(1000)",
       [] { return linear_beta_schedule(1000); }},
      {"cosine", "Improved DDPM (cosine)", "cosine_schedule(1000)",
       [] { return cosine_schedule(1000); }},
      {"laplace", "Laplace log-SNR", "laplace_schedule(1000)",
       [] { return laplace_schedule(1000); }},
      {"flow", "Rectified flow", "rectified_flow{}", [] { return rectified_flow{}; }},
      {"edm", "EDM (σ = t)", "edm_schedule{}", [] { return edm_schedule{}; }},
      {"vp", "VP SDE", "variance_preserving_schedule{}",
       [] { return variance_preserving_schedule{}; }},
      {"trig", "Trigonometric path", "cosine_path{}", [] { return cosine_path{}; }}};
  return table;
}

// Levels over what a schedule has of [0.002, 80], the range of EDM; then clean data.
template <class Schedule, class Levels>
grid over(const Schedule& schedule, const Levels& levels, int steps) {
  const double highest = (std::min)(noise_level(schedule(schedule.noisy_time())), 80.0);
  const double lowest = (std::max)(detail::least_level(schedule), 0.002);
  return ending_clean(schedule, at_levels(schedule, levels(steps, highest, lowest)));
}

// Where a grid is one of table indices, continuous schedules have none.
template <class Maker>
auto of_tables(Maker make) {
  return [make](const any_schedule& s, int steps) {
    if (const auto* table = std::get_if<discrete_schedule>(&s)) return make(*table, steps);
    throw std::invalid_argument(
        "This grid counts the entries of a table; the schedule is continuous.");
  };
}
template <class Levels>
auto of_levels(Levels levels) {
  return [levels](const any_schedule& s, int steps) {
    return std::visit([&](const auto& schedule) { return over(schedule, levels, steps); }, s);
  };
}

using grid_maker = std::function<grid(const any_schedule&, int steps)>;

const std::vector<choice<grid_maker>>& grids() {
  static const std::vector<choice<grid_maker>> table = {
      {"karras", "Karras, ρ = 7", "karras_levels({steps}, {highest}, {lowest})",
       of_levels([](int n, double high, double low) { return karras_levels(n, high, low); })},
      {"exponential", "Even in log-SNR", "exponential_levels({steps}, {highest}, {lowest})",
       of_levels(exponential_levels)},
      {"tangent", "Tangent law (KL-optimal)", "tangent_levels({steps}, {highest}, {lowest})",
       of_levels([](int n, double high, double low) { return tangent_levels(n, high, low); })},
      {"time", "Even in time", "uniform(schedule, {steps})",
       [](const any_schedule& s, int steps) {
         return std::visit([&](const auto& schedule) { return uniform(schedule, steps); }, s);
       }},
      {"trailing", "Trailing", "trailing(schedule, {steps})", of_tables(trailing)},
      {"leading", "Leading, offset 1", "leading(schedule, {steps}, 1)",
       of_tables([](const discrete_schedule& s, int n) { return leading(s, n, 1); })},
      {"linspace", "Linspace", "linspace(schedule, {steps})", of_tables(linspace)},
      {"quadratic", "Quadratic", "quadratic(schedule, {steps})", of_tables(quadratic)},
      {"beta", "Beta quantiles (0.6, 0.6)", "beta_quantiles(schedule, {steps})",
       of_tables([](const discrete_schedule& s, int n) { return beta_quantiles(s, n); })},
      {"ays", "Align your steps (SD 1.5)",
       "published_levels(schedule, align_your_steps_sd15_levels, {steps})",
       of_tables([](const discrete_schedule& s, int n) {
         return published_levels(s, align_your_steps_sd15_levels, n);
       })}};
  return table;
}

using sampler_maker = std::function<program(const grid&, const node_maker& between)>;

const std::vector<choice<sampler_maker>>& samplers() {
  static const std::vector<choice<sampler_maker>> table = {
      {"ddim", "DDIM", "ddim(nodes)", [](const grid& g, const auto&) { return ddim(g); }},
      {"heun", "Heun", "heun(nodes)", [](const grid& g, const auto&) { return heun(g); }},
      {"dpm2", "DPM2", "dpm_2(nodes, between)",
       [](const grid& g, const node_maker& between) { return dpm_2(g, between); }},
      {"dpm-solver-2", "DPM-Solver-2", "dpm_solver(nodes, 2, between)",
       [](const grid& g, const node_maker& between) { return dpm_solver(g, 2, between); }},
      {"dpm-solver-3", "DPM-Solver-3", "dpm_solver(nodes, 3, between)",
       [](const grid& g, const node_maker& between) { return dpm_solver(g, 3, between); }},
      {"dpmpp-2s", "DPM-Solver++ 2S", "singlestep(nodes, block_orders(nodes, 2))",
       [](const grid& g, const auto&) { return singlestep(g, block_orders(g, 2)); }},
      {"dpmpp-2m", "DPM-Solver++ 2M", "dpm_solver_plus_plus(nodes, 2)",
       [](const grid& g, const auto&) { return dpm_solver_plus_plus(g, 2); }},
      {"dpmpp-3m", "DPM-Solver++ 3M", "dpm_solver_plus_plus(nodes, 3)",
       [](const grid& g, const auto&) { return dpm_solver_plus_plus(g, 3); }},
      {"unipc-2", "UniPC-2", "unipc(nodes, 2)",
       [](const grid& g, const auto&) { return unipc(g, 2); }},
      {"unipc-3", "UniPC-3", "unipc(nodes, 3)",
       [](const grid& g, const auto&) { return unipc(g, 3); }},
      {"deis", "DEIS 3", "deis(nodes, 3)", [](const grid& g, const auto&) { return deis(g, 3); }},
      {"res-2s", "RES 2s", "exponential_runge_kutta(nodes, etd2(), between)",
       [](const grid& g, const node_maker& between) {
         return exponential_runge_kutta(g, etd2(), between);
       }},
      {"krogstad", "Krogstad", "exponential_runge_kutta(nodes, krogstad(), between)",
       [](const grid& g, const node_maker& between) {
         return exponential_runge_kutta(g, krogstad(), between);
       }},
      {"lms", "LMS", "lms(nodes)", [](const grid& g, const auto&) { return lms(g); }},
      {"plms", "PLMS", "plms(nodes)", [](const grid& g, const auto&) { return plms(g); }},
      {"ipndm", "iPNDM", "ipndm(nodes)", [](const grid& g, const auto&) { return ipndm(g); }},
      {"ddpm", "DDPM", "ddpm(nodes)", [](const grid& g, const auto&) { return ddpm(g); }},
      {"euler-a", "Euler ancestral", "euler_ancestral(nodes)",
       [](const grid& g, const auto&) { return euler_ancestral(g); }},
      {"dpmpp-2m-sde", "DPM-Solver++ 2M SDE", "sde_dpm_solver_plus_plus(nodes, 2)",
       [](const grid& g, const auto&) { return sde_dpm_solver_plus_plus(g, 2); }},
      {"dpmpp-sde", "DPM-Solver++ SDE", "dpmpp_sde(nodes, between)",
       [](const grid& g, const node_maker& between) { return dpmpp_sde(g, between); }},
      {"er-sde", "ER-SDE 3", "er_sde(nodes, 3)",
       [](const grid& g, const auto&) { return er_sde(g, 3); }},
      {"edm", "EDM stochastic",
       "stochastic_edm(nodes, between, {.amount = 40, .lowest = 0.05, .highest = 10})",
       [](const grid& g, const node_maker& between) {
         return stochastic_edm(g, between, {.amount = 40, .lowest = 0.05, .highest = 10});
       }}};
  return table;
}

// One law on the plane. Round Gaussians of one deviation s around centres m_k are the centres seen through more noise:
// with v = alpha^2 s^2 + sigma^2, M = E[m | x] is the denoiser of the centres at (alpha, sqrt v), and
// E[x0 | x] = M + alpha s^2/v (x - alpha M): many times faster than the general mixture.
struct plane_law {
  oracle::mixture<double> law;
  std::optional<oracle::empirical<double>> centres;
  double deviation = 0;

  MatrixXd denoise(signal_noise level, const MatrixXd& x) const {
    if (!centres) return law.denoise(level, x);
    const auto [alpha, sigma] = level;
    const double variance = deviation * deviation;
    const double total = alpha * alpha * variance + sigma * sigma;
    const MatrixXd centre = centres->denoise({alpha, std::sqrt(total)}, x);
    return centre + alpha * variance / total * (x - alpha * centre);
  }
};

// All data, then those of each class.
using plane_data = std::vector<plane_law>;

plane_law round_law(const MatrixXd& centres, const VectorXd& weights, double deviation) {
  std::vector<oracle::component<double>> parts;
  for (Index k = 0; k < centres.cols(); ++k)
    parts.push_back({weights[k], centres.col(k),
                     MatrixXd(Eigen::Matrix2d::Identity() * (deviation * deviation))});
  return {oracle::mixture<double>(parts), oracle::empirical<double>(centres, weights), deviation};
}

// Variances 1.21 and 0.09 along axes turned by 30 degrees; given the class, 0.16 and 0.04 around the same mean.
plane_data gaussian_data() {
  const Eigen::Matrix2d turn = Eigen::Rotation2Dd(std::numbers::pi / 6).toRotationMatrix();
  const auto law = [&turn](double first, double second) {
    const Eigen::Matrix2d s = turn * Eigen::Vector2d(first, second).asDiagonal() * turn.transpose();
    return plane_law{oracle::mixture<double>({{1, Eigen::Vector2d(0.3, -0.2), s}}), {}};
  };
  return {law(1.21, 0.09), law(0.16, 0.04)};
}
// A class each, the first twice as likely as the last.
plane_data five_data() {
  MatrixXd centres(2, 5);
  for (int k = 0; k < 5; ++k) {
    const double angle = std::numbers::pi * (0.5 + 0.4 * k);
    centres.col(k) << 1.35 * std::cos(angle), 1.35 * std::sin(angle);
  }
  const VectorXd weights = VectorXd::LinSpaced(5, 2, 1);
  constexpr double deviation = 0.2;
  plane_data out{round_law(centres, weights, deviation)};
  for (int k = 0; k < 5; ++k)
    out.push_back(round_law(centres.col(k), VectorXd::Ones(1), deviation));
  return out;
}
// A moon, half a circle of Gaussians, is a class.
plane_data moons_data() {
  constexpr int parts = 10;
  MatrixXd upper(2, parts);
  for (int k = 0; k < parts; ++k) {
    const double angle = std::numbers::pi * (k + 0.5) / parts;
    upper.col(k) << 1.2 * (std::cos(angle) - 0.5), 1.2 * (std::sin(angle) - 0.25);
  }
  MatrixXd both(2, 2 * parts);
  both << upper, -upper;
  const auto law = [](const MatrixXd& centres) {
    return round_law(centres, VectorXd::Ones(centres.cols()), 0.16);
  };
  return {law(both), law(upper), law(-upper)};
}

constexpr int gaussian_row = 0;  // whose laws are known without particles

const std::vector<choice<plane_data (*)()>>& plane_choices() {
  static const std::vector<choice<plane_data (*)()>> table = {
      {"gaussian", "Gaussian", "", gaussian_data},
      {"mixture", "Five Gaussians", "", five_data},
      {"moons", "Two moons", "", moons_data}};
  return table;
}
const plane_data& data_at(int index) {
  static const std::vector<plane_data> all = [] {
    std::vector<plane_data> made;
    for (const auto& c : plane_choices()) made.push_back(c.make());
    return made;
  }();
  return all.at(static_cast<std::size_t>(index));
}

// What is asked of the data: a denoiser without the class, one with it, and the scale that mixes them. Class 0 is
// all data; w = 1 asks for the class alone.
struct question {
  int data = 0;
  int label = 0;
  double scale = 1;
  bool guided() const { return label > 0 && scale != 1; }
  const plane_law& all() const { return data_at(data).front(); }
  const plane_law& given() const { return data_at(data).at(static_cast<std::size_t>(label)); }
  MatrixXd denoise(signal_noise level, const MatrixXd& x) const {
    if (!guided()) return given().denoise(level, x);
    return (1 - scale) * all().denoise(level, x) + scale * given().denoise(level, x);
  }
};

struct plan_of_choices {
  any_schedule schedule;
  grid nodes;
  program plan;
};

plan_of_choices make_plan(int schedule, int nodes, int sampler, int steps) {
  const any_schedule s = schedules().at(static_cast<std::size_t>(schedule)).make();
  const grid g = grids().at(static_cast<std::size_t>(nodes)).make(s, steps);
  const node_maker between =
      std::visit([](const auto& of) -> node_maker { return nodes_of(of); }, s);
  return {s, g, samplers().at(static_cast<std::size_t>(sampler)).make(g, between)};
}

struct session {
  std::optional<plan_of_choices> chosen;
  std::optional<oracle::empirical<double>> pictures;
  Eigen::ArrayXi labels;
  std::vector<double> picture_input;
  std::vector<double> answer;
  std::string text;

  const program& plan() const { return chosen.value().plan; }
};
session& now() {
  static session s;
  return s;
}

// Runs `fill`, which puts numbers into the answer.
template <class Fill>
int answered(const Fill& fill) {
  session& s = now();
  s.answer.clear();
  try {
    fill(s.answer);
  } catch (const std::exception& error) {
    s.text = error.what();
    return -1;
  }
  return static_cast<int>(s.answer.size());
}

double unit_gauge(signal_noise level) { return 1 / std::hypot(level.alpha, level.sigma); }

// Standard normals times sigma of the start: what a user who has no data starts from.
MatrixXd noise_at_start(const program& plan, Index dimension, int count, int seed) {
  MatrixXd x(dimension, count);
  fill_standard_normal(x, static_cast<std::uint64_t>(seed));
  return plan.start.level.sigma * x;
}

// Runs the program from x and appends the start and each finished step, in the gauge shown. `ask` answers for one
// branch of guidance, of which a question that is not guided has one. The particles are one item to the run, whose
// noise is counted by position: the first ones stay the same however many there are.
template <class Ask>
void append_states(std::vector<double>& out, const program& plan, const question& asked,
                   const MatrixXd& x, int seed, const Ask& ask) {
  const Index d = x.rows(), count = x.cols();
  sampling<VectorXd> s(plan, {.prediction = predicts_sample}, VectorXd(x.reshaped()),
                       gaussian_noise{static_cast<std::uint64_t>(seed)},
                       asked.guided() ? guidance_scale(asked.scale) : std::vector<double>{1});
  const auto append = [&](signal_noise level) {
    const double c = unit_gauge(level);
    for (const double v : s.state()) out.push_back(c * v);
  };
  out.reserve(out.size() + static_cast<std::size_t>(x.size()) * (plan.steps() + 1));
  append(plan.start.level);
  for (;;) {
    const sampling_event event = s.advance();
    if (event == sampling_event::finished) return;
    if (event == sampling_event::step) append(s.reached().level);
    if (event == sampling_event::evaluate)
      for (std::size_t b = 0; b < s.branches(); ++b)
        s.output(b) = ask(asked.guided() && b == 0 ? 0 : asked.label, s.at().level,
                          s.input().reshaped(d, count))
                          .reshaped();
  }
}

void append_particles(std::vector<double>& out, const program& plan, const question& asked,
                      const MatrixXd& x, int seed) {
  append_states(out, plan, asked, x, seed, [&](int label, signal_noise level, const MatrixXd& in) {
    return question{asked.data, label}.given().denoise(level, in);
  });
}

// Gaussian data along an axis of the plane: all, and the class, whose axes are the same.
struct axis_laws {
  axis_gaussian all, given;
};
axis_laws along(const question& asked, Index axis) {
  const auto &all = asked.all().law.law(0), &given = asked.given().law.law(0);
  const auto direction = given.axes().col(axis);
  return {{direction.dot(all.mean()), all.variances()[axis]},
          {direction.dot(given.mean()), given.variances()[axis]}};
}

// Law of the program's samples along it.
program_law law_along(const program& plan, const question& asked, Index axis, start_law start) {
  const auto [all, given] = along(asked, axis);
  const auto d_all = gaussian_denoiser(all.mean, all.variance);
  const auto d_given = gaussian_denoiser(given.mean, given.variance);
  const double w = asked.guided() ? asked.scale : 1;
  return law(
      plan,
      [&](const node& at) {
        const affine_denoiser u = d_all(at), c = d_given(at);
        return affine_denoiser{(1 - w) * u.gain + w * c.gain, (1 - w) * u.offset + w * c.offset};
      },
      law_of_start(plan, {given.mean, given.variance}, start));
}

double log_variance(const scalar_law& l) { return std::log(l.variance); }

double gaussian_distance(const std::vector<scalar_law>& a, const std::vector<scalar_law>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    sum += normal_transport(a[i].mean, log_variance(a[i]), b[i].mean, log_variance(b[i]));
  return std::sqrt(sum);
}

// Where the probability flow takes noise from `start` to clean data, along the angle of sigma/alpha:
// dx/da = cos(a) E[z|x] - sin(a) E[x0|x]. Below an angle of 0.001 the denoiser is what is left to do.
MatrixXd exact_ends(const question& asked, signal_noise start, const MatrixXd& normals) {
  constexpr double last = 1e-3;
  const double first = std::atan2(start.sigma, start.alpha);
  const auto level = [](double angle) {
    return signal_noise{angle == std::numbers::pi / 2 ? 0 : std::cos(angle), std::sin(angle)};
  };
  const auto rate = [&](double angle, const VectorXd& y) {
    const MatrixXd x = y.reshaped(normals.rows(), normals.cols());
    const auto [alpha, sigma] = level(angle);
    const MatrixXd clean = asked.denoise({alpha, sigma}, x);
    return VectorXd((alpha * (x - alpha * clean) / sigma - sigma * clean).reshaped());
  };
  const VectorXd from = (level(first).sigma * normals).reshaped();
  const VectorXd to = integrate(rate, from, first, last, {1e-8, 1e-8}).state;
  return asked.denoise(level(last), to.reshaped(normals.rows(), normals.cols()));
}

// The ends of trajectories that were last asked for.
const MatrixXd& cached_ends(const question& asked, signal_noise start, const MatrixXd& normals) {
  struct entry {
    question asked;
    double level;
    MatrixXd ends;
  };
  static std::vector<entry> kept;
  const double level = noise_level(start);
  for (const entry& e : kept)
    if (e.asked.data == asked.data && e.asked.label == asked.label &&
        e.asked.scale == asked.scale && e.level == level)
      return e.ends;
  if (kept.size() >= 32) kept.clear();
  kept.push_back({asked, level, exact_ends(asked, start, normals)});
  return kept.back().ends;
}

double error_of(const program& plan, const question& asked) {
  if (asked.data == gaussian_row && !asked.guided()) {
    std::vector<scalar_law> made, wanted;
    for (Index axis = 0; axis < 2; ++axis) {
      const axis_gaussian given = along(asked, axis).given;
      made.push_back(law_along(plan, asked, axis, start_law::marginal).result);
      wanted.push_back({given.mean, given.variance});
    }
    return gaussian_distance(made, wanted);
  }
  constexpr int count = 64;
  MatrixXd normals(2, count);
  fill_standard_normal(normals, 1);
  const MatrixXd& ends = cached_ends(asked, plan.start.level, normals);
  std::vector<double> states;
  append_particles(states, plan, asked, plan.start.level.sigma * normals, 1);
  const Eigen::Map<const MatrixXd> made(&*(states.end() - 2 * count), 2, count);
  return std::sqrt((made - ends).squaredNorm() / count);
}

const char* text_of(std::string text) {
  now().text = std::move(text);
  return now().text.c_str();
}

// Calls `use` with table `which`: 0 schedules, 1 grids, 2 samplers, 3 data.
template <class Use>
auto with_table(int which, const Use& use) {
  switch (which) {
    case 0: return use(schedules());
    case 1: return use(grids());
    case 2: return use(samplers());
    default: return use(plane_choices());
  }
}

}  // namespace

extern "C" {

/// Rows of a table: 0 schedules, 1 grids, 2 samplers, 3 data on the plane.
int explorer_count(int table) {
  return with_table(table, [](const auto& t) { return static_cast<int>(t.size()); });
}
/// Of row i: its name in addresses, its title, the C++ that makes it.
const char* explorer_name(int table, int i) {
  return with_table(table, [i](const auto& t) { return t.at(static_cast<std::size_t>(i)).name; });
}
const char* explorer_title(int table, int i) {
  return with_table(table, [i](const auto& t) { return t.at(static_cast<std::size_t>(i)).title; });
}
const char* explorer_code(int table, int i) {
  return with_table(table, [i](const auto& t) { return t.at(static_cast<std::size_t>(i)).code; });
}
/// Classes of data on the plane, by 1, 2, ...
int explorer_classes(int data) { return static_cast<int>(data_at(data).size()) - 1; }

/// The reason of the last refusal, or the text last asked for.
const char* explorer_text() { return now().text.c_str(); }
/// The numbers last answered.
const double* explorer_answer() { return now().answer.data(); }

/// Plans; answers {steps, evaluations, draws, registers}. The choice before stays where this one is refused.
int explorer_plan(int schedule, int nodes, int sampler, int steps) {
  return answered([&](std::vector<double>& out) {
    now().chosen = make_plan(schedule, nodes, sampler, steps);
    const program& p = now().plan();
    out = {static_cast<double>(p.steps()), static_cast<double>(p.evaluations()),
           static_cast<double>(p.draws.size()), static_cast<double>(p.registers)};
  });
}

/// Whether each sampler takes these choices: 0 refused, 1 taken, 2 taken and draws noise.
int explorer_fits(int schedule, int nodes, int steps) {
  return answered([&](std::vector<double>& out) {
    for (int i = 0; i < explorer_count(2); ++i) try {
        out.push_back(make_plan(schedule, nodes, i, steps).plan.draws.empty() ? 1 : 2);
      } catch (const std::exception&) {
        out.push_back(0);
      }
  });
}

/// The program as formulas.
const char* explorer_formulas() {
  std::ostringstream out;
  out << now().plan();
  return text_of(out.str());
}

/// {time, alpha, sigma} of the start and of each finished step.
int explorer_levels() {
  return answered([](std::vector<double>& out) {
    const auto add = [&out](const node& n) {
      out.insert(out.end(), {n.time, n.level.alpha, n.level.sigma});
    };
    add(now().plan().start);
    for (const stage& s : now().plan().stages)
      if (s.mark) add(s.mark->at);
  });
}

/// Particles from pure noise: {x, y} of each at the start, then after each step.
int explorer_particles(int data, int label, double scale, int count, int seed) {
  return answered([&](std::vector<double>& out) {
    const program& plan = now().plan();
    append_particles(out, plan, {data, label, scale}, noise_at_start(plan, 2, count, seed), seed);
  });
}

/// Density of the noised data in the gauge of the particles, at the middles of size x size cells of
/// [-extent, extent]^2, by rows from the top.
int explorer_density(int data, int label, double alpha, double sigma, int size, double extent) {
  return answered([&](std::vector<double>& out) {
    const double c = unit_gauge({alpha, sigma});
    const oracle::mixture<double> of =
        question{data, label}.given().law.noised({c * alpha, c * sigma});
    const double cell = 2 * extent / size;
    MatrixXd x(2, size * size);
    for (int row = 0; row < size; ++row)
      for (int column = 0; column < size; ++column)
        x.col(row * size + column) << (column + 0.5) * cell - extent, extent - (row + 0.5) * cell;
    VectorXd sum = VectorXd::Zero(x.cols());
    for (std::size_t k = 0; k < of.components(); ++k)
      sum.array() += of.weight(k) * of.law(k).log_density({1, 0}, x).array().exp();
    out.assign(sum.data(), sum.data() + sum.size());
  });
}

/// Gaussian data, from pure noise, without particles. First {W2, KL} of the program's law to that of the class, in nats.
/// Then for each axis {mean, variance} of the data, of the class, of what guidance is said to sample and of the
/// program's end, and after that, for the start and each step, {variance of the program, variance of the noised class}
/// in the gauge of the particles.
int explorer_law(int label, double scale) {
  return answered([&](std::vector<double>& out) {
    const question asked{gaussian_row, label, scale};
    const program& plan = now().plan();
    std::vector<scalar_law> made, wanted;
    double divergence = 0;
    out = {0, 0};
    for (Index axis = 0; axis < 2; ++axis) {
      const auto [all, given] = along(asked, axis);
      const axis_gaussian tilted = tilted_gaussian(given, all, asked.guided() ? scale : 1);
      const program_law l = law_along(plan, asked, axis, start_law::prior);
      made.push_back(l.result);
      wanted.push_back({given.mean, given.variance});
      divergence += normal_divergence(l.result.mean, log_variance(l.result), wanted.back().mean,
                                      log_variance(wanted.back()));
      out.insert(out.end(), {all.mean, all.variance, given.mean, given.variance, tilted.mean,
                             tilted.variance, l.result.mean, l.result.variance});
      const auto add = [&](signal_noise level, double variance) {
        const double c = unit_gauge(level);
        const double noised =
            level.alpha * level.alpha * wanted.back().variance + level.sigma * level.sigma;
        out.insert(out.end(), {c * c * variance, c * c * noised});
      };
      add(plan.start.level, plan.start.level.sigma * plan.start.level.sigma);
      for (const auto& [at, state] : l.marks) add(at.level, state.variance);
    }
    out[0] = gaussian_distance(made, wanted);
    out[1] = divergence;
  });
}

/// {evaluations, error} of a sampler on the grid for up to `most` evaluations, for each number of steps below 24 and
/// then for every eighth.
/// Gaussian data without guidance: W2 between the program's law and the data, started from noised data. Otherwise root
/// mean square distance of 64 trajectories from the exact ends of the same.
int explorer_errors(int schedule, int nodes, int sampler, int most, int data, int label,
                    double scale) {
  return answered([&](std::vector<double>& out) {
    const question asked{data, label, scale};
    double before = 0;
    for (int steps = 1; steps <= most; steps += steps < 24 ? 1 : 8) {
      std::optional<program> plan;
      try {
        plan = make_plan(schedule, nodes, sampler, steps).plan;
      } catch (const std::exception& error) {
        now().text = error.what();
        continue;
      }
      const auto calls = static_cast<double>(plan->evaluations());
      if (calls > most || calls <= before) continue;
      if (!plan->draws.empty() && !(data == gaussian_row && !asked.guided()))
        throw std::invalid_argument(
            "A sampler that draws fresh noise has no trajectory to compare with.");
      out.insert(out.end(), {calls, error_of(*plan, asked)});
      before = calls;
    }
    if (out.empty()) throw std::invalid_argument(now().text);
  });
}

/// Room for `count` pictures of `pixels` numbers in [-1, 1], one after another; write them there.
double* explorer_picture_input(int pixels, int count) {
  now().picture_input.resize(static_cast<std::size_t>(pixels) * static_cast<std::size_t>(count));
  return now().picture_input.data();
}
/// Takes the pictures written, which are of the classes 0, 1, ..., classes - 1, again and again.
int explorer_remember(int pixels, int classes) {
  return answered([&](std::vector<double>&) {
    std::vector<double>& in = now().picture_input;
    const Index count = static_cast<Index>(in.size()) / pixels;
    now().pictures.emplace(MatrixXd(Eigen::Map<const MatrixXd>(in.data(), pixels, count)));
    now().labels = Eigen::ArrayXi::LinSpaced(count, 0, static_cast<int>(count) - 1)
                       .unaryExpr([classes](int i) { return i % classes; });
  });
}

/// Pictures from pure noise by the exact denoiser of those known by heart, of a class by `label` >= 1: `count`
/// pictures at the start, then after each step.
int explorer_pictures(int label, double scale, int count, int seed) {
  return answered([&](std::vector<double>& out) {
    const auto& known = now().pictures.value();
    const program& plan = now().plan();
    append_states(out, plan, {0, label, scale},
                  noise_at_start(plan, known.dimension(), count, seed), seed,
                  [&](int of, signal_noise level, const MatrixXd& in) -> MatrixXd {
                    if (level.sigma == 0) return in / level.alpha;
                    if (of == 0) return known.denoise(level, in);
                    return known.denoise(level, in, now().labels == of - 1);
                  });
  });
}

}  // extern "C"
