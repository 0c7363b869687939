# cmake -D program=<executable> -D expected=<file> -P compare.cmake
# Runs the program in an empty folder and compares its standard output with the file, exactly.
get_filename_component(name "${expected}" NAME_WE)
get_filename_component(folder "${program}" DIRECTORY)
set(folder "${folder}/output/${name}")
file(REMOVE_RECURSE "${folder}")
file(MAKE_DIRECTORY "${folder}")
execute_process(COMMAND "${program}" WORKING_DIRECTORY "${folder}"
  OUTPUT_FILE "${folder}/${name}.txt" RESULT_VARIABLE result)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "${program} ended with ${result}")
endif()
execute_process(COMMAND "${CMAKE_COMMAND}" -E compare_files "${folder}/${name}.txt" "${expected}"
  RESULT_VARIABLE differs)
if(differs)
  file(READ "${folder}/${name}.txt" output)
  message(FATAL_ERROR "${name} printed this, which differs from ${expected}:\n${output}")
endif()
