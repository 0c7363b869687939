# cmake -D root=... [-D compiler=clang++ -D eigen=...] -P public_names.cmake
# The public names are those recorded, every name of a namespace has a comment, every error that a comment promises
# a test, and no name that clang sees is missing from the list.
cmake_minimum_required(VERSION 3.22)
set(recorded_file "${CMAKE_CURRENT_LIST_DIR}/public_names.txt")

execute_process(COMMAND "${root}/tools/public_names"
  OUTPUT_VARIABLE names ERROR_VARIABLE errors RESULT_VARIABLE status)
if(NOT status EQUAL 0 OR NOT names MATCHES "\ntweedie: program ddim\\(")
  message(FATAL_ERROR "tools/public_names: ${status} ${errors}")
endif()
file(READ "${recorded_file}" recorded)
if(NOT names STREQUAL recorded)
  get_filename_component(now "public_names.txt" ABSOLUTE)
  file(WRITE "${now}" "${names}")
  execute_process(COMMAND diff "${recorded_file}" "${now}" OUTPUT_VARIABLE difference)
  message(FATAL_ERROR "public names changed (< recorded, > now):\n${difference}"
    "If that is meant: tools/public_names >tests/package/public_names.txt, and a line in CHANGELOG.md")
endif()

execute_process(COMMAND "${root}/tools/public_names" --undocumented
  OUTPUT_VARIABLE undocumented COMMAND_ERROR_IS_FATAL ANY)
if(undocumented)
  message(FATAL_ERROR "public names without a comment:\n${undocumented}")
endif()

execute_process(COMMAND "${root}/tools/public_names" --unexpected
  OUTPUT_VARIABLE unexpected COMMAND_ERROR_IS_FATAL ANY)
if(unexpected)
  message(FATAL_ERROR "errors that comments promise and no test expects:\n${unexpected}")
endif()

# An independent list: what clang declares in namespace tweedie for one umbrella.
if(compiler)
  file(WRITE names.cpp "#include <tweedie/tweedie.hpp>\n")
  execute_process(COMMAND "${compiler}" -std=c++20 "-I${root}/include" -isystem "${eigen}"
    -fsyntax-only -Xclang -ast-list names.cpp
    OUTPUT_VARIABLE declared ERROR_VARIABLE errors RESULT_VARIABLE status)
  string(REPLACE "\n" "\n\n" declared "${declared}")  # a match takes both of its ends
  string(REGEX MATCHALL "\ntweedie::[a-z][A-Za-z_0-9]*\n" declared "${declared}")
  list(REMOVE_DUPLICATES declared)
  list(LENGTH declared count)
  if(count LESS 300)
    message(FATAL_ERROR "clang lists ${count} names: ${status} ${errors}")
  endif()
  set(missing)
  foreach(name IN LISTS declared)
    string(REGEX REPLACE "\n|tweedie::" "" name "${name}")
    if(NOT name STREQUAL "detail" AND NOT names MATCHES "[^A-Za-z_0-9]${name}[^A-Za-z_0-9]")
      list(APPEND missing "${name}")
    endif()
  endforeach()
  if(missing)
    message(FATAL_ERROR "tools/public_names misses ${missing}")
  endif()
  message(STATUS "${count} names of clang's are in the list")
endif()
