# cmake -D compiler=... -D root=... -D eigen=... -D folder=... [-D others=<headers>] -P single_header.cmake
# What tools/amalgamate writes must serve a program as the headers do: same bits. It holds every umbrella
# and the other headers named.
cmake_minimum_required(VERSION 3.22)
file(MAKE_DIRECTORY "${folder}")
set(source "${CMAKE_CURRENT_LIST_DIR}/single_header.cpp")

function(run_or_fail result)
  execute_process(COMMAND ${ARGN} OUTPUT_VARIABLE output ERROR_VARIABLE errors RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "${command}\n${status}\n${errors}")
  endif()
  set(${result} "${output}" PARENT_SCOPE)
endfunction()

function(amalgamate file)
  run_or_fail(text "${root}/tools/amalgamate" ${ARGN})
  if(text MATCHES "\n *# *include *\"")
    message(FATAL_ERROR "${file} includes a header of the library")
  endif()
  file(WRITE "${folder}/${file}" "${text}")
endfunction()

# -Wno-restrict is GCC's, -Wno-unknown-warning-option what clang asks for to pass it over.
set(compile "${compiler}" -std=c++20 -O0 -Wall -Wextra -Werror -Wno-unknown-warning-option -Wno-restrict
  -isystem "${eigen}")

file(GLOB umbrellas RELATIVE "${root}/include/tweedie" "${root}/include/tweedie/*.hpp")
amalgamate(single_header.hpp ${umbrellas} ${others})
run_or_fail(nothing ${compile} -DSINGLE_HEADER "-I${folder}" "${source}" -o "${folder}/with_single_header")
run_or_fail(nothing ${compile} "-I${root}/include" "${source}" -o "${folder}/with_headers")
run_or_fail(single "${folder}/with_single_header")
run_or_fail(several "${folder}/with_headers")
string(REGEX MATCHALL "\n" lines "${several}")
list(LENGTH lines lines)
if(NOT lines EQUAL 38)
  message(FATAL_ERROR "${lines} numbers:\n${several}")
endif()
if(NOT single STREQUAL several)
  message(FATAL_ERROR "with the single header\n${single}with the headers\n${several}")
endif()

execute_process(COMMAND "${root}/tools/amalgamate" no_such.hpp
  OUTPUT_QUIET ERROR_VARIABLE errors RESULT_VARIABLE status)
if(status EQUAL 0 OR NOT errors MATCHES "no .*no_such\\.hpp")
  message(FATAL_ERROR "an unknown header was not refused: ${status} ${errors}")
endif()
message(STATUS "${lines} numbers, the same bits")
