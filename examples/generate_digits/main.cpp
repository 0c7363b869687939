// Trains a small network on pictures of digits and generates new ones. Every stage of the way from
// data to noise and back is left in a folder as a picture.

#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <vector>

#include "../support/glyphs.hpp"
#include "../support/nearest.hpp"
#include "../support/png.hpp"
#include "generate.hpp"
#include "mnist.hpp"
#include "options.hpp"
#include "pictures.hpp"
#include "train.hpp"
#include "tweedie/grid/spacing.hpp"
#include "tweedie/sampler/ddim.hpp"
#include "tweedie/sampler/ddpm.hpp"
#include "weights.hpp"

namespace {

using namespace digits;
using namespace tweedie;

void run(const options& options) {
  const dataset data = options.images.empty()
                           ? support::draw_digits({.fonts = options.fonts, .seed = options.seed})
                           : read_mnist(options.images, options.labels);
  std::printf("%td pictures of %td x %td pixels, %d classes\n", data.pictures.cols(),
              data.tile.height, data.tile.width, data.classes());

  const discrete_schedule schedule = cosine_schedule(1000);
  const support::perceptron_shape shape =
      digit_shape(data.pictures.rows(), data.classes(), options.width, options.blocks);
  const training_options training{.steps = options.steps, .seed = options.seed};
  digit_network network(shape, options.seed);
  std::filesystem::create_directories(options.output);
  train_or_load(network, schedule, data, training,
                weights_file(options.output, data, shape, training), options.retrain);

  const std::vector<int> labels = rows_of_labels(data.classes(), 10);
  const auto write = [&](const std::string& name, const Eigen::MatrixXf& pictures,
                         Eigen::Index columns) {
    const std::filesystem::path path = options.output / (name + ".png");
    support::write_contact_sheet(path, pictures, data.tile, columns);
    std::printf("%s\n", path.c_str());
  };
  const auto draw = [&](const std::string& name, const program& plan, double guidance) {
    write(name, generate(network, plan, labels, guidance, options.seed), 10);
  };

  const std::vector<int> film_labels = rows_of_labels(data.classes(), 1);
  const std::vector<double> times{-1, 9, 49, 99, 199, 299, 399, 499, 599, 699, 799, 999};
  const std::vector<double> times_back{899, 799, 699, 599, 499, 399, 299, 199, 99, 49, 9, -1};
  const program all_steps = ddpm(trailing(schedule, 1000));
  const program fifty_steps = ddim(trailing(schedule, 50));

  write("real", real_pictures(data, labels), 10);
  write("forward", forward_film(schedule, real_pictures(data, film_labels), times, options.seed),
        12);
  write("reverse",
        reverse_film(network, all_steps, film_labels, times_back, options.guidance, options.seed),
        12);
  draw("ddpm_1000", all_steps, options.guidance);
  draw("ddim_50", fifty_steps, options.guidance);
  draw("ddim_10", ddim(trailing(schedule, 10)), options.guidance);
  for (const int w : {1, 5, 10}) draw("guidance_" + std::to_string(w), fifty_steps, w);

  const std::vector<int> asked = rows_of_labels(data.classes(), 100);
  const Eigen::MatrixXf answered =
      generate(network, fifty_steps, asked, options.guidance, options.seed + 2);
  std::printf("%.1f %% of %zu digits (DDIM 50, w = %g) look most like a real one of their class\n",
              100 * support::nearest_accuracy(data, answered, asked), asked.size(),
              options.guidance);
}

}  // namespace

int main(int count, char** arguments) try {
  run(read_options(count, arguments));
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "generate_digits: %s\n", error.what());
  return 1;
}
