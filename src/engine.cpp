#include "tweedie/compiled.hpp"
