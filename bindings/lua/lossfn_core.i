/* SPDX-License-Identifier: MIT
 * The Lua module lossfn.core, for Lua 5.1 to 5.4 and LuaJIT from one wrapper: swig -lua -nomoduleglobal.
 * People use it through lossfn/init.lua; nothing here is meant to be called by hand. */
%module lossfn_core

%include "error.i"
%include "array.i"
%include "args.i"
%include "callback.i"

/* Handles out. */
%define LF_HANDLE_OUT(tag)
%typemap(in, numinputs=0) struct tag **out(struct tag *made) %{ made = NULL; $1 = &made; %}
%typemap(argout) struct tag **out %{ SWIG_NewPointerObj(L, *$1, SWIGTYPE_p_##tag, 1); SWIG_arg++; %}
%enddef
LF_HANDLE_OUT(lossfn_loss)
LF_HANDLE_OUT(lossfn_options)
LF_HANDLE_OUT(lossfn_accumulator)

/* Numbers out. */
%typemap(in, numinputs=0) double *OUT(double number), uint32_t *OUT(uint32_t number) %{ number = 0; $1 = &number; %}
%typemap(argout) double *OUT, uint32_t *OUT %{ lua_pushnumber(L, *$1); SWIG_arg++; %}
%apply double *OUT { double *out, double *value, double *sum, double *denominator };
%apply uint32_t *OUT { uint32_t *notes };

/* A list of numbers and a string of bytes in. */
%typemap(in) (const double *values, int64_t n)
%{ $1 = (double *)lf_numbers(L, $input, "the list", &$2); %}
%typemap(in) (const void *buf, int64_t length)
%{ if (lua_type(L, $input) != LUA_TSTRING) lf_raise(L, LOSSFN_ERROR_ARGUMENT, "the bytes must be a string");
   { size_t size; $1 = (void *)lua_tolstring(L, $input, &size); $2 = (int64_t)size; } %}

/* What is written to a caller's buffer comes back as a string, from the functions below. */
%ignore lossfn_spec;
%ignore lossfn_get_text;
%ignore lossfn_check;
%ignore lossfn_accumulator_write;

%include "lossfn.i"

%rename(spec) lf_spec;
%rename(get_text) lf_get_text;
%rename(check) lf_check;
%rename(accumulator_write) lf_accumulator_write;
%rename(address) lf_address;
%rename(rho) lf_rho;
%rename(irls_weight) lf_irls_weight;
%rename(link_numbers) lf_link_numbers;
%rename(init_score) lf_init_score;
%typemap(out) lf_pushed %{ SWIG_arg += $1; %}
%inline %{
typedef int lf_pushed; /* values that the function has left on the stack */

static lf_pushed lf_spec(lua_State *L, const lossfn_t *loss) {
    int64_t length = lossfn_spec(loss, NULL, 0);
    char *text = lua_newuserdata(L, (size_t)length + 1);
    lossfn_spec(loss, text, length + 1);
    lua_pushlstring(L, text, (size_t)length);
    return 1;
}

/* A parameter as text; nil if the loss has none of that name. */
static lf_pushed lf_get_text(lua_State *L, const lossfn_t *loss, const char *key) {
    int64_t length = 0;
    if (lossfn_get_text(loss, key, NULL, 0, &length) == LOSSFN_ERROR_NOT_FOUND) return 0;
    char *text = lua_newuserdata(L, (size_t)length + 1);
    lf_check_status(L, lossfn_get_text(loss, key, text, length + 1, &length));
    lua_pushlstring(L, text, (size_t)length);
    return 1;
}

static lf_pushed lf_check(lua_State *L, const lossfn_t *loss, lossfn_args_t *args) {
    int64_t length = 0, capacity;
    lf_call outer = lf_enter(L);
    lossfn_status_t status = lossfn_check(loss, args, NULL, 0, &length);
    lf_leave(outer);
    lf_check_status(L, status);
    char *text = lua_newuserdata(L, (size_t)length + 1);
    capacity = length + 1;
    outer = lf_enter(L);
    status = lossfn_check(loss, args, text, capacity, &length);
    lf_leave(outer);
    lf_check_status(L, status);
    lua_pushlstring(L, text, (size_t)(length < capacity ? length : capacity - 1));
    return 1;
}

static lf_pushed lf_accumulator_write(lua_State *L, const lossfn_accumulator_t *accumulator) {
    int64_t length = 0;
    lf_check_status(L, lossfn_accumulator_write(accumulator, NULL, 0, &length));
    char *bytes = lua_newuserdata(L, (size_t)length + 1);
    lf_check_status(L, lossfn_accumulator_write(accumulator, bytes, length, &length));
    lua_pushlstring(L, bytes, (size_t)length);
    return 1;
}

/* rho, rho', rho'' of a squared residual. */
static lf_pushed lf_rho(lua_State *L, const lossfn_t *loss, double squared) {
    double out[3];
    lf_check_status(L, lossfn_rho_batch(loss, 1, &squared, out));
    for (int i = 0; i < 3; i++) lua_pushnumber(L, out[i]);
    return 3;
}

static lf_pushed lf_irls_weight(lua_State *L, const lossfn_t *loss, double residual) {
    double weight;
    lf_check_status(L, lossfn_irls_weight(loss, 1, &residual, &weight));
    lua_pushnumber(L, weight);
    return 1;
}

static void lf_push_numbers(lua_State *L, const double *x, int64_t n) {
    lua_createtable(L, (int)n, 0);
    for (int64_t i = 0; i < n; i++) {
        lua_pushnumber(L, x[i]);
        lua_rawseti(L, -2, (int)i + 1);
    }
}

/* The link of a list of numbers, or its inverse: a list. */
static lf_pushed lf_link_numbers(lua_State *L, const lossfn_t *loss, int inverse, const double *values, int64_t n) {
    double *out = lua_newuserdata(L, (size_t)(n + 1) * sizeof *out);
    lf_check_status(L, inverse ? lossfn_link_invert(loss, n > 0, n, values, out)
                               : lossfn_link_apply(loss, n > 0, n, values, out));
    lf_push_numbers(L, out, n);
    return 1;
}

/* The best constant of a call: a list with a number for each class, or one number. */
static lf_pushed lf_init_score(lua_State *L, const lossfn_t *loss, lossfn_args_t *args) {
    const int64_t count = score_count(loss, args->inputs[0]);
    double *out = lua_newuserdata(L, (size_t)(count + 1) * sizeof *out);
    lf_check_status(L, lossfn_init_score(loss, args, out));
    lf_push_numbers(L, out, count);
    return 1;
}

/* The handle itself, for the ffi path of LuaJIT. */
static lf_pushed lf_address(lua_State *L, const lossfn_t *loss) {
    lua_pushlightuserdata(L, (void *)loss);
    return 1;
}
%}

%native(array_new) int lf_array_new(lua_State *L);
%native(array_zeros) int lf_array_zeros(lua_State *L);
%native(array_from_bytes) int lf_array_from_bytes(lua_State *L);
%native(array_borrow) int lf_array_borrow(lua_State *L);
%native(is_array) int lf_is_array(lua_State *L);
%native(make_error) int lf_make_error(lua_State *L);
%native(register_loss) int lf_register(lua_State *L);
%native(unregister_loss) int lf_unregister(lua_State *L);
%native(custom_loss) int lf_custom(lua_State *L);

%init %{
    lf_array_open(L);
    lf_callback_open(L);
%}
