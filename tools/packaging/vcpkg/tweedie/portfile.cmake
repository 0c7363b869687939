# vcpkg install tweedie --overlay-ports=<this checkout>/tools/packaging/vcpkg
# The sources are this checkout's; a port in a registry fetches an archive into SOURCE_PATH instead.
get_filename_component(SOURCE_PATH "${CMAKE_CURRENT_LIST_DIR}/../../../.." ABSOLUTE)

set(VCPKG_BUILD_TYPE release)  # headers: nothing to build twice
vcpkg_cmake_configure(SOURCE_PATH "${SOURCE_PATH}" OPTIONS
  -DTWEEDIE_BUILD_TESTS=OFF -DTWEEDIE_BUILD_EXAMPLES=OFF -DTWEEDIE_BUILD_BENCHMARKS=OFF)
vcpkg_cmake_install()
vcpkg_cmake_config_fixup(PACKAGE_NAME tweedie CONFIG_PATH share/cmake/tweedie)
file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/lib" "${CURRENT_PACKAGES_DIR}/share/licenses")
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE")
