#include "tweedie/interop/huggingface_compiled.hpp"
