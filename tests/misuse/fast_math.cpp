// expect: tweedie needs IEEE arithmetic: compile without -ffast-math
// flags: -std=c++20 -ffast-math
#include <tweedie/tweedie.hpp>
int main() {}
