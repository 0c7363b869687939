# tweedie::compiled: the library with the run, the loader and the kernels of several instruction sets compiled
# once. It is built from source in the project that links it, with that project's compiler and flags, so
# that the package itself stays headers.
if(TARGET tweedie_compiled)
  return()
endif()

set(tweedie_sources "${CMAKE_CURRENT_LIST_DIR}/../src")
if(NOT EXISTS "${tweedie_sources}/engine.cpp")
  set(tweedie_sources "${CMAKE_CURRENT_LIST_DIR}/src")  # installed
endif()

add_library(tweedie_compiled STATIC EXCLUDE_FROM_ALL "${tweedie_sources}/engine.cpp")
add_library(tweedie::compiled ALIAS tweedie_compiled)
target_link_libraries(tweedie_compiled PUBLIC tweedie::tweedie)
target_compile_definitions(tweedie_compiled PUBLIC TWEEDIE_COMPILED)
set_target_properties(tweedie_compiled PROPERTIES
  POSITION_INDEPENDENT_CODE ON CXX_EXTENSIONS OFF)

if(NOT TARGET nlohmann_json::nlohmann_json)
  find_package(nlohmann_json QUIET)
endif()
if(TARGET nlohmann_json::nlohmann_json)
  target_sources(tweedie_compiled PRIVATE "${tweedie_sources}/loader.cpp")
  target_link_libraries(tweedie_compiled PRIVATE nlohmann_json::nlohmann_json)
endif()

# Kernels for instructions beyond those of the build, which processors are asked for at run time.
set(tweedie_avx2 -mavx2 -mfma -mf16c)
set(tweedie_avx512 -mavx512f -mavx512dq -mavx512bw -mavx512vl -mfma -mf16c)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$" AND CMAKE_SIZEOF_VOID_P EQUAL 8
   AND CMAKE_CXX_COMPILER_ID MATCHES "GNU|Clang" AND NOT MSVC AND NOT CMAKE_OSX_ARCHITECTURES)
  foreach(set avx2 avx512)
    add_library(tweedie_kernels_${set} OBJECT EXCLUDE_FROM_ALL "${tweedie_sources}/kernels.cpp")
    target_link_libraries(tweedie_kernels_${set} PRIVATE tweedie::tweedie)
    target_compile_definitions(tweedie_kernels_${set} PRIVATE TWEEDIE_KERNELS=${set})
    # Optimised in every configuration: src/kernels.cpp relies on inlining.
    target_compile_options(tweedie_kernels_${set} PRIVATE -O2 ${tweedie_${set}})
    set_target_properties(tweedie_kernels_${set} PROPERTIES
      POSITION_INDEPENDENT_CODE ON CXX_EXTENSIONS OFF INTERPROCEDURAL_OPTIMIZATION OFF)
    target_sources(tweedie_compiled PRIVATE $<TARGET_OBJECTS:tweedie_kernels_${set}>)
    string(TOUPPER ${set} tweedie_name)
    target_compile_definitions(tweedie_compiled PRIVATE TWEEDIE_COMPILED_${tweedie_name})
  endforeach()
endif()
