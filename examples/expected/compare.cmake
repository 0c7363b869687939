# cmake -D program=<executable> -D expected=<file> -P compare.cmake
# Runs the program in an empty folder and compares its standard output with the file, exactly. A
# line "..." of the file stands for any lines: numbers of a training, whose last bits depend on the
# compiler and grow on the way.
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
file(READ "${folder}/${name}.txt" output)
file(READ "${expected}" pattern)
string(REGEX REPLACE "([][+.*()^$?|\\])" "\\\\\\1" pattern "${pattern}")
string(REPLACE "\n\\.\\.\\.\n" "\n(.*\n)?" pattern "${pattern}")
if(NOT output MATCHES "^${pattern}$")
  message(FATAL_ERROR "${name} printed this, which differs from ${expected}:\n${output}")
endif()
