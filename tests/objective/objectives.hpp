// Every objective that takes a batch, as one row of a table: arguments, the call, and the value of one
// item by its formula. A new objective is one more row, and is held to all laws of
// every_objective_test.cpp.
#pragma once

#include <Eigen/Core>
#include <cmath>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "objective/gradient_check.hpp"
#include "objective/plain_decoder.hpp"
#include "tweedie/metric/trajectory.hpp"
#include "tweedie/objective/adversarial.hpp"
#include "tweedie/objective/distillation.hpp"
#include "tweedie/objective/energy.hpp"
#include "tweedie/objective/f_divergence.hpp"
#include "tweedie/objective/flow_matching.hpp"
#include "tweedie/objective/regression.hpp"
#include "tweedie/objective/score_fokker_planck.hpp"
#include "tweedie/objective/score_matching.hpp"
#include "tweedie/objective/vae.hpp"
#include "tweedie/objective/variational_bound.hpp"
#include "tweedie/schedule/discrete.hpp"
#include "tweedie/training/training_batch.hpp"

namespace tweedie_test {

using Eigen::MatrixXd;
using Eigen::MatrixXf;

/// Tensors whose columns are items, and one number per item.
struct batch {
  std::vector<MatrixXd> tensors;
  std::vector<double> numbers;
};

/// Values of a batch; what is written to `written[k]` is the derivative in tensor k.
template <class Matrix>
using batch_call = std::function<std::vector<double>(const std::vector<Matrix>& tensors,
                                                     std::span<const double> numbers,
                                                     std::vector<Matrix>& written)>;

/// The value of one item from its columns and its number.
template <class T>
using item_value = std::function<T(const std::vector<std::vector<T>>& columns, double number)>;

struct objective {
  std::string name;
  batch arguments;
  std::size_t written = 1;  ///< gradients, of the first tensors
  batch_call<MatrixXd> in_double;
  batch_call<MatrixXf> in_float;
  item_value<double> value;  ///< empty where what is written is no gradient of the value
  item_value<differentiated> differentiated_value;
  double tolerance = 1e-12;  ///< of the formula
  double cancelled = 0;      ///< size of terms that cancel in the value
};

inline std::ostream& operator<<(std::ostream& out, const objective& o) { return out << o.name; }

/// 13 numbers per item, those of item i within radius[i] of centre[i].
inline MatrixXd around(const std::vector<double>& centre, const std::vector<double>& radius,
                       unsigned seed) {
  std::srand(seed);
  MatrixXd out = MatrixXd::Random(13, static_cast<Eigen::Index>(centre.size()));
  for (Eigen::Index i = 0; i < out.cols(); ++i)
    out.col(i) = (centre[nth(i)] + radius[nth(i)] * out.col(i).array()).matrix();
  return out;
}
inline MatrixXd typical(std::size_t items, unsigned seed) {
  return around(std::vector<double>(items, 0), std::vector<double>(items, 1), seed);
}
/// Typical numbers, two extremes, and numbers near 0.
inline MatrixXd up_to(double extreme, unsigned seed) {
  return around({0, extreme, -extreme, 1.5e-3}, {1, 1, 1, 1e-3}, seed);
}
/// Pixels of 256 levels on [-1, 1].
inline MatrixXd pixels(std::size_t items, unsigned seed) {
  MatrixXd x = (typical(items, seed) * 127.5).array().round() / 127.5;
  x.row(0).setConstant(-1);
  x.row(1).setConstant(1);
  return ((x.array() + 1) * 127.5).round() / 127.5 - 1;
}

template <class Call, class Value>
objective row(std::string name, batch arguments, std::size_t written, Call call, Value value,
              double tolerance = 1e-12) {
  return {std::move(name), std::move(arguments), written, call, call, value, value, tolerance};
}
/// An objective that writes other things than the gradient of its value.
template <class Call>
objective field(std::string name, batch arguments, std::size_t written, Call call) {
  return {std::move(name), std::move(arguments), written, call, call, {}, {}};
}

/// factor * sum of f over the elements of the columns.
template <class T, class F>
T sum_of(const std::vector<std::vector<T>>& columns, double factor, const F& f) {
  T sum(0);
  for (std::size_t j = 0; j < columns[0].size(); ++j) sum = T(sum + T(f(j)));
  return T(factor * sum);
}

inline const std::vector<double> four_weights = {0.5, 2, 1e-3, 30};

template <class Metric>
objective regression_row(std::string name, Metric metric, tweedie::reduction how) {
  batch arguments = {{up_to(60, 1), typical(4, 2)}, four_weights};
  arguments.tensors[1].col(3).setZero();
  return row(
      std::move(name), std::move(arguments), 1,
      [=](const auto& t, std::span<const double> w, auto& g) {
        return tweedie::regression(t[0], t[1], w, metric, how, g[0]);
      },
      [=]<class T>(const std::vector<std::vector<T>>& t, double w) {
        return sum_of(t, w * tweedie::reduction_factor(how, t[0].size()),
                      [&](std::size_t j) { return metric.value(T(t[0][j] - t[1][j])); });
      });
}

inline std::vector<objective> regressions() {
  using namespace tweedie;
  constexpr reduction sum = reduction::sum_over_dimensions;
  std::vector<objective> rows = {
      regression_row("squared error", squared_error{}, sum),
      regression_row("squared error, mean", squared_error{}, reduction::mean_over_dimensions),
      regression_row("squared error, bits", squared_error{}, reduction::bits_per_dimension),
      regression_row("absolute error", absolute_error{}, sum),
      regression_row("Huber error", huber_error(0.4), sum),
      regression_row("pseudo-Huber error", pseudo_huber_error(0.3), sum)};
  // The error measured in another kind: its factor belongs to the item.
  const auto with_gains = [&](const std::string& name, auto metric, auto value) {
    rows.push_back(row(
        name, rows[0].arguments, 1,
        [=](const auto& t, std::span<const double> w, auto& g) {
          std::vector<item_factors> factors;
          for (const double weight : w) factors.push_back({weight, 3 / weight});
          return regression(t[0], t[1], factors, metric, sum, g[0]);
        },
        [=]<class T>(const std::vector<std::vector<T>>& t, double w) {
          return T(w * value(t, 3 / w));
        },
        1e-10));
  };
  with_gains("pseudo-Huber error with gains", pseudo_huber_error(0.3),
             []<class T>(const std::vector<std::vector<T>>& t, double gain) {
               return sum_of(t, 1, [&](std::size_t j) {
                 return pseudo_huber_error(0.3).value(T(gain * (t[0][j] - t[1][j])));
               });
             });
  with_gains("pseudo-Huber error of the norm with gains", norm_pseudo_huber_error(0.03),
             []<class T>(const std::vector<std::vector<T>>& t, double gain) {
               using std::sqrt;
               const T squares = sum_of(t, gain * gain, [&](std::size_t j) {
                 const T r = t[0][j] - t[1][j];
                 return T(r * r);
               });
               return T(T(sqrt(T(squares + 0.03 * 0.03))) - 0.03);
             });
  return rows;
}

template <class Game>
void add_game(std::vector<objective>& rows, const std::string& name, const Game& game) {
  using tweedie::adversarial_part;
  const auto part = [&](const std::string& part_name, adversarial_part which, auto value) {
    rows.push_back(row(
        name + ", " + part_name, {{up_to(60, 3)}, std::vector<double>(4)}, 1,
        [=](const auto& t, std::span<const double>, auto& g) {
          return tweedie::adversarial_losses(game, which, t[0],
                                             tweedie::reduction::mean_over_dimensions, g[0]);
        },
        [=]<class T>(const std::vector<std::vector<T>>& t, double) {
          return sum_of(t, 1.0 / static_cast<double>(t[0].size()),
                        [&](std::size_t j) { return T(value(t[0][j])); });
        }));
  };
  part("real", adversarial_part::real, [=](const auto& l) { return game.real(l); });
  part("fake", adversarial_part::fake, [=](const auto& l) { return game.fake(l); });
  part("generator", adversarial_part::generator, [=](const auto& l) { return game.generator(l); });
}

inline std::vector<objective> games() {
  using namespace tweedie;
  std::vector<objective> rows;
  add_game(rows, "minimax", minimax_game{});
  add_game(rows, "non-saturating", non_saturating_game{});
  add_game(rows, "least squares", least_squares_game{-1, 1, 0});
  add_game(rows, "hinge", hinge_game{});
  add_game(rows, "Wasserstein", wasserstein_game{});
  add_game(rows, "Kullback-Leibler", f_gan_game{f_divergence::kullback_leibler});
  add_game(rows, "reverse Kullback-Leibler", f_gan_game{f_divergence::reverse_kl});
  add_game(rows, "Pearson", f_gan_game{f_divergence::pearson});
  add_game(rows, "squared Hellinger", f_gan_game{f_divergence::squared_hellinger});
  add_game(rows, "Jensen-Shannon", f_gan_game{f_divergence::jensen_shannon});
  add_game(rows, "f-GAN", f_gan_game{f_divergence::gan});
  for (objective& o : rows)  // softplus - log 2
    if (o.name.starts_with("Jensen-Shannon")) o.cancelled = std::numbers::ln2;
  return rows;
}

inline std::vector<objective> gaussians() {
  using namespace tweedie;
  std::vector<objective> rows;
  MatrixXd log_variance = up_to(30, 5);
  log_variance.col(3) *= 1e-6;  // equal variances
  rows.push_back(row(
      "divergence from N(0, I)", {{typical(4, 4), log_variance}, std::vector<double>(4)}, 2,
      [](const auto& t, std::span<const double>, auto& g) {
        return standard_normal_divergences(t[0], t[1], reduction::mean_over_dimensions, g[0], g[1]);
      },
      []<class T>(const std::vector<std::vector<T>>& t, double) {
        return sum_of(t, 1 / 13.0,
                      [&](std::size_t j) { return standard_normal_divergence(t[0][j], t[1][j]); });
      }));
  rows.push_back(row(
      "negative log-likelihood", {{typical(4, 6), log_variance, typical(4, 7)}, four_weights}, 2,
      [](const auto& t, std::span<const double>, auto& g) {
        return normal_negative_log_likelihoods(t[2], t[0], t[1], reduction::mean_over_dimensions,
                                               g[0], g[1]);
      },
      []<class T>(const std::vector<std::vector<T>>& t, double) {
        return sum_of(t, -1 / 13.0,
                      [&](std::size_t j) { return normal_log_density(t[2][j], t[0][j], t[1][j]); });
      }));
  // A decoder that answers its latent: reconstruction |z - t|^2/2.
  const auto add_vae = [&](double beta, double free_nats) {
    rows.push_back(row(
        "VAE, beta " + std::to_string(beta) + ", free nats " + std::to_string(free_nats),
        {{typical(4, 8), log_variance, typical(4, 9), typical(4, 10)}, std::vector<double>(4)}, 2,
        [=](const auto& t, std::span<const double>, auto& g) {
          auto z = t[0];
          reparameterise(t[0], t[1], t[2], z);
          auto latent_gradient = t[3];  // a t that does not fit is refused below
          if (t[3].cols() == z.cols()) latent_gradient = z - t[3];
          std::vector<double> values =
              latent_divergences(t[0], t[1], t[2], latent_gradient, beta, free_nats,
                                 reduction::sum_over_dimensions, g[0], g[1]);
          for (std::size_t i = 0; i < values.size(); ++i)
            values[i] += latent_gradient.col(static_cast<Eigen::Index>(i))
                             .template cast<double>()
                             .squaredNorm() /
                         2;
          return values;
        },
        [=]<class T>(const std::vector<std::vector<T>>& t, double) {
          using std::exp;
          return sum_of(t, 1, [&](std::size_t j) {
            const T r = t[0][j] + T(exp(T(t[1][j] / 2))) * t[2][j] - t[3][j];
            const T divergence = standard_normal_divergence(t[0][j], t[1][j]);
            return T(r * r / 2 + beta * (divergence > T(free_nats) ? divergence : T(free_nats)));
          });
        }));
  };
  add_vae(1, 0);
  add_vae(0, 0);
  add_vae(4, 0.1);
  return rows;
}

inline std::vector<objective> scores() {
  using namespace tweedie;
  std::vector<objective> rows;
  const std::vector<double> sigmas = {1, 60, 1e-3, 1e-6};
  rows.push_back(row(
      "denoising score matching", {{up_to(60, 11), typical(4, 12)}, sigmas}, 1,
      [](const auto& t, std::span<const double> sigma, auto& g) {
        std::vector<double> weights;
        for (const double s : sigma) weights.push_back(s * s);
        return denoising_score_matching(t[0], t[1], sigma, weights, reduction::sum_over_dimensions,
                                        g[0]);
      },
      []<class T>(const std::vector<std::vector<T>>& t, double sigma) {
        return sum_of(t, 0.5, [&](std::size_t j) {
          const T r = sigma * t[0][j] + t[1][j];
          return T(r * r);
        });
      }));
  rows.push_back(row(
      "explicit score matching", {{up_to(60, 38), typical(4, 39)}, four_weights}, 1,
      [](const auto& t, std::span<const double> w, auto& g) {
        return explicit_score_matching(t[0], t[1], w, reduction::mean_over_dimensions, g[0]);
      },
      []<class T>(const std::vector<std::vector<T>>& t, double w) {
        return sum_of(t, w / 26, [&](std::size_t j) {
          const T r = t[0][j] - t[1][j];
          return T(r * r);
        });
      }));
  rows.push_back(row(
      "score Fokker-Planck",
      {{up_to(60, 40), typical(4, 41), typical(4, 42), typical(4, 43)}, four_weights}, 1,
      [](const auto& t, std::span<const double> w, auto& g) {
        std::vector<diffusion_coefficients> equation;
        for (const double weight : w) equation.push_back({-1 / weight, 2 / weight});
        return score_fokker_planck(t[0], t[1], t[2], t[3], equation, w,
                                   reduction::sum_over_dimensions, g[0]);
      },
      []<class T>(const std::vector<std::vector<T>>& t, double w) {
        return sum_of(t, w / 2, [&](std::size_t j) {
          const T r = t[0][j] - t[1][j] / w - t[2][j] - t[3][j] / w;
          return T(r * r);
        });
      }));
  rows.push_back(row(
      "implicit score matching", {{up_to(60, 13)}, {-0.7, 60, -60, 0}}, 1,
      [](const auto& t, std::span<const double> divergences, auto& g) {
        return implicit_score_matching(t[0], divergences, g[0]);
      },
      []<class T>(const std::vector<std::vector<T>>& t, double divergence) {
        return T(sum_of(t, 0.5, [&](std::size_t j) { return T(t[0][j] * t[0][j]); }) + divergence);
      }));
  for (const sliced_form form : {sliced_form::projected, sliced_form::variance_reduced})
    rows.push_back(row(
        form == sliced_form::projected ? "sliced score matching"
                                       : "sliced score matching, variance reduced",
        {{up_to(60, 14), up_to(60, 15), typical(4, 16)}, std::vector<double>(4)}, 2,
        [=](const auto& t, std::span<const double>, auto& g) {
          return sliced_score_matching(t[0], t[2], t[1], form, g[0], g[1]);
        },
        [=]<class T>(const std::vector<std::vector<T>>& t, double) {
          const T curvature = sum_of(t, 1, [&](std::size_t j) { return T(t[2][j] * t[1][j]); });
          const T projection = sum_of(t, 1, [&](std::size_t j) { return T(t[2][j] * t[0][j]); });
          const T squares = sum_of(t, 1, [&](std::size_t j) { return T(t[0][j] * t[0][j]); });
          return T(curvature +
                   (form == sliced_form::projected ? T(projection * projection) : squares) / 2);
        }));
  return rows;
}

/// Steps of DDPM's chain: the number of an item is its place in the chain, 999 the last step.
inline const std::vector<tweedie::bound_step>& ddpm_steps() {
  static const std::vector<tweedie::bound_step> steps = [] {
    const auto schedule = tweedie::linear_beta_schedule(1000);
    std::vector<tweedie::signal_noise> levels;
    for (int k = 999; k >= -1; --k) levels.push_back(schedule.at(k));
    return tweedie::bound_steps(levels);
  }();
  return steps;
}
inline tweedie::bound_item ddpm_item(double place, tweedie::bound_variance kind) {
  return tweedie::make_bound_item(ddpm_steps()[static_cast<std::size_t>(place)], {0, 1}, kind);
}
inline std::vector<tweedie::bound_item> ddpm_items(std::span<const double> places,
                                                   tweedie::bound_variance kind) {
  std::vector<tweedie::bound_item> items;
  for (const double place : places) items.push_back(ddpm_item(place, kind));
  return items;
}

/// L_{t-1} or L_0 of one element by the divergence of Gaussians or the plain decoder.
template <class Decoder, class T>
T bound_element(const tweedie::bound_item& item, const T& y, const T& v, const T& target,
                const T& x0) {
  const T log_variance = item.log_variance.offset + item.log_variance.slope * v;
  if (item.step.last)
    return T(-Decoder()(static_cast<double>(plain(x0)), T(x0 + item.gain * (y - target)),
                        T(log_variance / 2)));
  return tweedie::normal_divergence(T(item.gain * target), T(item.step.posterior_log_variance),
                                    T(item.gain * y), log_variance);
}

inline std::vector<objective> bounds() {
  using namespace tweedie;
  constexpr reduction how = reduction::bits_per_dimension;
  const std::vector<double> places = {0, 500, 998, 999, 0, 500, 998, 999};
  const MatrixXd y = typical(8, 17), noise = typical(8, 18), x0 = pixels(8, 19);
  const MatrixXd range = around({0, 0, 0, 0, 1, -1, 1, -1}, {1, 1, 1, 1, 0, 0, 0, 0}, 20);
  const MatrixXd logs = around({-4, -7, -9, -8, 30, -30, -30, 30}, std::vector<double>(8, 1), 21);
  constexpr double bits = 1 / (13 * std::numbers::ln2);
  std::vector<objective> rows;
  const auto fixed = [&](const std::string& name, bound_variance kind, auto decoder,
                         auto plain_decoder) {
    rows.push_back(row(
        "bound, " + name, {{y, noise, x0}, places}, 1,
        [=](const auto& t, std::span<const double> at, auto& g) {
          return bound_terms(t[0], t[1], t[2], ddpm_items(at, kind), decoder, how, g[0]);
        },
        [=]<class T>(const std::vector<std::vector<T>>& t, double at) {
          return sum_of(t, bits, [&](std::size_t j) {
            return bound_element<decltype(plain_decoder)>(ddpm_item(at, kind), t[0][j], T(0),
                                                          t[1][j], t[2][j]);
          });
        },
        1e-9));
  };
  fixed("small variance, Gaussian decoder", bound_variance::fixed_small, discretised_gaussian(),
        plain_gaussian{});
  fixed("large variance, logistic decoder", bound_variance::fixed_large, discretised_logistic(),
        plain_logistic{});
  fixed("small variance, tanh decoder", bound_variance::fixed_small, tanh_gaussian(), plain_tanh{});
  const auto learned = [&](const std::string& name, bound_variance kind, const MatrixXd& v,
                           auto decoder, auto plain_decoder) {
    const auto value = [=]<class T>(const std::vector<T>& answer, const std::vector<T>& variance,
                                    const std::vector<std::vector<T>>& t, double at) {
      return sum_of(t, bits, [&](std::size_t j) {
        return bound_element<decltype(plain_decoder)>(ddpm_item(at, kind), answer[j], variance[j],
                                                      t[2][j], t[3][j]);
      });
    };
    rows.push_back(row(
        "bound, " + name, {{y, v, noise, x0}, places}, 2,
        [=](const auto& t, std::span<const double> at, auto& g) {
          return learned_variance_bound_terms(t[0], t[1], t[2], t[3], ddpm_items(at, kind), decoder,
                                              how, g[0], g[1]);
        },
        [=]<class T>(const std::vector<std::vector<T>>& t, double at) {
          return value(t[0], t[1], t, at);
        },
        1e-9));
    rows.push_back(row(
        "bound of the variance alone, " + name, {{v, y, noise, x0}, places}, 1,
        [=](const auto& t, std::span<const double> at, auto& g) {
          return variance_bound_terms(t[1], t[0], t[2], t[3], ddpm_items(at, kind), decoder, how,
                                      g[0]);
        },
        [=]<class T>(const std::vector<std::vector<T>>& t, double at) {
          return value(t[1], t[0], t, at);
        },
        1e-9));
  };
  learned("learned variance, Gaussian decoder", bound_variance::learned, logs,
          discretised_gaussian(), plain_gaussian{});
  learned("learned range, logistic decoder", bound_variance::learned_range, range,
          discretised_logistic(), plain_logistic{});
  rows.push_back(field("prior term", {{x0}, std::vector<double>(8)}, 0,
                       [](const auto& t, std::span<const double>, auto&) {
                         return prior_terms(t[0], ddpm_steps()[0].from, 1, how);
                       }));
  return rows;
}

inline std::vector<objective> fields() {
  using namespace tweedie;
  std::vector<objective> rows;
  // The gradient of w/2 |prediction - reference|^2.
  rows.push_back(row(
      "score distillation", {{up_to(60, 22), typical(4, 23)}, four_weights}, 1,
      [](const auto& t, std::span<const double> w, auto& g) {
        std::vector<double> values = score_distillation_gradient(t[0], t[1], w, g[0]);
        for (std::size_t i = 0; i < values.size(); ++i) values[i] *= w[i] / 2;
        return values;
      },
      []<class T>(const std::vector<std::vector<T>>& t, double w) {
        return sum_of(t, w / 2, [&](std::size_t j) {
          const T r = t[0][j] - t[1][j];
          return T(r * r);
        });
      }));
  rows.push_back(field("energies and scores", {{up_to(60, 44), typical(4, 45)}, {1, 60, 1e-3, 0.1}},
                       1, [](const auto& t, std::span<const double> sigmas, auto& g) {
                         return energies_and_scores(t[0], t[1], sigmas, g[0]);
                       }));
  rows.push_back(field("distribution matching",
                       {{up_to(60, 24), typical(4, 25), typical(4, 26)}, std::vector<double>(4)}, 1,
                       [](const auto& t, std::span<const double>, auto& g) {
                         distribution_matching_gradient(t[0], t[1], t[2], g[0]);
                         return std::vector<double>();
                       }));
  rows.push_back(
      field("interpolation",
            {{typical(4, 27), typical(4, 28), typical(4, 29)}, {0.5, 1e-6, 1 - 1e-6, 0.2}}, 2,
            [](const auto& t, std::span<const double> times, auto& g) {
              std::vector<interpolant> paths;
              for (const double time : times) paths.push_back(linear_interpolant(time));
              interpolate(t[0], t[1], t[2], paths, g[0], g[1]);
              return std::vector<double>();
            }));
  rows.push_back(field("reparameterisation",
                       {{typical(4, 33), up_to(30, 34), typical(4, 35)}, std::vector<double>(4)}, 1,
                       [](const auto& t, std::span<const double>, auto& g) {
                         reparameterise(t[0], t[1], t[2], g[0]);
                         return std::vector<double>();
                       }));
  rows.push_back(field(
      "inputs and targets of training", {{typical(4, 36), typical(4, 37)}, {-1, 0, 500, 999}}, 2,
      [](const auto& t, std::span<const double> times, auto& g) {
        noise_and_target(
            t[0], t[1],
            training_items(linear_beta_schedule(1000), {predicts_v}, times, snr_plus_one_weighting),
            g[0], g[1]);
        return std::vector<double>();
      }));
  rows.push_back(field(
      "straightness", {{typical(4, 30), typical(4, 31), up_to(60, 32)}, std::vector<double>(4)}, 0,
      [](const auto& t, std::span<const double>, auto&) {
        using matrix = std::remove_cvref_t<decltype(t[0])>;
        const std::vector<matrix> velocities = {t[2], t[1], t[0]};
        return straightness<matrix>(t[0], t[1], std::vector<double>{0, 0.3, 1}, velocities);
      }));
  return rows;
}

/// The whole table.
inline std::vector<objective> objectives() {
  std::vector<objective> all;
  for (const auto& part : {regressions(), games(), gaussians(), scores(), bounds(), fields()})
    all.insert(all.end(), part.begin(), part.end());
  return all;
}

}  // namespace tweedie_test
