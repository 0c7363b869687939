// Are the paths of flow matching straight, and what does reflow change?
//
// Rectified flow from noise to two moons and to digits, learned by a small perceptron. The paths it
// is trained on are straight, those it learns are not, so few steps do badly. Trained again on the
// pairs that its own flow makes, the paths are nearly straight and one step is nearly enough
// (Liu et al. 2023).

#include <cstdio>

#include "digits.hpp"
#include "moons.hpp"

int main() {
  flows::flow_to_moons();
  std::printf("\n");
  flows::flow_to_digits();
}
