// How do I draw a sample that needs many machines, and lose little when one of them dies?
//
//   mpirun -n 4 many_machines [digits, 2000] [training steps, 4000] [width, 384] [calls until the last rank dies]
//
// Rank 0 trains the network of generate_digits, or takes its weights of an earlier run, and sends it to all. Ranks take
// pieces of 250 digits in turn. Noise is numbered by item, so that digits are the same bits whatever the number of
// ranks; moments are sums of integers, so that they are too. Runs are kept in the folder `pieces`: when a rank dies,
// MPI ends the others; started again, on any number of ranks, finished pieces are read and begun ones go on.
#include <mpi.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <string>

#include "../generate_digits/weights.hpp"
#include "../support/glyphs.hpp"
#include "moments.hpp"
#include "pieces.hpp"

namespace {

constexpr int side = 20;
constexpr std::uint64_t piece_size = 250;

// On rank 0 only: reads fonts, trains.
Eigen::VectorXf trained(const support::perceptron_shape& shape, const support::dataset& data,
                        int steps) {
  const digits::training_options training{.steps = steps};
  digits::digit_network network(shape, 1);
  digits::train_or_load(network, tweedie::cosine_schedule(1000), data, training,
                        digits::weights_file(".", data, shape, training), false);
  return network.parameters();
}

void run(int count, char** arguments) {
  const auto argument = [&](int k, int otherwise) {
    return count > k ? std::atoi(arguments[k]) : otherwise;
  };
  const auto wanted = static_cast<std::uint64_t>(argument(1, 2000));
  const int last_call = argument(4, -1);
  const support::perceptron_shape shape = digits::digit_shape(side * side, 10, argument(3, 384));
  int rank = 0, ranks = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);

  support::perceptron<float> network(shape, 0);
  support::dataset real;
  if (rank == 0) {
    real = support::draw_digits({.side = side});
    network.parameters = trained(shape, real, argument(2, 4000));
    std::filesystem::create_directories("pieces");
  }
  MPI_Barrier(MPI_COMM_WORLD);
  const double start = MPI_Wtime();
  MPI_Bcast(network.parameters.data(), static_cast<int>(network.parameters.size()), MPI_FLOAT, 0,
            MPI_COMM_WORLD);
  const double sent = MPI_Wtime();

  many_machines::moments sums(side * side);
  std::int64_t calls = 0;
  const auto called = [&] {
    if (++calls == last_call && rank == ranks - 1)
      std::_Exit(1);  // as a machine does: without a word
  };
  for (std::uint64_t piece = static_cast<std::uint64_t>(rank); piece * piece_size < wanted;
       piece += static_cast<std::uint64_t>(ranks)) {
    const std::uint64_t first = piece * piece_size;
    sums.add(many_machines::draw(network, first, (std::min)(piece_size, wanted - first),
                                 "pieces/" + std::to_string(first), called),
             first);
  }
  const double drawn = MPI_Wtime();
  MPI_Barrier(MPI_COMM_WORLD);
  const double all_drawn = MPI_Wtime();
  const auto reduce = [&](std::int64_t* data, std::size_t size) {
    MPI_Reduce(rank == 0 ? MPI_IN_PLACE : data, data, static_cast<int>(size), MPI_INT64_T, MPI_SUM,
               0, MPI_COMM_WORLD);
  };
  reduce(sums.sums.data(), sums.sums.size());
  const double reduced = MPI_Wtime();
  reduce(&calls, 1);
  double longest = drawn - sent;
  MPI_Reduce(rank == 0 ? MPI_IN_PLACE : &longest, &longest, 1, MPI_DOUBLE, MPI_MAX, 0,
             MPI_COMM_WORLD);
  if (rank != 0) return;

  std::printf("%lld digits, hash %016llx\n", static_cast<long long>(sums.count()),
              static_cast<unsigned long long>(sums.hash()));
  many_machines::moments of_real(side * side);
  of_real.add(real.pictures, 0);
  const tweedie::point_moments made = sums.result();
  std::printf("mean shade %.6f, variance %.6f, Frechet distance to %td real digits %.4f\n",
              made.mean.mean(), made.covariance.trace() / (side * side), real.pictures.cols(),
              tweedie::frechet_distance(made, of_real.result()) / (127.5 * 127.5));
  std::fprintf(stderr,
               "%d ranks: %lld network calls, %.2f s the slowest; weights %.2f MB in %.1f ms, "
               "sums %.2f MB in %.1f ms, waiting %.1f ms\n",
               ranks, static_cast<long long>(calls), longest,
               4e-6 * static_cast<double>(network.parameters.size()), 1e3 * (sent - start),
               8e-6 * static_cast<double>(sums.sums.size()), 1e3 * (reduced - all_drawn),
               1e3 * (all_drawn - drawn));
}

}  // namespace

int main(int count, char** arguments) {
  MPI_Init(&count, &arguments);
  try {
    run(count, arguments);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "many_machines: %s\n", error.what());
    MPI_Abort(MPI_COMM_WORLD, 1);
  }
  MPI_Finalize();
}
