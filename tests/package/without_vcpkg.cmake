# As much of vcpkg as tweedie's port uses, for machines without vcpkg; the port itself runs for real.
# cmake -D port=<folder> -D packages=<folder> -D build=<folder> -P without_vcpkg.cmake
cmake_minimum_required(VERSION 3.22)
set(CURRENT_PACKAGES_DIR "${packages}")

function(vcpkg_cmake_configure)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "SOURCE_PATH" "OPTIONS")
  execute_process(COMMAND ${CMAKE_COMMAND} -S "${arg_SOURCE_PATH}" -B "${build}" ${arg_OPTIONS}
    OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
endfunction()

function(vcpkg_cmake_install)
  execute_process(COMMAND ${CMAKE_COMMAND} --install "${build}" --prefix "${CURRENT_PACKAGES_DIR}"
    OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
endfunction()

# vcpkg keeps configuration files in share/<port>.
function(vcpkg_cmake_config_fixup)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "PACKAGE_NAME;CONFIG_PATH" "")
  if(NOT EXISTS "${CURRENT_PACKAGES_DIR}/${arg_CONFIG_PATH}/${arg_PACKAGE_NAME}Config.cmake")
    message(FATAL_ERROR "nothing in ${arg_CONFIG_PATH}")
  endif()
  file(RENAME "${CURRENT_PACKAGES_DIR}/${arg_CONFIG_PATH}" "${CURRENT_PACKAGES_DIR}/moved")
  file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/share/cmake")
  file(RENAME "${CURRENT_PACKAGES_DIR}/moved" "${CURRENT_PACKAGES_DIR}/share/${arg_PACKAGE_NAME}")
  file(GLOB targets "${CURRENT_PACKAGES_DIR}/share/${arg_PACKAGE_NAME}/*Targets.cmake")
  foreach(file IN LISTS targets)
    file(READ "${file}" text)
    string(REGEX REPLACE
      "(get_filename_component\\(_IMPORT_PREFIX \"\\\${_IMPORT_PREFIX}\" PATH\\)\n)+"
      "get_filename_component(_IMPORT_PREFIX \"\${_IMPORT_PREFIX}\" PATH)\nget_filename_component(_IMPORT_PREFIX \"\${_IMPORT_PREFIX}\" PATH)\n"
      text "${text}")
    file(WRITE "${file}" "${text}")
  endforeach()
  file(GLOB configs "${CURRENT_PACKAGES_DIR}/share/${arg_PACKAGE_NAME}/*Config.cmake")
  foreach(file IN LISTS configs)
    file(READ "${file}" text)
    string(REPLACE "/../../../" "/../../" text "${text}")
    file(WRITE "${file}" "${text}")
  endforeach()
endfunction()

function(vcpkg_install_copyright)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "" "FILE_LIST")
  file(COPY_FILE "${arg_FILE_LIST}" "${CURRENT_PACKAGES_DIR}/share/tweedie/copyright")
endfunction()

include("${port}/portfile.cmake")

# What vcpkg's checks after a build refuse.
file(GLOB_RECURSE files RELATIVE "${CURRENT_PACKAGES_DIR}" "${CURRENT_PACKAGES_DIR}/*")
foreach(file IN LISTS files)
  if(NOT file MATCHES "^(include/tweedie/|share/tweedie/|share/pkgconfig/)")
    message(FATAL_ERROR "the port installs ${file}")
  endif()
endforeach()
