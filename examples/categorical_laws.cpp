// What does filling several tokens at once cost? The laws of token samplers, computed by going
// through all states, on a text of three letters whose every conditional is known.

#include <array>
#include <cmath>
#include <cstdio>
#include <vector>

#include "tweedie/discrete.hpp"

namespace {

namespace discrete = tweedie::discrete;
using discrete::token;

constexpr std::size_t letters = 3, alphabet_size = 2, states = 27;  // 3^3 with the mask
const discrete::alphabet symbols{alphabet_size, alphabet_size};

// Neighbours agree nine times of ten.
discrete::markov_text text() {
  Eigen::RowVectorXd initial(2);
  initial << 0.5, 0.5;
  Eigen::MatrixXd transition(2, 2);
  transition << 0.9, 0.1, 0.1, 0.9;
  return {letters, initial, transition};
}

std::array<token, letters> state(std::size_t number) {
  return {static_cast<token>(number / 9), static_cast<token>(number / 3 % 3),
          static_cast<token>(number % 3)};
}

// Total variation between the law after `steps` steps of remasking a share of what may be and p.
double distance(int steps, double remasked) {
  const discrete::markov_text model = text();
  std::vector<double> law(states, 0.0);
  law[states - 1] = 1;  // all masked
  for (int k = 0; k < steps; ++k) {
    const double alpha_t = static_cast<double>(k) / steps, alpha_s = (k + 1.0) / steps;
    const double sigma = remasked * discrete::most_remasking(alpha_t, alpha_s);
    std::vector<double> next(states, 0.0);
    for (std::size_t from = 0; from < states; ++from) {
      if (law[from] == 0) continue;
      const auto x = state(from);
      std::vector<double> clean(letters * alphabet_size);
      model.posterior(discrete::evidence_of(discrete::absorbing_kernel(0.5), symbols, x), clean);
      std::array<std::vector<double>, letters> weights;
      for (std::size_t i = 0; i < letters; ++i) {
        weights[i].resize(3);
        const std::vector<double> p = {clean[2 * i], clean[2 * i + 1], 0};
        discrete::remasking_weights(alpha_t, alpha_s, sigma, symbols, x[i], p, weights[i]);
      }
      for (std::size_t to = 0; to < states; ++to) {
        const auto y = state(to);
        double probability = law[from];
        for (std::size_t i = 0; i < letters; ++i)
          probability *= weights[i][static_cast<std::size_t>(y[i])];
        next[to] += probability;
      }
    }
    law = next;
  }
  double sum = 0;
  for (std::size_t k = 0; k < states; ++k) {
    const auto x = state(k);
    const bool clean = x[0] < 2 && x[1] < 2 && x[2] < 2;
    sum += std::abs(law[k] - (clean ? std::exp(model.log_probability(x)) : 0)) / 2;
  }
  return sum;
}

}  // namespace

int main() {
  std::printf("total variation between the sampler's law and the text's\n\n");
  std::printf("steps    ancestral    remasking a third    remasking all it may\n");
  for (const int steps : {1, 2, 4, 8, 16, 32, 64})
    std::printf("%5d    %9.5f    %17.5f    %20.5f\n", steps, distance(steps, 0),
                distance(steps, 1.0 / 3), distance(steps, 1));
  const discrete::markov_text model = text();
  const std::vector<token> x = {0, 0, 1};
  std::printf("\nthe text 001: -log p = %.12f, masked bound = %.12f\n", -model.log_probability(x),
              discrete::exact_masked_bound(model, x));
}
