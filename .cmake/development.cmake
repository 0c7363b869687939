# What only our own tests, examples and benchmarks see.

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Debug, Release, RelWithDebInfo or MinSizeRel" FORCE)
endif()

find_program(ccache ccache)
if(ccache AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # Without this sloppiness ccache refuses whatever uses a precompiled header.
  set(CMAKE_CXX_COMPILER_LAUNCHER
    ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros "${ccache}")
endif()

set(CMAKE_CXX_EXTENSIONS OFF)
find_package(Threads REQUIRED)

# Off for whoever follows README: compilers warn of their own headers, GCC 12 of its AVX-512 ones.
option(TWEEDIE_WARNINGS_AS_ERRORS "Treat warnings in our own builds as errors" OFF)

add_library(tweedie_development INTERFACE)
target_link_libraries(tweedie_development INTERFACE tweedie::tweedie Threads::Threads)
if(CMAKE_CXX_COMPILER_ID MATCHES "GNU|Clang")
  target_compile_options(tweedie_development INTERFACE
    -Wall -Wextra -Wpedantic -Wconversion
    # Where sources share a translation unit, a local name may be that of another's helper.
    $<$<NOT:$<BOOL:$<TARGET_PROPERTY:UNITY_BUILD>>>:-Wshadow>
    $<$<BOOL:${TWEEDIE_WARNINGS_AS_ERRORS}>:-Werror>
    $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)  # GCC bug 105651: cries wolf in std::string
endif()

find_package(Freetype QUIET)
find_package(PNG QUIET)
find_package(ZLIB QUIET)
find_package(nlohmann_json QUIET)
find_package(xtensor QUIET)
find_package(rapidcheck QUIET)
find_package(MPI QUIET COMPONENTS CXX)
mark_as_advanced(ccache)

# An imported target of a header, found in one of `suffixes` of the include paths, and of libraries.
function(find_imported target header suffixes)
  string(MAKE_C_IDENTIFIER "${target}" name)
  find_path(${name}_include "${header}" PATH_SUFFIXES ${suffixes})
  set(found "${${name}_include}")
  set(libraries)
  foreach(library IN LISTS ARGN)
    find_library(${name}_${library} ${library})
    list(APPEND libraries "${${name}_${library}}")
    mark_as_advanced(${name}_${library})
  endforeach()
  mark_as_advanced(${name}_include)
  if(found AND NOT "${libraries}" MATCHES "NOTFOUND")
    add_library(${target} INTERFACE IMPORTED)
    target_include_directories(${target} INTERFACE "${found}")
    target_link_libraries(${target} INTERFACE ${libraries})
  endif()
endfunction()

if(NOT TARGET cxxopts::cxxopts)
  find_imported(cxxopts::cxxopts cxxopts.hpp "")
endif()
find_imported(OpenCV::dnn opencv2/dnn.hpp opencv4 opencv_dnn opencv_core)
find_imported(ONNXRuntime::ONNXRuntime onnxruntime_cxx_api.h
  "onnxruntime;onnxruntime/core/session" onnxruntime)
# Headers of LibTorch 1.13 are not C++20 to clang 14: vectors of incomplete types.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND NOT CMAKE_CXX_CLANG_TIDY)
  find_imported(LibTorch::torch torch/torch.h torch/csrc/api/include torch torch_cpu c10)
endif()
find_imported(ONNX::onnx onnx/checker.h "" onnx onnx_proto protobuf)
if(TARGET ONNX::onnx)
  target_compile_definitions(ONNX::onnx INTERFACE ONNX_NAMESPACE=onnx ONNX_ML=1)
endif()

# Each optional library: what an #include of it looks like, and the target to link.
set(optional_libraries
  "^ft2build\\.h=Freetype::Freetype"
  "^png\\.h=PNG::PNG"
  "^zlib\\.h=ZLIB::ZLIB"
  "^cxxopts\\.hpp=cxxopts::cxxopts"
  "^rapidcheck\\.h=rapidcheck"
  "^nlohmann/|^tweedie/interop/huggingface=nlohmann_json::nlohmann_json"
  "^xtensor/|^tweedie/interop/xtensor=xtensor"
  "^torch/|^tweedie/interop/libtorch=LibTorch::torch"
  "^mpi\\.h=MPI::MPI_CXX"
  "^onnx/=ONNX::onnx"
  "^opencv2/dnn=OpenCV::dnn"
  "^onnxruntime_cxx_api\\.h=ONNXRuntime::ONNXRuntime")

# The optional libraries that these sources include, directly or through files of the project that
# they include in quotes: those to link in `found`, those this machine lacks in `missing`.
function(find_optional_libraries found missing)
  set(queue ${ARGN})
  set(seen)
  set(link)
  set(lack)
  while(queue)
    list(POP_FRONT queue file)
    if(file IN_LIST seen)
      continue()
    endif()
    list(APPEND seen "${file}")
    get_filename_component(folder "${file}" DIRECTORY)
    file(STRINGS "${file}" lines REGEX "^ *# *include")
    foreach(line IN LISTS lines)
      string(REGEX REPLACE "^[^<\"]*[<\"]([^>\"]+).*$" "\\1" header "${line}")
      foreach(base "${folder}" "${CMAKE_CURRENT_SOURCE_DIR}")
        if(line MATCHES "\"" AND EXISTS "${base}/${header}")
          get_filename_component(next "${base}/${header}" ABSOLUTE)
          list(APPEND queue "${next}")
        endif()
      endforeach()
      foreach(library IN LISTS optional_libraries)
        string(REGEX MATCH "^(.*)=(.*)$" library "${library}")
        set(pattern "${CMAKE_MATCH_1}")
        set(target "${CMAKE_MATCH_2}")
        if(header MATCHES "${pattern}")
          if(TARGET "${target}")
            list(APPEND link "${target}")
          else()
            list(APPEND lack "${target}")
          endif()
        endif()
      endforeach()
    endforeach()
  endwhile()
  list(REMOVE_DUPLICATES link)
  list(REMOVE_DUPLICATES lack)
  set(${found} "${link}" PARENT_SCOPE)
  set(${missing} "${lack}" PARENT_SCOPE)
endfunction()
