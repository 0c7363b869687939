# cmake -Dcompiler= -Dnode= -Dinclude= -Deigen= -Dsource= -Dprogram= -P wasm.cmake
# Builds the program with emscripten's default stack and runs it under node. In a single file, since old
# emscripten would fetch a second one as a browser does where node can fetch.
cmake_minimum_required(VERSION 3.22)
execute_process(COMMAND "${compiler}" -std=c++20 -O1 -fexceptions -sSINGLE_FILE "-I${include}" -isystem "${eigen}"
  "${source}" -o "${program}.js" RESULT_VARIABLE result ERROR_VARIABLE said)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "${said}")
endif()
execute_process(COMMAND "${node}" "${program}.js" RESULT_VARIABLE result)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "failed under ${node}")
endif()
