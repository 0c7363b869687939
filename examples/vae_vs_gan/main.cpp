// Why are samples of likelihood models blurred and those of adversarial ones sharp but few?
//
// First where everything is known: two clusters, and a model that can make only one Gaussian.
// Fitted by maximum likelihood, as a VAE's decoder is, it covers both clusters and the empty space
// between them. Fitted by a game against the optimal discriminator it settles on one cluster and
// forgets the other. Then with networks, trained on digits: the VAE blurs; the GAN is sharp, and
// forgets most if nothing holds its discriminator back. With the penalty it keeps nearly all.

#include <cstdio>

#include "digits.hpp"
#include "one_gaussian.hpp"

int main() {
  vae_vs_gan::compare_on_clusters();
  std::printf("\n");
  vae_vs_gan::compare_on_digits();
}
