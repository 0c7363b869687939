include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(package_dir "${CMAKE_INSTALL_DATADIR}/cmake/tweedie")

if(CMAKE_VERSION VERSION_GREATER_EQUAL 3.24)
  install(TARGETS tweedie EXPORT tweedie FILE_SET HEADERS)
else()
  install(TARGETS tweedie EXPORT tweedie)
  install(DIRECTORY include/tweedie TYPE INCLUDE FILES_MATCHING PATTERN "*.hpp")
endif()
install(FILES LICENSE DESTINATION "${CMAKE_INSTALL_DATADIR}/licenses/tweedie")
install(EXPORT tweedie
  FILE tweedieTargets.cmake NAMESPACE tweedie:: DESTINATION "${package_dir}")

configure_package_config_file(.cmake/tweedieConfig.cmake.in
  "${PROJECT_BINARY_DIR}/tweedieConfig.cmake"
  INSTALL_DESTINATION "${package_dir}" NO_SET_AND_CHECK_MACRO)
# What the component `compiled` is built from.
install(FILES .cmake/compiled.cmake DESTINATION "${package_dir}")
install(FILES src/engine.cpp src/loader.cpp src/kernels.cpp DESTINATION "${package_dir}/src")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/tweedieConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES
  "${PROJECT_BINARY_DIR}/tweedieConfig.cmake"
  "${PROJECT_BINARY_DIR}/tweedieConfigVersion.cmake"
  DESTINATION "${package_dir}")

# pkg-config finds its own prefix from the place of the file, so the tree can be moved.
file(RELATIVE_PATH pc_to_prefix "/prefix/${CMAKE_INSTALL_DATADIR}/pkgconfig" "/prefix")
string(REGEX REPLACE "/$" "" pc_to_prefix "${pc_to_prefix}")
configure_file(.cmake/tweedie.pc.in "${PROJECT_BINARY_DIR}/tweedie.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/tweedie.pc"
  DESTINATION "${CMAKE_INSTALL_DATADIR}/pkgconfig")
