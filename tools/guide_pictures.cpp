// Draws the pictures of docs/guide: guide_pictures FOLDER, as a rule docs/pictures/guide. Needs gnuplot.
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "support/gnuplot.hpp"
#include "tweedie/distribution/normal_divergence.hpp"
#include "tweedie/guidance/exact.hpp"
#include "tweedie/objective/adversarial.hpp"
#include "tweedie/oracle.hpp"
#include "tweedie/tweedie.hpp"

namespace {

using namespace tweedie;
using Eigen::MatrixXd;
using Eigen::VectorXd;

std::filesystem::path folder;

// Side by side, small enough for a page.
void draw(const std::string& name, const std::vector<support::panel>& panels) {
  support::plot_panels(folder / (name + ".png"), panels, 900, 380);
}

template <class Function>
support::curve sampled(const std::string& title, double from, double to, const Function& f,
                       const std::string& style = {}) {
  support::curve out{title, {}, {}, style};
  constexpr int pieces = 400;
  for (int i = 0; i <= pieces; ++i) {
    out.x.push_back(from + (to - from) * i / pieces);
    out.y.push_back(f(out.x.back()));
  }
  return out;
}

// Two Gaussians of equal weight on the line, at -centre and centre.
oracle::mixture<double> two_peaks(double centre, double deviation) {
  const MatrixXd variance = MatrixXd::Constant(1, 1, deviation * deviation);
  return oracle::mixture<double>({{0.5, VectorXd::Constant(1, -centre), variance},
                                  {0.5, VectorXd::Constant(1, centre), variance}});
}

support::curve points(const MatrixXd& x) {
  support::curve out{"", {}, {}, "points pt 7 ps 0.3"};
  for (const auto& column : x.colwise()) {
    out.x.push_back(column(0));
    out.y.push_back(column(1));
  }
  return out;
}

void latents() {
  const MatrixXd covariance = (MatrixXd(2, 2) << 2, 1.2, 1.2, 1).finished();
  const oracle::gaussian<double> data(VectorXd::Zero(2), covariance);
  const auto vae = oracle::best_linear_vae(data, 1, 0.5);
  const std::string ranges = "set xrange [-5:5]\nset yrange [-4:4]\nset title ";
  draw("01_latent",
       {{ranges + "'data'", {points(data.sample(600, {.seed = 1}))}},
        {ranges + "'decoder means'", {points(vae.law_of_means().sample(600, {.seed = 2}))}},
        {ranges + "'samples of p(x|z)'", {points(vae.law_of_samples().sample(600, {.seed = 3}))}}});
}

void games() {
  const oracle::mixture<double> data = two_peaks(1.5, 0.3);
  const auto normal = [](double m, double s) {
    return [=](double x) { return std::exp(normal_log_density(x, m, 2 * std::log(s))); };
  };
  const auto play = [](const std::string& title, double gamma) {
    support::curve out{title, {}, {}};
    double theta = 1, psi = 1;
    for (int i = 0; i < 500; ++i) {
      out.x.push_back(theta);
      out.y.push_back(psi);
      const minimax_game game;
      const double judged = game.fake_slope(psi * theta) * theta,
                   moved = game.generator_slope(psi * theta) * psi;
      psi -= 0.1 * (judged + gamma * psi);
      theta -= 0.1 * moved;
    }
    return out;
  };
  draw("02_adversarial",
       {{"set key top left\nset xlabel 'x'\nset ylabel 'density'",
         {sampled("data", -5, 5,
                  [&](double x) {
                    return std::exp(data.log_density({1, 0}, VectorXd::Constant(1, x)));
                  }),
          sampled("likelihood", -5, 5, normal(0, 1.5297)),
          sampled("game", -5, 5, normal(1.5, 0.3))}},
        {"set key top right\nset yrange [-2.5:3.5]\nset xlabel 'generator'\nset ylabel "
         "'discriminator'",
         {play("no penalty", 0), play("R1", 1)}}});
}

void schedules() {
  std::vector<support::curve> signal, ratio;
  for (const auto& [name, schedule] : {std::pair{"linear", linear_beta_schedule(1000)},
                                       {"scaled linear", scaled_linear_beta_schedule(1000)},
                                       {"cosine", cosine_schedule(1000)}}) {
    support::curve a{name, {}, {}}, r{name, {}, {}};
    for (int k = 0; k < 1000; ++k) {
      a.x.push_back(step_of_index(k));
      a.y.push_back(schedule.alpha_bar(k));
      r.x.push_back(step_of_index(k));
      r.y.push_back(log_snr(schedule.at(k)));
    }
    signal.push_back(a);
    ratio.push_back(r);
  }
  draw("03_forward", {{"set xtics 250\nset xlabel 'step'\nset ylabel 'alpha bar'", signal},
                      {"set ylabel 'log-SNR'\nset yrange [-12:12]", ratio}});
}

void posterior_means() {
  const oracle::mixture<double> data = two_peaks(1, 0.1);
  const discrete_schedule schedule = linear_beta_schedule(1000);
  std::vector<support::curve> densities, means;
  for (const int t : {50, 200, 400}) {
    const signal_noise level = schedule.at(index_of_step(t));
    const std::string title = "t = " + std::to_string(t);
    densities.push_back(sampled(title, -3, 3, [&](double x) {
      return std::exp(data.log_density(level, VectorXd::Constant(1, x)));
    }));
    means.push_back(sampled(title, -3, 3, [&](double x) {
      return data.denoise(level, MatrixXd::Constant(1, 1, x))(0);
    }));
  }
  draw("04_tweedie", {{"set xlabel 'x'\nset ylabel 'density'", densities},
                      {"set ylabel 'E[x0|x]'\nset key bottom right", means}});
}

// Deviations of the states of a reverse chain for data N(0, 0.25) from N(0, 1): `coefficient` of the predicted noise.
template <class Coefficient>
support::curve chain(const std::string& title, bool noisy, const Coefficient& coefficient) {
  const discrete_schedule schedule = linear_beta_schedule(1000);
  support::curve out{title, {}, {}};
  double deviation = 1;
  for (int k = 999; k >= 0; --k) {
    const auto [alpha, sigma] = schedule.at(k);
    const double beta = schedule.beta(k), gain = sigma / (alpha * alpha * 0.25 + sigma * sigma);
    deviation = std::hypot(deviation * (1 - coefficient(beta, sigma) * gain) / std::sqrt(1 - beta),
                           noisy && k > 0 ? std::sqrt(beta) : 0);
    out.x.push_back(k);
    out.y.push_back(deviation);
  }
  return out;
}

void reverse_chains() {
  const auto right = [](double beta, double sigma) { return beta / sigma; };
  const auto root = [](double beta, double) { return std::sqrt(beta); };
  const std::vector<support::curve> curves{
      chain("beta/sigma, noise", true, right), chain("beta/sigma, no noise", false, right),
      chain("sqrt(beta), noise", true, root), chain("sqrt(beta), no noise", false, root)};
  draw("05_reverse", {{"set logscale y\nset yrange [1e-6:2]\nset format y '%.0e'\nset xrange "
                       "[1000:0]\nset key bottom center\n"
                       "set xlabel 't'\nset ylabel 'deviation of the states'",
                       curves}});
}

void flows() {
  const oracle::mixture<double> data = two_peaks(1, 0.15);
  std::vector<support::curve> paths, errors;
  for (int i = 1; i < 24; ++i) {
    const double z = normal_quantile(i / 24.0);
    paths.push_back(sampled(
        "", 2, -2.5,
        [&](double log_level) {
          return oracle::flow(data, {0, 1}, variance_preserving(std::exp(2 * log_level)), z);
        },
        "lines lw 1 lc rgb '#4060a0'"));
  }
  const auto error = [&](const std::string& title, const auto& plan) {
    support::curve out{title, {}, {}, "linespoints lw 2 pt 7"};
    for (const int steps : {10, 20, 40, 80, 160}) {
      grid g;
      for (int i = 0; i <= steps; ++i)
        g.push_back({0.0 + steps - i, variance_preserving(std::exp(3 - 6.0 * i / steps))});
      const auto variance = [&](signal_noise l) {
        return l.alpha * l.alpha * 0.25 + l.sigma * l.sigma;
      };
      const double made =
          law(plan(g), gaussian_denoiser(0, 0.25), {0, variance(g.front().level)}).result.variance;
      out.x.push_back(steps);
      out.y.push_back(std::abs(std::sqrt(made / variance(g.back().level)) - 1));
    }
    errors.push_back(out);
  };
  error("DDIM", [](const grid& g) { return ddim(g); });
  error("DPM-Solver++(2M)", [](const grid& g) { return dpm_solver_plus_plus(g, 2); });
  error("UniPC, order 2", [](const grid& g) { return unipc(g, 2); });
  draw("06_flow", {{"set xrange [4:-5]\nset xlabel 'log of the noise level'\nset ylabel 'x'",
                    [&] {
                      for (auto& c : paths)
                        for (double& x : c.x) x *= 2;
                      return paths;
                    }()},
                   {"set xrange [*:*]\nset logscale xy\nset format y '%.0e'\nset key bottom "
                    "left\nset xlabel 'steps'\n"
                    "set ylabel 'error of the deviation'",
                    errors}});
}

void guided_laws() {
  const auto bell = [](const std::string& title, double variance, const std::string& style = {}) {
    return sampled(
        title, -3, 3,
        [=](double x) { return std::exp(normal_log_density(x, 0.0, std::log(variance))); }, style);
  };
  draw("07_guidance",
       {{"set xlabel 'x'\nset ylabel 'density, w = 5'",
         {bell("DDIM", guided_flow_variance(1, 2, 5)), bell("DDPM", guided_sde_variance(1, 2, 5)),
          bell("tilted", tilted_gaussian({0, 1}, {0, 2}, 5).variance),
          bell("p(x|c)", 1, "lines lw 2 dt 2")}},
        {"set logscale y\nset xlabel 'w'\nset ylabel 'variance'\nset key bottom left",
         {sampled("DDIM", 0, 10, [](double w) { return guided_flow_variance(1, 2, w); }),
          sampled("DDPM", 0, 10, [](double w) { return guided_sde_variance(1, 2, w); }),
          sampled("tilted", 0, 10, [](double w) {
            return tilted_gaussian({0, 1}, {0, 2}, w).variance;
          })}}});
}

void editing() {
  const discrete_schedule schedule = scaled_linear_beta_schedule(1000);
  const auto level = [&](double strength) {
    return schedule.at(static_cast<int>(std::lround(999 * strength)));
  };
  const auto total = [](signal_noise l) { return l.alpha * l.alpha * 0.25 + l.sigma * l.sigma; };
  draw("08_latents",
       {{"set xlabel 'strength'\nset ylabel 'share'\nset key center right",
         {sampled("kept of the picture", 0, 1,
                  [&](double s) { return level(s).alpha * 0.5 / std::sqrt(total(level(s))); }),
          sampled("new, of a deviation of 0.5", 0, 1,
                  [&](double s) { return level(s).sigma / std::sqrt(total(level(s))); })}}});
}

void straightness_of_paths() {
  const oracle::mixture<double> data = two_peaks(1, 0.15);
  std::vector<support::curve> straight, curved;
  for (int i = 1; i < 24; ++i) {
    const double z = normal_quantile(i / 24.0),
                 x0 =
                     (i * 7 % 24 < 12 ? -1 : 1) + 0.15 * normal_quantile((i * 5 % 24 + 0.5) / 24.0);
    straight.push_back(sampled(
        "", 0, 1, [=](double t) { return (1 - t) * x0 + t * z; }, "lines lw 1 lc rgb '#4060a0'"));
    curved.push_back(sampled(
        "", 1, 0,
        [&](double t) {
          return oracle::flow(data, {0, 1}, {1 - t, t}, z);
        },
        "lines lw 1 lc rgb '#4060a0'"));
  }
  draw("09_flow_matching", {{"set xrange [1:0]\nset yrange [-2.2:2.2]\nset xlabel 't'\nset ylabel "
                             "'x'\nset title 'paths of pairs'",
                             straight},
                            {"set title 'paths of the flow'", curved}});
}

void endpoints() {
  const oracle::mixture<double> data = two_peaks(1, 0.15);
  const signal_noise level = linear_beta_schedule(1000).at(400);
  draw("10_consistency", {{"set xlabel 'x'\nset ylabel 'answer'\nset key bottom right",
                           {sampled("end of the flow", -2.5, 2.5,
                                    [&](double x) {
                                      return oracle::flow(data, level, {1, 0}, x);
                                    }),
                            sampled("E[x0|x]", -2.5, 2.5, [&](double x) {
                              return data.denoise(level, MatrixXd::Constant(1, 1, x))(0);
                            })}}});
}

void information() {
  const auto mmse = [](double variance) {
    return [=](double log_snr_value) {
      const double snr = std::exp(log_snr_value);
      return snr * variance / (1 + snr * variance);
    };
  };
  const auto masked = [](const std::string& title, double power) {
    return sampled(title, 0, 1, [=](double t) { return 1 - std::pow(1 - t, power); });
  };
  draw("11_likelihood",
       {{"set xlabel 'log-SNR'\nset ylabel 'nats per unit of log-SNR, doubled'\nset key top left",
         {sampled("data variance 1", -8, 8, mmse(1)),
          sampled("data variance 0.1", -8, 8, mmse(0.1))}},
        {"set xlabel 't'\nset ylabel 'probability of a mask'",
         {masked("log-linear", 1), masked("power 3", 3)}}});
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    std::fprintf(stderr, "usage: guide_pictures FOLDER\n");
    return 2;
  }
  folder = arguments[1];
  std::filesystem::create_directories(folder);
  latents();
  games();
  schedules();
  posterior_means();
  reverse_chains();
  flows();
  guided_laws();
  editing();
  straightness_of_paths();
  endpoints();
  information();
}
