#pragma once

namespace tweedie_test {

// Trapezoids of f over [low, high].
template <class F>
double integral(double low, double high, const F& f, int intervals = 32000) {
  const double h = (high - low) / intervals;
  double sum = 0;
  for (int i = 0; i <= intervals; ++i)
    sum += (i == 0 || i == intervals ? 0.5 : 1) * h * f(low + i * h);
  return sum;
}

}  // namespace tweedie_test
