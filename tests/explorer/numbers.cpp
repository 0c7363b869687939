// The explorer's functions without a browser. Each line of the input is a call, the function's name after explorer_ and
// its arguments; each line of the output what it answers: numbers, or the reason of a refusal after '!'. The name alone
// of a function that gives text prints the text as it is.
//
//   plan 0 0 6 20
//   particles 2 0 1 10 1
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "../../docs/explorer/explorer.cpp"

namespace {

// Twenty pictures of 6 x 6 that no two browsers would draw differently.
void write_pictures() {
  constexpr int pixels = 36, count = 20;
  double* const to = explorer_picture_input(pixels, count);
  for (int i = 0; i < pixels * count; ++i) to[i] = (i * i + 7 * (i / pixels)) % 11 < 5 ? -1 : 1;
  explorer_remember(pixels, 10);
}

int call(const std::string& name, const std::vector<double>& a) {
  const auto i = [&a](std::size_t k) { return static_cast<int>(a.at(k)); };
  if (name == "plan") return explorer_plan(i(0), i(1), i(2), i(3));
  if (name == "fits") return explorer_fits(i(0), i(1), i(2));
  if (name == "levels") return explorer_levels();
  if (name == "particles") return explorer_particles(i(0), i(1), a.at(2), i(3), i(4));
  if (name == "density") return explorer_density(i(0), i(1), a.at(2), a.at(3), i(4), a.at(5));
  if (name == "law") return explorer_law(i(0), a.at(1));
  if (name == "errors") return explorer_errors(i(0), i(1), i(2), i(3), i(4), i(5), a.at(6));
  if (name == "pictures") {
    write_pictures();
    return explorer_pictures(i(0), a.at(1), i(2), i(3));
  }
  std::fprintf(stderr, "no function %s\n", name.c_str());
  std::exit(1);
}

}  // namespace

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream in(line);
    std::string name;
    in >> name;
    if (name == "formulas") {
      std::fputs(explorer_formulas(), stdout);
      continue;
    }
    std::vector<double> arguments;
    for (double v; in >> v;) arguments.push_back(v);
    const int count = call(name, arguments);
    if (count < 0) std::printf("!%s", explorer_text());
    for (int k = 0; k < count; ++k) std::printf(k ? " %.17g" : "%.17g", explorer_answer()[k]);
    std::puts("");
  }
}
