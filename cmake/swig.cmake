# SPDX-License-Identifier: MIT
# Runs SWIG and builds the modules made from its wrapper.

# lossfn_generate_wrapper(OUTPUT_VARIABLE INTERFACE_FILE SWIG_OPTION...): the C file that SWIG makes from the interface.
function(lossfn_generate_wrapper output_variable interface)
    cmake_path(GET interface STEM stem)
    set(wrapper "${CMAKE_CURRENT_BINARY_DIR}/${stem}_wrap.c")
    file(GLOB_RECURSE parts CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*.i" "${PROJECT_SOURCE_DIR}/bindings/common/*"
         "${PROJECT_SOURCE_DIR}/include/lossfn/*.h")
    add_custom_command(
        OUTPUT "${wrapper}"
        COMMAND
            "${SWIG_EXECUTABLE}" ${ARGN} -Wall -I${CMAKE_CURRENT_SOURCE_DIR} -I${PROJECT_SOURCE_DIR}/bindings/common
            -I${PROJECT_SOURCE_DIR}/include
            -outdir "${CMAKE_CURRENT_BINARY_DIR}" -o "${wrapper}" "${CMAKE_CURRENT_SOURCE_DIR}/${interface}"
        DEPENDS ${parts} "${CMAKE_CURRENT_SOURCE_DIR}/${interface}"
        COMMENT "SWIG: ${stem}_wrap.c"
        VERBATIM)
    set(${output_variable} "${wrapper}" PARENT_SCOPE)
endfunction()

# What is common to the modules of all languages: links the library and finds it, installed, in `library_dir` relative
# to the module's own folder.
function(lossfn_finish_module target library_dir)
    target_include_directories(
        ${target} PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}" "${PROJECT_SOURCE_DIR}/bindings/common")
    target_compile_options(${target} PRIVATE -ffp-contract=off $<$<CONFIG:Release,RelWithDebInfo>:-O2>)
    target_link_libraries(${target} PRIVATE lossfn::lossfn)
    string(REGEX REPLACE "/$" "" library_dir "$ORIGIN/${library_dir}")
    set_target_properties(
        ${target}
        PROPERTIES PREFIX ""
                   C_STANDARD 11
                   C_VISIBILITY_PRESET hidden
                   INSTALL_RPATH "${library_dir}")
endfunction()

# Shows the sources of a package in the build tree as links, so that an edit needs no build.
function(lossfn_link_sources source_dir destination)
    file(GLOB_RECURSE files RELATIVE "${source_dir}" CONFIGURE_DEPENDS ${ARGN})
    foreach(file IN LISTS files)
        cmake_path(GET file PARENT_PATH folder)
        file(MAKE_DIRECTORY "${destination}/${folder}")
        file(CREATE_LINK "${source_dir}/${file}" "${destination}/${file}" SYMBOLIC)
    endforeach()
endfunction()
