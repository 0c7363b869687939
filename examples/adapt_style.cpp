// Can a small update teach a network one typeface, and leave the rest alone?
//
// A network that draws digits in all typefaces but one is shown the ten digits of that one, under a token it has never seen, and
// learns updates of rank 4 beside its frozen matrices (LoRA). Trained on the new face alone, it draws that face without the
// token, too; with ordinary digits in every batch (the prior loss of DreamBooth) it does so with the token only. Prints, for the
// network and both updates, the distance of samples to the new face's digits with and without the token, and the loss on ordinary
// digits; that merged and unmerged updates agree; and that the weights are back when an update is taken out. Writes style.png: the
// face, then ten digits of each network with the token and without.
//
// Fonts differ between machines, and numbers of a training between compilers.
#include <cstdio>

#include "support/glyphs.hpp"
#include "support/open_network.hpp"
#include "support/png.hpp"
#include "tweedie/tweedie.hpp"

namespace {

using Eigen::Index;
using Eigen::MatrixXf;
using support::open_network;

constexpr Index side = 16, pixels = side * side, rank = 4;

// One sample of each digit.
MatrixXf drawn(open_network& network, bool token, const open_network::adapters* beside = nullptr) {
  const tweedie::grid nodes = tweedie::uniform(tweedie::trigonometric_schedule(), 30);
  MatrixXf x(pixels, 10);
  tweedie::fill_standard_normal(x, 5);
  std::vector<int> labels(10);
  for (int d = 0; d < 10; ++d) labels[static_cast<std::size_t>(d)] = d;
  open_network::activations a;
  tweedie::sampling run(tweedie::ddim(nodes),
                        tweedie::network_description{tweedie::predicts_sample}, x);
  while (run.next()) {
    const std::vector<double> angles(10, run.network_time());
    run.output() = network.forward(
        open_network::told(run.input(), angles, labels, token), a, [](MatrixXf&) {}, beside);
  }
  return run.state();
}

// Updates with down random and up 0, and the vector that holds both for training.
struct trainable {
  open_network::adapters updates;
  Eigen::VectorXf parameters;

  void read() {
    Index at = 0;
    for (auto& u : updates)
      for (auto* m : {&u.down, &u.up}) {
        *m = Eigen::Map<const MatrixXf>(parameters.data() + at, m->rows(), m->cols());
        at += m->size();
      }
  }
};

trainable fitted(open_network& base, const support::dataset& data, std::span<const Index> face,
                 std::span<const Index> rest, double prior) {
  trainable t;
  support::random_draws random(3);
  Index size = 0;
  for (std::size_t k = 0; k < 3; ++k) {
    const auto w = base.weight(k);
    t.updates[k].alpha = rank;
    t.updates[k].down.resize(rank, w.cols());
    t.updates[k].up.setZero(w.rows(), rank);
    random.fill_normal(t.updates[k].down);
    t.updates[k].down /= std::sqrt(static_cast<float>(w.cols()));
    size += rank * (w.rows() + w.cols());
  }
  t.parameters.resize(size);
  Index at = 0;
  for (const auto& u : t.updates)
    for (const auto* m : {&u.down, &u.up}) {
      t.parameters.segment(at, m->size()) = m->reshaped();
      at += m->size();
    }
  open_network merged = base;
  open_network::activations a;
  MatrixXf error;
  Eigen::VectorXf whole;
  support::descend<float>(
      t.parameters,
      {.title = prior > 0 ? "with prior" : "alone", .steps = 400, .learning_rate = 4e-3},
      [&](int, Eigen::VectorXf& gradient) {
        t.read();
        merged.parameters = base.parameters;
        for (std::size_t k = 0; k < 3; ++k) {
          auto w = merged.weight(k);
          tweedie::merge_update(w, t.updates[k]);
        }
        whole.setZero(base.parameters.size());
        double loss = 0;
        const auto add = [&](std::span<const Index> from, bool token, double weight) {
          const auto b = support::noised(data, from, 32, token, random);
          loss += weight * support::squared_error(merged.forward(b.input, a), b.clean, error);
          error *= static_cast<float>(weight);
          merged.backward(error, a, whole);
        };
        add(face, true, 1);
        if (prior > 0) add(rest, false, prior);
        Index to = 0;  // of W + B A: d/dA = B' d/dW, d/dB = d/dW A'
        for (std::size_t k = 0; k < 3; ++k) {
          const auto w = merged.into(whole, k);
          const auto& u = t.updates[k];
          gradient.segment(to, u.down.size()) = (u.up.transpose() * w).reshaped();
          to += u.down.size();
          gradient.segment(to, u.up.size()) = (w * u.down.transpose()).reshaped();
          to += u.up.size();
        }
        return loss;
      });
  t.read();
  return t;
}

}  // namespace

int main() {
  const support::dataset data =
      support::draw_digits({.side = static_cast<int>(side), .pictures = 3000});
  // The pictures of one face are consecutive; the new one is the last.
  const auto once = support::draw_digits({.side = static_cast<int>(side), .pictures = 1});
  const Index faces = once.pictures.cols() / 10, count = data.pictures.cols();
  std::vector<Index> face, rest;
  for (Index i = 0; i < count; ++i) (i < count - count / faces ? rest : face).push_back(i);

  open_network base = support::trained(data, rest, 1500);
  const trainable alone = fitted(base, data, face, rest, 0);
  const trainable kept = fitted(base, data, face, rest, 1);

  const MatrixXf target =
      data.pictures(Eigen::all, std::vector<Index>(face.begin(), face.begin() + 10));
  const auto away = [&](const MatrixXf& found) {
    return static_cast<double>((found - target).norm()) / std::sqrt(10.0 * pixels);
  };
  const auto ordinary_loss = [&](open_network& network) {
    support::random_draws random(9);
    open_network::activations a;
    MatrixXf error;
    const auto b = support::noised(data, rest, 2000, false, random);
    return support::squared_error(network.forward(b.input, a), b.clean, error);
  };

  MatrixXf sheet(pixels, 70);
  sheet.leftCols(10) = target;
  std::printf("%-20s %22s %22s %14s\n", "distance to the face", "with the token", "without",
              "ordinary loss");
  double with[3] = {}, without[3] = {}, loss[3] = {};
  bool same = true, back = true;
  const trainable* updates[] = {nullptr, &alone, &kept};
  const char* names[] = {"network", "update", "update, prior loss"};
  for (std::size_t n = 0; n < 3; ++n) {
    open_network network = base;
    if (updates[n])
      for (std::size_t k = 0; k < 3; ++k) {
        auto w = network.weight(k);
        tweedie::merge_update(w, updates[n]->updates[k]);
      }
    const MatrixXf told = drawn(network, true), untold = drawn(network, false);
    if (updates[n]) {
      same &= (drawn(base, true, &updates[n]->updates) - told).cwiseAbs().maxCoeff() < 1e-3f;
      for (std::size_t k = 0; k < 3; ++k) {
        auto w = network.weight(k);
        tweedie::unmerge_update(w, updates[n]->updates[k]);
      }
      back &= (network.parameters - base.parameters).cwiseAbs().maxCoeff() < 1e-5f;
      for (std::size_t k = 0; k < 3; ++k) {
        auto w = network.weight(k);
        tweedie::merge_update(w, updates[n]->updates[k]);
      }
    }
    with[n] = away(told);
    without[n] = away(untold);
    loss[n] = ordinary_loss(network);
    std::printf("%-20s %22.3f %22.3f %14.4f\n", names[n], with[n], without[n], loss[n]);
    const auto first = static_cast<Index>(10 + 20 * n);
    sheet.middleCols(first, 10) = told;
    sheet.middleCols(first + 10, 10) = untold;
  }
  const auto say = [](bool yes) { return yes ? "yes" : "no"; };
  std::printf("merged and unmerged updates agree: %s\n", say(same));
  std::printf("unmerging gives the weights back: %s\n", say(back));
  std::printf("the face is learnt: %s\n", say(with[1] < 0.7 * with[0] && with[2] < 0.7 * with[0]));
  std::printf("the prior loss keeps the rest: %s\n",
              say(loss[2] - loss[0] < 0.5 * (loss[1] - loss[0]) && without[2] > without[1]));
  support::write_contact_sheet("style.png", sheet, {side, side}, 10);
}
