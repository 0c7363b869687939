# cmake -Dcompiler= -Dflags= -Demulator= -Dgoogletest= -Deigen= -Djson= -Droot= -Dprogram= -P emulated.cmake
# Builds the tests of what depends on the processor, and the replay of five recorded files, statically, and
# runs them under the emulator, without the statistical tests, whose numbers are those of any other processor.
# `json`: the folder of nlohmann/json.hpp, which may be that of this machine's other headers; empty: no replay.
cmake_minimum_required(VERSION 3.22)

function(run_emulated program sources options arguments)
  execute_process(COMMAND "${compiler}" ${flags} -std=c++20 -static "-I${root}/include" "-I${root}/tests"
    -isystem "${eigen}" ${options} ${sources} -lpthread -o "${program}"
    RESULT_VARIABLE result ERROR_VARIABLE said)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${said}")
  endif()
  execute_process(COMMAND "${emulator}" "${program}" ${arguments} RESULT_VARIABLE result)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "failed under ${emulator}")
  endif()
endfunction()

set(tests "${googletest}/src/gtest-all.cc" "${googletest}/src/gtest_main.cc")
foreach(name tensor/packet tensor/philox tensor/load_store tensor/normal solve/saved_bytes)
  list(APPEND tests "${root}/tests/${name}_test.cpp")
endforeach()
run_emulated("${program}" "${tests}" "-O1;-I${googletest};-I${googletest}/include"
  "--gtest_brief=1;--gtest_filter=-*law*:*independent*")

if(json)
  set(sources "${root}/tests/platform/some_kinds.cpp")
  foreach(name replay random torch_random schedules score_sde dpm_solver_unipc)
    list(APPEND sources "${root}/tests/reference/${name}.cpp")
  endforeach()
  set(files)
  foreach(name rng_philox_kat rng_torch_cpu schedules score_sde dpm_solver_unipc)
    list(APPEND files "${root}/tests/reference/${name}.json")
  endforeach()
  run_emulated("${program}_replay" "${sources}" "-O0;-idirafter;${json}" "${files}")
endif()
