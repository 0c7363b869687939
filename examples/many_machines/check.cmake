# cmake -D mpirun=<executable> -D program=<executable> -D folder=<folder> -P check.cmake
# One, two and three ranks print the same; so does a run whose rank died and that went on with another number of
# ranks, with fewer network calls than a whole one.
cmake_minimum_required(VERSION 3.22)
file(REMOVE_RECURSE "${folder}")
file(MAKE_DIRECTORY "${folder}")
# For Open MPI, whose versions before 5 and since look at different names; others do not look.
set(ENV{OMPI_ALLOW_RUN_AS_ROOT} 1)
set(ENV{OMPI_ALLOW_RUN_AS_ROOT_CONFIRM} 1)
set(ENV{OMPI_MCA_rmaps_base_oversubscribe} 1)
set(ENV{PRTE_ALLOW_RUN_AS_ROOT} 1)
set(ENV{PRTE_ALLOW_RUN_AS_ROOT_CONFIRM} 1)
set(ENV{PRTE_MCA_rmaps_default_mapping_policy} :oversubscribe)

# Sets printed, said and result of a run on so many ranks.
macro(run ranks)
  execute_process(COMMAND "${mpirun}" -n ${ranks} "${program}" 1100 30 64 ${ARGN}
    WORKING_DIRECTORY "${folder}"
    OUTPUT_VARIABLE printed ERROR_VARIABLE said RESULT_VARIABLE result)
endmacro()
macro(calls_into variable)
  if(NOT said MATCHES " ([0-9]+) network calls")
    message(FATAL_ERROR "no count of network calls:\n${printed}${said}")
  endif()
  set(${variable} ${CMAKE_MATCH_1})
endmacro()

foreach(ranks 1 2 3)
  file(REMOVE_RECURSE "${folder}/pieces")
  run(${ranks})
  calls_into(calls)
  string(REGEX REPLACE "weights of an earlier run[^\n]*\n" "" printed "${printed}")
  if(ranks EQUAL 1)
    set(alone "${printed}")
  endif()
  if(NOT result EQUAL 0 OR NOT calls EQUAL 100 OR NOT printed STREQUAL alone
     OR NOT printed MATCHES "1100 digits, hash")
    message(FATAL_ERROR "${ranks} ranks, ${result}:\n${printed}${said}\none rank:\n${alone}")
  endif()
endforeach()

# The last rank dies in its second piece.
file(REMOVE_RECURSE "${folder}/pieces")
run(2 28)
if(result EQUAL 0)
  message(FATAL_ERROR "a rank that dies ends the run:\n${printed}${said}")
endif()
run(3)
calls_into(calls)
string(REGEX REPLACE "weights of an earlier run[^\n]*\n" "" printed "${printed}")
if(NOT result EQUAL 0 OR calls LESS 1 OR calls GREATER 75 OR NOT printed STREQUAL alone)
  message(FATAL_ERROR "after a death, ${calls} calls:\n${printed}${said}\none rank:\n${alone}")
endif()
message(STATUS "${alone}after a death: ${calls} of 100 calls")
