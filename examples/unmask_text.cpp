// How many steps does a masked text model need, and in which order? A small network learns to fill
// the gaps of a licence that is on every Debian system; its samples are judged by the text's own
// letter pairs.

#include <cctype>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <numeric>
#include <string>
#include <vector>

#include "support/descend.hpp"
#include "support/gnuplot.hpp"
#include "support/perceptron.hpp"
#include "support/random.hpp"
#include "tweedie/discrete.hpp"

namespace {

namespace discrete = tweedie::discrete;
using discrete::token;

constexpr token space = 26, mask = 27;  // after the letters
constexpr std::size_t vocabulary = 27, length = 64, reach = 6, window = 2 * reach + 1;

// Letters in lower case, anything else one space.
std::vector<token> read_text() {
  std::vector<token> text;
  std::ifstream file("/usr/share/common-licenses/GPL-3");
  for (char c; file.get(c);) {
    const auto u = static_cast<unsigned char>(c);
    if (std::isalpha(u) && u < 128)
      text.push_back(std::tolower(u) - 'a');
    else if (!text.empty() && text.back() != space)
      text.push_back(space);
  }
  return text;
}

std::string readable(const token* x) {
  std::string s;
  for (std::size_t i = 0; i < length; ++i) s += x[i] == space ? ' ' : static_cast<char>('a' + x[i]);
  return s;
}

// Pairs of letters, counted, with a tenth of a count more.
discrete::markov_text pairs_of(const std::vector<token>& text) {
  Eigen::RowVectorXd first = Eigen::RowVectorXd::Constant(vocabulary, 0.1);
  Eigen::MatrixXd next = Eigen::MatrixXd::Constant(vocabulary, vocabulary, 0.1);
  for (std::size_t i = 0; i + 1 < text.size(); ++i) {
    first(text[i]) += 1;
    next(text[i], text[i + 1]) += 1;
  }
  first /= first.sum();
  for (Eigen::Index i = 0; i < next.rows(); ++i) next.row(i) /= next.row(i).sum();
  return {length, first, next};
}

// One column a token: what stands around it, and at its own place.
Eigen::MatrixXf features(const std::vector<token>& x) {
  Eigen::MatrixXf f =
      Eigen::MatrixXf::Zero(window * (vocabulary + 1), static_cast<Eigen::Index>(x.size()));
  for (std::size_t r = 0; r < x.size(); ++r) {
    const std::size_t i = r % length;
    for (std::size_t w = 0; w < window; ++w)
      if (i + w >= reach && i + w - reach < length)
        f(static_cast<Eigen::Index>(w * (vocabulary + 1)) + x[r + w - reach],
          static_cast<Eigen::Index>(r)) = 1;
  }
  return f;
}

using network = support::perceptron<float>;

discrete::logits_view<float> view(const Eigen::MatrixXf& logits) {
  return {{logits.data(), static_cast<std::size_t>(logits.size())}, vocabulary};
}

void train(network& model, const std::vector<token>& text, int steps) {
  constexpr std::size_t items = 8;
  support::random_draws random(1);
  network::activations memory;
  support::descend<float>(
      model.parameters,
      {.title = "unmasking", .steps = steps, .learning_rate = 3e-3, .rising_steps = 50},
      [&](int, auto& gradient) {
        std::vector<token> x_0, x_t;
        std::vector<double> weights;
        const std::vector<double> times = random.uniform(items);
        for (const Eigen::Index at :
             random.below(static_cast<Eigen::Index>(text.size() - length), items))
          x_0.insert(x_0.end(), text.begin() + at,
                     text.begin() + at + static_cast<Eigen::Index>(length));
        x_t = x_0;
        const std::vector<double> u = random.uniform(items * length);
        for (std::size_t b = 0; b < items; ++b) {
          // Times spread evenly; no mask at all would teach nothing.
          const double t = 0.02 + 0.98 * (static_cast<double>(b) + times[b]) / items;
          weights.push_back(1 / (t * items * length));
          for (std::size_t i = b * length; i < (b + 1) * length; ++i)
            if (u[i] < t) x_t[i] = mask;
        }
        const Eigen::MatrixXf logits = model.forward(features(x_t), {}, {}, memory);
        Eigen::MatrixXf slope(logits.rows(), logits.cols());
        const std::vector<double> bound = discrete::masked_bound(
            view(logits), x_0, x_t, mask, weights,
            std::span<float>(slope.data(), static_cast<std::size_t>(slope.size())));
        model.backward(slope, memory, gradient);
        return std::accumulate(bound.begin(), bound.end(), 0.0);
      });
}

}  // namespace

int main() {
  const std::vector<token> text = read_text();
  if (text.size() < 10 * length) {
    std::fprintf(stderr, "no text at /usr/share/common-licenses/GPL-3\n");
    return 1;
  }
  const discrete::markov_text pairs = pairs_of(text);
  const auto perplexity = [&](const std::vector<token>& x) {
    double sum = 0;
    std::size_t count = 0;
    for (; (count + 1) * length <= x.size(); ++count)
      sum += pairs.log_probability(std::span(x).subspan(count * length, length));
    return std::exp(-sum / static_cast<double>(count * length));
  };

  network model(
      {.input = window * (vocabulary + 1), .output = vocabulary, .width = 96, .blocks = 1}, 1);
  train(model, text, 1500);

  std::printf(
      "perplexity of 32 samples under the text's letter pairs; the text itself has %.1f\n\n",
      perplexity(text));
  std::printf("steps    random    confidence    margin    entropy\n");
  struct rule {
    const char* name;
    discrete::unmasking_order order;
  };
  using enum discrete::unmasking_order;
  const std::vector<rule> rules = {
      {"random", random}, {"confidence", confidence}, {"margin", margin}, {"entropy", entropy}};
  std::vector<support::curve> curves;
  for (const rule& r : rules) curves.push_back({r.name, {}, {}});
  std::string sample;
  for (const std::size_t steps : {1, 4, 16, 64}) {
    std::printf("%5zu", steps);
    for (std::size_t k = 0; k < rules.size(); ++k) {
      constexpr std::size_t items = 32;
      std::vector<token> x(items * length, mask);
      const discrete::unmasking plan{.mask = mask, .steps = steps, .order = rules[k].order};
      discrete::token_sampling run(plan, discrete::token_batch{x, items}, vocabulary,
                                   discrete::counter_uniform{2});
      network::activations memory;
      while (run.next()) {
        const Eigen::MatrixXf& logits = model.forward(features(x), {}, {}, memory);
        std::copy_n(logits.data(), logits.size(), run.logits().begin());
      }
      curves[k].x.push_back(static_cast<double>(steps));
      curves[k].y.push_back(perplexity(x));
      std::printf("    %*.1f", k == 0 ? 6 : k == 1 ? 10 : k == 2 ? 6 : 7, curves[k].y.back());
      if (steps == 64 && k == 0) sample = readable(x.data());
    }
    std::printf("\n");
  }
  std::printf("\nin random order, 64 steps: %s\n", sample.c_str());
  support::plot("unmask_text.png", "set logscale x 2\nset xlabel 'steps'\nset ylabel 'perplexity'",
                curves, "linespoints lw 2");
}
