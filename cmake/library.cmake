# SPDX-License-Identifier: MIT
# The library: kernels per instruction set and dtype, everything else once, and from these objects liblossfn.so and
# liblossfn.a.

# The engine, src/simd/engine.c, and the kernels of a family of losses, src/simd/kernels.c, are compiled once for each
# instruction set and dtype.
string(TOLOWER "${CMAKE_SYSTEM_PROCESSOR}" processor)
if(processor MATCHES "^(x86_64|amd64)$" AND CMAKE_SIZEOF_VOID_P EQUAL 8)
    set(known_isas baseline avx2 avx512)
elseif(processor MATCHES "^(aarch64|arm64)$")
    set(known_isas baseline neon)
else()
    set(known_isas baseline)
endif()
set(LOSSFN_ISAS "${known_isas}" CACHE STRING "Instruction sets to compile for; all give the same bits")
foreach(isa IN LISTS LOSSFN_ISAS)
    if(NOT isa IN_LIST known_isas)
        message(FATAL_ERROR "LOSSFN_ISAS has ${isa}; ${processor} has ${known_isas}")
    endif()
endforeach()
if(NOT "baseline" IN_LIST LOSSFN_ISAS)
    message(FATAL_ERROR "LOSSFN_ISAS is ${LOSSFN_ISAS}; baseline is always needed")
endif()
set(LOSSFN_ISA_FLAGS_baseline)
set(LOSSFN_ISA_FLAGS_neon)
set(LOSSFN_ISA_FLAGS_avx2 -mavx2 -mfma)
set(LOSSFN_ISA_FLAGS_avx512 -mavx512f -mavx512dq -mavx512bw -mavx512vl -mavx2 -mfma)

# Compiles a target for one instruction set and dtype.
function(lossfn_compile_for target isa real)
    string(TOUPPER "${isa}" isa_upper)
    string(TOUPPER "${real}" real_upper)
    target_compile_definitions(${target} PRIVATE LOSSFN_ISA_${isa_upper} LOSSFN_REAL_${real_upper})
    target_compile_options(${target} PRIVATE ${LOSSFN_ISA_FLAGS_${isa}})
    if(CMAKE_C_COMPILER_ID STREQUAL GNU)
        # Conversions between dtypes are plain loops; other compilers vectorise at -O2. With -g, following each variable
        # through the inlined mathematics would take a quarter of the time.
        target_compile_options(
            ${target} PRIVATE -ftree-vectorize -fvect-cost-model=dynamic -fno-var-tracking)
    endif()
    # Link-time optimisation would merge the flags of different instruction sets.
    set_target_properties(${target} PROPERTIES INTERPROCEDURAL_OPTIMIZATION OFF)
endfunction()

function(lossfn_object_library target)
    add_library(${target} OBJECT ${ARGN})
    target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}/include" "${PROJECT_SOURCE_DIR}/src")
    target_compile_definitions(${target} PRIVATE LOSSFN_BUILDING)
    target_link_libraries(${target} PRIVATE lossfn_flags Threads::Threads)
    set_target_properties(
        ${target}
        PROPERTIES C_STANDARD 11
                   C_STANDARD_REQUIRED ON
                   C_EXTENSIONS OFF
                   C_VISIBILITY_PRESET hidden
                   POSITION_INDEPENDENT_CODE ON)
endfunction()

set(objects $<TARGET_OBJECTS:lossfn_common>)
file(STRINGS src/losses/list.h families REGEX "^#define FAMILY_")
list(TRANSFORM families REPLACE "^#define FAMILY_([a-z]+) .*" "\\1")
foreach(isa IN LISTS LOSSFN_ISAS)
    foreach(real f32 f64)
        set(engine lossfn_engine_${isa}_${real})
        lossfn_object_library(${engine} src/simd/engine.c)
        lossfn_compile_for(${engine} ${isa} ${real})
        list(APPEND objects $<TARGET_OBJECTS:${engine}>)
        foreach(family IN LISTS families)
            set(kernels lossfn_${family}_${isa}_${real})
            lossfn_object_library(${kernels} src/simd/kernels.c)
            lossfn_compile_for(${kernels} ${isa} ${real})
            target_compile_definitions(
                ${kernels} PRIVATE LOSSFN_FAMILY=${family} LOSSFN_FAMILY_FILE="losses/${family}.h")
            list(APPEND objects $<TARGET_OBJECTS:${kernels}>)
        endforeach()
    endforeach()
endforeach()
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS src/losses/list.h)

file(GLOB_RECURSE common_sources CONFIGURE_DEPENDS src/api/*.c src/core/*.c src/engine/*.c src/losses/*.c)
lossfn_object_library(lossfn_common ${common_sources})
if(CMAKE_SYSTEM_NAME STREQUAL "Linux" AND NOT LOSSFN_SANITIZE)
    # What reads text and bytes from outside; nothing of it runs while numbers are computed.
    set(reading_sources ${common_sources})
    list(FILTER reading_sources INCLUDE REGEX "/(core/(draft|given|number|options|spec|text)|api/(accumulator|check))\\.c$")
    set_source_files_properties(${reading_sources} PROPERTIES COMPILE_OPTIONS -fstack-protector-strong)
endif()
if(CMAKE_C_COMPILER_ID MATCHES Clang AND "undefined" IN_LIST LOSSFN_SANITIZE)
    # Sizes and counts do not wrap; the few functions where digits do are marked.
    target_compile_options(
        lossfn_common PRIVATE -fsanitize=unsigned-integer-overflow -fno-sanitize-recover=unsigned-integer-overflow)
endif()
foreach(isa IN LISTS LOSSFN_ISAS) # so that the table of kernels has exactly these rows
    string(TOUPPER "${isa}" isa_upper)
    target_compile_definitions(lossfn_common PRIVATE LOSSFN_HAVE_${isa_upper})
endforeach()

# The headers, and what a program that links the library needs.
file(GLOB public_headers CONFIGURE_DEPENDS include/lossfn/*.h include/lossfn/*.hpp)
function(lossfn_finish_library target name)
    add_library(lossfn::${name} ALIAS ${target})
    target_sources(
        ${target} PUBLIC FILE_SET HEADERS BASE_DIRS "${PROJECT_SOURCE_DIR}/include" FILES ${public_headers})
    target_link_libraries(${target} PRIVATE Threads::Threads $<$<BOOL:${UNIX}>:m>)
    target_link_options(${target} PRIVATE $<TARGET_PROPERTY:lossfn_flags,INTERFACE_LINK_OPTIONS>)
    set_target_properties(${target} PROPERTIES OUTPUT_NAME lossfn EXPORT_NAME ${name} LINKER_LANGUAGE C)
endfunction()

if(LOSSFN_BUILD_STATIC)
    add_library(lossfn_static STATIC ${objects})
    lossfn_finish_library(lossfn_static static)
endif()

if(LOSSFN_BUILD_SHARED)
    add_library(lossfn_shared SHARED ${objects})
    lossfn_finish_library(lossfn_shared shared)
    set_target_properties(lossfn_shared PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${lossfn_ABI_VERSION})

    # Exactly the symbols of cmake/lossfn.symbols leave the library; one that is listed and missing fails the link.
    set(symbol_list "${PROJECT_SOURCE_DIR}/cmake/lossfn.symbols")
    set(version_script "${CMAKE_CURRENT_BINARY_DIR}/lossfn.map")
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${symbol_list}")
    file(STRINGS "${symbol_list}" symbols REGEX "^lossfn_")
    list(JOIN symbols ";\n        " symbols)
    file(CONFIGURE OUTPUT "${version_script}" CONTENT
"LOSSFN_${lossfn_ABI_VERSION} {
    global:
        @symbols@;
    local:
        *;
};
" @ONLY)
    set_property(TARGET lossfn_shared APPEND PROPERTY LINK_DEPENDS "${version_script}")
    target_link_options(
        lossfn_shared PRIVATE "LINKER:--version-script=${version_script}" LINKER:-z,relro LINKER:-z,now)
    include(CheckLinkerFlag)
    check_linker_flag(C LINKER:--no-undefined-version LOSSFN_HAVE_NO_UNDEFINED_VERSION)
    if(LOSSFN_HAVE_NO_UNDEFINED_VERSION)
        target_link_options(lossfn_shared PRIVATE LINKER:--no-undefined-version)
    endif()
    if(NOT LOSSFN_SANITIZE) # whose runtime is found only in the program
        target_link_options(lossfn_shared PRIVATE LINKER:--no-undefined)
    endif()
    add_library(lossfn::lossfn ALIAS lossfn_shared)
else()
    add_library(lossfn::lossfn ALIAS lossfn_static)
endif()
