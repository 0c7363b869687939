# cmake -Dcompiler= -Dnode= -Dinclude= -Deigen= -Dsource= -Dprogram= -P wasm.cmake
# Builds the program with emscripten's default stack and runs it under node.
cmake_minimum_required(VERSION 3.22)
execute_process(COMMAND "${compiler}" -std=c++20 -O1 -fexceptions "-I${include}" -isystem "${eigen}"
  "${source}" -o "${program}.js" RESULT_VARIABLE result ERROR_VARIABLE said)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "${said}")
endif()
execute_process(COMMAND "${node}" "${program}.js" RESULT_VARIABLE result)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "failed under ${node}")
endif()
