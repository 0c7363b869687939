// Digits drawn from the fonts of the machine: how sharp and how different are those of a VAE and
// of a GAN, beside real ones?
#pragma once

#include <Eigen/Core>
#include <cmath>
#include <cstdio>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "../support/glyphs.hpp"
#include "../support/nearest.hpp"
#include "../support/png.hpp"
#include "models.hpp"

namespace vae_vs_gan {

// Mean square of the difference between neighbouring pixels.
inline double edge_energy(const MatrixXf& pictures, support::tile_size tile) {
  double sum = 0;
  for (Eigen::Index y = 0; y < tile.height; ++y)
    for (Eigen::Index x = 0; x < tile.width; ++x) {
      const auto here = pictures.row(y * tile.width + x);
      if (x + 1 < tile.width)
        sum += static_cast<double>((pictures.row(y * tile.width + x + 1) - here).squaredNorm());
      if (y + 1 < tile.height)
        sum += static_cast<double>((pictures.row((y + 1) * tile.width + x) - here).squaredNorm());
    }
  return sum / static_cast<double>(pictures.size());
}

// Mean squared distance of two pictures: twice the total variance.
inline double spread(const MatrixXf& pictures) {
  return 2 * static_cast<double>(
                 (pictures.colwise() - pictures.rowwise().mean()).colwise().squaredNorm().mean());
}

struct measures {
  double sharpness, diversity;
  double distance;  // to the nearest picture of the training
  double digits;    // e^entropy of the class of that picture: 10 if all are equally frequent
  int shapes;       // of a digit in a font, to which such a picture belongs
};

inline measures measure(const support::dataset& data, Eigen::Index faces,
                        const MatrixXf& pictures) {
  measures m{edge_energy(pictures, data.tile), spread(pictures), 0, 0, 0};
  const Eigen::Index per_face = data.pictures.cols() / faces;
  const auto count = static_cast<double>(pictures.cols());
  std::set<std::pair<Eigen::Index, int>> shapes;
  std::map<int, double> frequency;
  for (const support::neighbour& n : support::nearest_pictures(data, pictures)) {
    const int label = data.labels[static_cast<std::size_t>(n.index)];
    m.distance += n.distance / count;
    shapes.insert({n.index / per_face, label});
    frequency[label] += 1 / count;
  }
  double entropy = 0;
  for (const auto& [label, p] : frequency) entropy -= p * std::log(p);
  m.digits = std::exp(entropy);
  m.shapes = static_cast<int>(shapes.size());
  return m;
}

inline void compare_on_digits() {
  constexpr Eigen::Index count = 1000;
  const Eigen::Index faces = support::draw_digits({.side = 10, .pictures = 1}).pictures.cols() / 10;
  const support::dataset data = support::draw_digits({.side = 10, .pictures = 6000});
  support::random_draws random(31);
  const auto fresh = support::draw_digits({.side = 10, .pictures = 3000, .seed = 32}).pictures;
  const MatrixXf real = fresh(Eigen::all, random.below(fresh.cols(), count));

  const autoencoder vae = train_autoencoder(data.pictures, 2000);
  const generator gan = train_generator(data.pictures, 3000, 0.1);
  const generator loose = train_generator(data.pictures, 3000, 0);
  const MatrixXf z = normals(latents, count, random);
  const MatrixXf mean = vae.mean(z);
  const MatrixXf noisy =
      mean + std::exp(vae.log_variance / 2) * normals(mean.rows(), count, random);
  network::activations a;
  const MatrixXf made = gan(z, a), loosely_made = loose(z, a);

  const measures unit = measure(data, faces, real);
  std::printf("%-24s %10s %10s %10s %8s %8s\n", "pictures, data = 1", "sharpness", "diversity",
              "distance", "digits", "shapes");
  const auto print = [&](const char* name, const MatrixXf& pictures) {
    const measures m = measure(data, faces, pictures);
    std::printf("%-24s %10.2f %10.2f %10.2f %8.1f %8d\n", name, m.sharpness / unit.sharpness,
                m.diversity / unit.diversity, m.distance / unit.distance, m.digits, m.shapes);
    return m;
  };
  print("data", real);
  const measures likely = print("VAE, mean of p(x|z)", mean);
  const measures noisily = print("VAE, sample of p(x|z)", noisy);
  const measures played = print("GAN", made);
  const measures loosely_played = print("GAN, no penalty", loosely_made);
  const auto verdict = [](const char* text, bool holds) {
    std::printf("%s: %s\n", text, holds ? "yes" : "no");
  };
  verdict("the means of the VAE are blurred, a sixth less sharp than data",
          likely.sharpness < unit.sharpness * 5 / 6);
  verdict("its samples are not sharper pictures, but farther from data",
          noisily.distance > 1.5 * likely.distance);
  verdict("the GAN is a fifth sharper than the means of the VAE",
          played.sharpness > 1.2 * likely.sharpness);
  verdict("without the penalty it forgets a tenth of the shapes",
          loosely_played.shapes < 0.9 * played.shapes);
  constexpr Eigen::Index columns = 20, rows = 3;
  MatrixXf sheet(real.rows(), 0);
  for (const MatrixXf* pictures : {&real, &mean, &noisy, &made, &loosely_made}) {
    sheet.conservativeResize(Eigen::NoChange, sheet.cols() + rows * columns);
    sheet.rightCols(rows * columns) = pictures->leftCols(rows * columns);
  }
  support::write_contact_sheet("vae_vs_gan_digits.png", sheet, data.tile, columns, 4);
  std::fprintf(
      stderr,
      "vae_vs_gan_digits.png written, three rows each of the data and of the models in the "
      "order of the table\n");
}

}  // namespace vae_vs_gan
