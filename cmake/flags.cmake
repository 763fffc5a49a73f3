# SPDX-License-Identifier: MIT
# lossfn_flags: how our own C is compiled. Linked PRIVATE, so that nothing of it reaches those who use the library.
if(LOSSFN_SANITIZE)
    set(optimisation -O1) # at -O2 gcc 12 fails on the kernels with an internal error
else()
    set(optimisation -O2)
endif()
add_library(lossfn_flags INTERFACE)
target_compile_options(
    lossfn_flags
    INTERFACE
        # The same bits on every machine: no contraction but the fma() that the text asks for. errno and traps are
        # never looked at, and without them sqrt and comparisons are single instructions; neither changes a result.
        -ffp-contract=off
        -fno-math-errno
        -fno-trapping-math
        $<$<CONFIG:Release,RelWithDebInfo>:${optimisation}>
        -Wall
        -Wextra
        -Wshadow
        -Wstrict-prototypes
        -Wmissing-prototypes
        -Wvla
        -Wundef
        $<$<BOOL:${LOSSFN_WERROR}>:-Werror>)

if(LOSSFN_SANITIZE)
    list(JOIN LOSSFN_SANITIZE "," sanitizers)
    target_compile_options(
        lossfn_flags INTERFACE -fsanitize=${sanitizers} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(lossfn_flags INTERFACE -fsanitize=${sanitizers})
    if(CMAKE_C_COMPILER_ID MATCHES Clang) # gcc defines these itself
        foreach(sanitizer address thread)
            if(sanitizer IN_LIST LOSSFN_SANITIZE)
                string(TOUPPER "${sanitizer}" name)
                target_compile_definitions(lossfn_flags INTERFACE __SANITIZE_${name}__)
            endif()
        endforeach()
    endif()
endif()
