#!/bin/sh
# SPDX-License-Identifier: MIT
# Writes lossfn/cdef.lua, the declarations of lossfn.h as LuaJIT's ffi.cdef takes them:
#     sh make_cdef.sh COMPILER INCLUDE_DIR OUTPUT
# Only what comes from the lossfn headers themselves is kept: ffi knows int32_t and its kin already. SWIG is defined
# because the headers then hold no attributes.
set -eu
"$1" -E -DSWIG "-I$2" "$2/lossfn/lossfn.h" | awk '
    BEGIN { print "-- Made by make_cdef.sh from lossfn.h.\nreturn [[" }
    /^#/ { keep = $3 ~ /\/lossfn\/[a-z]*\.h"$/; next }
    keep && NF
    END { print "]]" }' >"$3.part"
mv "$3.part" "$3"
