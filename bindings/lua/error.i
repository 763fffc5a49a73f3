/* SPDX-License-Identifier: MIT
 * Failures as Lua errors: a table with code, name, message and where (the calling line), which prints as its message. */
%{
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <lossfn/extend.h>

/* What Lua 5.2 and newer bring along, for 5.1 and LuaJIT. */
#if LUA_VERSION_NUM < 502
#define lf_rawlen lua_objlen
#else
#define lf_rawlen lua_rawlen
#endif
#if LUA_VERSION_NUM < 503
#define lf_pushint64(L, i) lua_pushnumber(L, (lua_Number)(i))
#else
#define lf_pushint64(L, i) lua_pushinteger(L, (lua_Integer)(i))
#endif

/* The Lua state whose call runs on this thread, and the place on its stack of the error value that a callback raised
 * (0: none). The value waits there while the library returns. */
typedef struct {
    lua_State *L;
    int error;
} lf_call;
static _Thread_local lf_call lf_current;

static lf_call lf_enter(lua_State *L) {
    lf_call outer = lf_current;
    luaL_checkstack(L, LUA_MINSTACK, "too many nested calls");
    lf_current.L = L;
    lf_current.error = 0;
    return outer;
}
static void lf_leave(lf_call outer) { lf_current.L = outer.L; }

static int lf_error_text(lua_State *L) {
    lua_getfield(L, 1, "where");
    lua_getfield(L, 1, "message");
    lua_concat(L, 2);
    return 1;
}

/* "script.lua:12: " of the nearest caller that is not this package's own Lua code. */
static void lf_push_where(lua_State *L) {
    lua_Debug at;
    for (int level = 0; lua_getstack(L, level, &at); level++) {
        lua_getinfo(L, "Sl", &at);
        if (at.currentline > 0 && !strstr(at.source, "lossfn/init.lua") && !strstr(at.source, "lossfn/ffi.lua")) {
            lua_pushfstring(L, "%s:%d: ", at.short_src, at.currentline);
            return;
        }
    }
    lua_pushliteral(L, "");
}

static void lf_push_error(lua_State *L, lossfn_status_t status, const char *message) {
    luaL_checkstack(L, 6, message);
    lua_createtable(L, 0, 4);
    lua_pushinteger(L, status);
    lua_setfield(L, -2, "code");
    lua_pushstring(L, lossfn_status_name(status));
    lua_setfield(L, -2, "name");
    lua_pushstring(L, message);
    lua_setfield(L, -2, "message");
    lf_push_where(L);
    lua_setfield(L, -2, "where");
    if (luaL_newmetatable(L, "lossfn.error")) {
        lua_pushcfunction(L, lf_error_text);
        lua_setfield(L, -2, "__tostring");
    }
    lua_setmetatable(L, -2);
}

/* Raises. */
static void lf_raise(lua_State *L, lossfn_status_t status, const char *format, ...) {
    char message[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    lf_push_error(L, status, message);
    lua_error(L);
}

/* 0 for success; otherwise 1, with the error on the stack: what a callback raised, as it was, or an error object. */
static int lf_failed(lua_State *L, lossfn_status_t status) {
    int error = lf_current.error;
    if (status == LOSSFN_OK) return 0;
    lf_current.error = 0;
    if (status == LOSSFN_ERROR_CALLBACK && error) lua_pushvalue(L, error);
    else lf_push_error(L, status, lossfn_last_error());
    return 1;
}
static void lf_check_status(lua_State *L, lossfn_status_t status) {
    if (lf_failed(L, status)) lua_error(L);
}

/* make_error(code, message): an error object, for init.lua. */
static int lf_make_error(lua_State *L) {
    lf_push_error(L, (lossfn_status_t)luaL_checkinteger(L, 1), luaL_checkstring(L, 2));
    return 1;
}
%}

%typemap(out) lossfn_status_t %{ if (lf_failed(L, $1)) SWIG_fail; %}

/* 64-bit integers, whole where Lua has them. */
%typemap(in) int64_t %{ $1 = (int64_t)luaL_checkinteger(L, $input); %}
%typemap(out) int64_t %{ lf_pushint64(L, $1); SWIG_arg++; %}
