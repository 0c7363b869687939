# cmake -Droot=DIR -Deigen=DIR -Dcompiler=C -Dversion=V -Dfolder=DIR -P eigen_versions.cmake
# The tree, and what it installs, accept packages of Eigen from 3.4.0 on, other major versions, too, and refuse older
# ones by name. The packages are made here: the headers that are installed under other versions.
cmake_minimum_required(VERSION 3.22)
file(REMOVE_RECURSE "${folder}")
include(CMakePackageConfigHelpers)

# Sets result, and said, of configuring `source` with Eigen `eigen_version`.
macro(configure_with eigen_version source)
  set(package "${folder}/eigen-${eigen_version}")
  file(WRITE "${package}/Eigen3Config.cmake"
    "add_library(Eigen3::Eigen INTERFACE IMPORTED)\n"
    "target_include_directories(Eigen3::Eigen INTERFACE \"${eigen}\")\n")
  # As Eigen's own, a request for 3.4 is met by 3.4 to 3.9 only.
  write_basic_package_version_file("${package}/Eigen3ConfigVersion.cmake"
    VERSION ${eigen_version} COMPATIBILITY SameMajorVersion ARCH_INDEPENDENT)
  file(REMOVE_RECURSE "${folder}/build")
  execute_process(COMMAND ${CMAKE_COMMAND} -S "${source}" -B "${folder}/build"
    "-DCMAKE_CXX_COMPILER=${compiler}" -DCMAKE_BUILD_TYPE=Debug "-DEigen3_DIR=${package}"
    -DTWEEDIE_BUILD_TESTS=OFF -DTWEEDIE_BUILD_EXAMPLES=OFF -DTWEEDIE_BUILD_BENCHMARKS=OFF
    "-DCMAKE_PREFIX_PATH=${folder}/prefix" -DEXPECTED_VERSION=${version}
    RESULT_VARIABLE result OUTPUT_VARIABLE said ERROR_VARIABLE said)
  string(REGEX REPLACE "[ \n]+" " " said "${said}")
endmacro()

foreach(accepted 3.4.0 3.4.1 5.0.1)
  configure_with(${accepted} "${root}")
  if(result)
    message(FATAL_ERROR "the tree refuses Eigen ${accepted}: ${said}")
  endif()
  execute_process(COMMAND ${CMAKE_COMMAND} --install "${folder}/build" --prefix "${folder}/prefix"
    OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
  configure_with(${accepted} "${CMAKE_CURRENT_LIST_DIR}/find_package")
  if(result)
    message(FATAL_ERROR "the installed package refuses Eigen ${accepted}: ${said}")
  endif()
endforeach()
foreach(source "${root}" "${CMAKE_CURRENT_LIST_DIR}/find_package")
  configure_with(3.3.9 "${source}")
  if(NOT result OR NOT said MATCHES "tweedie needs Eigen 3\\.4 or later; [^ ]* has 3\\.3\\.9")
    message(FATAL_ERROR "${source} with Eigen 3.3.9 says: ${said}")
  endif()
endforeach()
