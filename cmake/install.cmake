# SPDX-License-Identifier: MIT
# Install rules. Components: runtime (liblossfn.so.N), dev (headers, links, CMake and pkg-config files), doc; the
# components python and lua stand in bindings/.
include(CMakePackageConfigHelpers)

set(config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/lossfn)
foreach(name shared static)
    if(TARGET lossfn_${name})
        install(
            TARGETS lossfn_${name}
            EXPORT lossfn_${name}
            LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime NAMELINK_COMPONENT dev
            ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT dev
            RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT runtime
            FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT dev)
        install(
            EXPORT lossfn_${name}
            NAMESPACE lossfn::
            FILE lossfn-${name}.cmake
            DESTINATION ${config_dir}
            COMPONENT dev)
    endif()
endforeach()

configure_package_config_file(cmake/lossfnConfig.cmake.in lossfnConfig.cmake INSTALL_DESTINATION ${config_dir})
if(PROJECT_VERSION_MAJOR EQUAL 0)
    set(compatibility SameMinorVersion)
else()
    set(compatibility SameMajorVersion)
endif()
write_basic_package_version_file(lossfnConfigVersion.cmake COMPATIBILITY ${compatibility})
install(
    FILES "${CMAKE_CURRENT_BINARY_DIR}/lossfnConfig.cmake" "${CMAKE_CURRENT_BINARY_DIR}/lossfnConfigVersion.cmake"
    DESTINATION ${config_dir}
    COMPONENT dev)

# The prefix is found from the .pc file's own place, so that an installed tree can be moved.
set(pkgconfig_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH pc_prefix "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig" "${CMAKE_INSTALL_PREFIX}")
string(REGEX REPLACE "/$" "" pc_prefix "${pc_prefix}")
configure_file(cmake/lossfn.pc.in lossfn.pc @ONLY)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/lossfn.pc" DESTINATION ${pkgconfig_dir} COMPONENT dev)

file(GLOB texts CONFIGURE_DEPENDS *.md)
install(FILES LICENSE ${texts} DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT doc)
install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT doc FILES_MATCHING PATTERN "*.md" PATTERN "*.svg")
