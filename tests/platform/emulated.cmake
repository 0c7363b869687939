# cmake -Dcompiler= -Demulator= -Dgoogletest= -Deigen= -Droot= -Dprogram= -P emulated.cmake
# Builds the tests of what depends on the processor, statically, and runs them under the emulator, without
# the statistical ones, whose numbers are those of any other processor.
cmake_minimum_required(VERSION 3.22)
set(tests)
foreach(name tensor/packet tensor/philox tensor/load_store tensor/normal solve/saved_bytes)
  list(APPEND tests "${root}/tests/${name}_test.cpp")
endforeach()
execute_process(COMMAND "${compiler}" -std=c++20 -O1 -static
  "-I${root}/include" "-I${root}/tests" -isystem "${eigen}" "-I${googletest}" "-I${googletest}/include"
  ${tests} "${googletest}/src/gtest-all.cc" "${googletest}/src/gtest_main.cc" -lpthread -o "${program}"
  RESULT_VARIABLE result ERROR_VARIABLE said)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "${said}")
endif()
execute_process(COMMAND "${emulator}" "${program}" --gtest_brief=1 "--gtest_filter=-*law*:*independent*"
  RESULT_VARIABLE result)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "failed under ${emulator}")
endif()
