// Defines the loader of Hugging Face configurations, in one source, where TWEEDIE_COMPILED leaves it declared
// (tweedie/compiled.hpp).
#pragma once

#if defined(TWEEDIE_COMPILED)
#define TWEEDIE_DEFINES_LOADER
#endif

#include "tweedie/interop/huggingface.hpp"
