// expect: tweedie needs Eigen 3.4 or later
// flags: -std=c++20 -DEIGEN_CORE_H -DEIGEN_VERSION_AT_LEAST(x,y,z)=0
#include <tweedie/tensor/eigen.hpp>
int main() {}
