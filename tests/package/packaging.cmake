# cmake -D way=conan|vcpkg|meson|debian|versions -D root=... -D folder=... -D version=... -D compiler=...
#   -P packaging.cmake
# Makes a package from this tree by one of the recipes of tools/packaging, and a program with it. Conan and
# vcpkg themselves would download what the recipe depends on: stand-ins call the recipe as they do.
cmake_minimum_required(VERSION 3.22)
set(packaging "${root}/tools/packaging")
set(tests "${CMAKE_CURRENT_LIST_DIR}")
file(REMOVE_RECURSE "${folder}")
file(MAKE_DIRECTORY "${folder}")

# In a folder of its own, with what the recipe prints only if it fails.
function(run)
  execute_process(COMMAND ${ARGN} WORKING_DIRECTORY "${folder}"
    OUTPUT_VARIABLE output ERROR_VARIABLE output RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "${command}\n${status}\n${output}")
  endif()
endfunction()

function(consume prefix)
  run(${CMAKE_COMMAND} -S "${tests}/find_package" -B "${folder}/consumer"
    "-DCMAKE_CXX_COMPILER=${compiler}" "-DCMAKE_PREFIX_PATH=${prefix}" -DCMAKE_BUILD_TYPE=Debug
    "-DEXPECTED_VERSION=${version}" "-DEXPECTED_PREFIX=${prefix}" -DCONSUMER=small_consumer.cpp ${ARGN})
  run(${CMAKE_COMMAND} --build "${folder}/consumer")
  run("${folder}/consumer/consumer")
endfunction()

# What a release archive holds, without its tests.
function(copy_sources to)
  file(COPY "${root}/CMakeLists.txt" "${root}/LICENSE" "${root}/.cmake" "${root}/include" "${root}/src"
    DESTINATION "${to}")
endfunction()

if(way STREQUAL "conan")
  find_program(python NAMES python3 python)
  set(ENV{PYTHONPATH} "${tests}/without_conan")
  set(ENV{PYTHONDONTWRITEBYTECODE} 1)
  run("${python}" "${tests}/without_conan/create.py" "${packaging}/conan/conanfile.py"
    "${folder}/package" ${version})
  consume("${folder}/package")
elseif(way STREQUAL "vcpkg")
  run(${CMAKE_COMMAND} "-Dport=${packaging}/vcpkg/tweedie" "-Dpackages=${folder}/package"
    "-Dbuild=${folder}/build" -P "${tests}/without_vcpkg.cmake")
  consume("${folder}/package")
elseif(way STREQUAL "meson")
  copy_sources("${folder}/tweedie-${version}")
  set(archive tweedie-${version}.tar.gz)
  run(${CMAKE_COMMAND} -E tar czf ${archive} tweedie-${version})
  file(SHA256 "${folder}/${archive}" hash)
  set(url "file://${folder}/${archive}")
  set(to "${folder}/consumer/subprojects")
  configure_file("${packaging}/meson/tweedie.wrap.in" "${to}/tweedie.wrap" @ONLY)
  configure_file("${packaging}/meson/packagefiles/tweedie/meson.build.in"
    "${to}/packagefiles/tweedie/meson.build" @ONLY)
  file(COPY "${tests}/packaged_meson/" "${tests}/small_consumer.cpp" DESTINATION "${folder}/consumer")
  set(ENV{CXX} "${compiler}")
  run(meson setup "${folder}/build" "${folder}/consumer" "-Dexpected_version=${version}"
    --force-fallback-for=tweedie)
  run(meson test -C "${folder}/build")
elseif(way STREQUAL "debian")
  set(tree "${folder}/tweedie-${version}")
  copy_sources("${tree}")
  file(COPY "${packaging}/debian" DESTINATION "${tree}")
  run(${CMAKE_COMMAND} -E chdir "${tree}" dpkg-buildpackage -us -uc -b -nc)
  file(GLOB package "${folder}/libtweedie-dev_${version}-*_all.deb")
  if(NOT package)
    message(FATAL_ERROR "no package in ${folder}")
  endif()
  run(dpkg-deb -x "${package}" "${folder}/package")
  consume("${folder}/package/usr")
  find_program(lintian lintian)
  if(lintian)
    # A package of no archive closes no bug, and its maintainer has no address.
    run(${lintian} --allow-root --fail-on error,warning --suppress-tags
      initial-upload-closes-no-bugs,bogus-mail-host,no-manual-page "${package}")
  endif()
elseif(way STREQUAL "versions")
  file(READ "${packaging}/vcpkg/tweedie/vcpkg.json" json)
  string(JSON vcpkg GET "${json}" version)
  file(STRINGS "${packaging}/debian/changelog" line LIMIT_COUNT 1)
  string(REGEX MATCH "\\(([0-9.]+)-" matched "${line}")
  set(debian "${CMAKE_MATCH_1}")
  file(STRINGS "${root}/CITATION.cff" line REGEX "^version: ")
  string(REGEX MATCH "[0-9.]+" citation "${line}")
  file(STRINGS "${root}/CHANGELOG.md" line REGEX "^## [0-9]")
  list(GET line 0 line)
  string(REGEX MATCH "[0-9.]+" changelog "${line}")
  foreach(file vcpkg debian citation changelog)
    if(NOT ${file} STREQUAL version)
      message(FATAL_ERROR "${file} has version '${${file}}', version.hpp ${version}")
    endif()
  endforeach()
else()
  message(FATAL_ERROR "unknown way ${way}")
endif()
