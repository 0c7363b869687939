// expect: tweedie reports bad input by exceptions: compile without -fno-exceptions
// flags: -std=c++20 -fno-exceptions
#include <tweedie/tweedie.hpp>
int main() {}
