/* SPDX-License-Identifier: MIT
 * Losses written in Lua. A function f(pred, target, params) gets lossfn.arrays of the kept elements of a block (or of
 * its rows: count x classes) and returns value, grad and hess, as arrays or tables. It runs under pcall, so that no error
 * jumps over the library; the error value waits on the stack and is raised again, as it was, behind the library.
 *
 * The library may keep a callback longer than its Lua state lives (it is registered in the process), or give it up when
 * no state is at hand (the last handle goes in another thread). So the record of one is freed by whoever lets go last,
 * and the library's letting go only leaves a mark, which the next registration sweeps up. */
%{
#include <stdatomic.h>
#include <math.h>
#include <stdlib.h>

enum { LF_LIBRARY_GONE = 1, LF_STATE_GONE = 2 };

typedef struct lf_callback {
    struct lf_callback *next;
    const void *state; /* identity of the Lua state */
    int function;      /* a closure of lf_callback_body in its registry */
    atomic_int gone;
    int registered;
    char name[]; /* "" if anonymous */
} lf_callback;

static void lf_callback_release(lf_callback *c, int who) {
    if (atomic_fetch_or(&c->gone, who) == (LF_LIBRARY_GONE | LF_STATE_GONE) - who) free(c);
}
static void lf_callback_destroy(void *user_data) { lf_callback_release(user_data, LF_LIBRARY_GONE); }

/* The state's callbacks, in a userdata of the registry whose __gc ends them with the state. */
static char lf_callbacks;
static lf_callback **lf_callback_list(lua_State *L) {
    lua_pushlightuserdata(L, &lf_callbacks);
    lua_rawget(L, LUA_REGISTRYINDEX);
    lf_callback **list = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return list;
}
static void lf_callback_sweep(lua_State *L) {
    for (lf_callback **at = lf_callback_list(L); *at;) {
        lf_callback *c = *at;
        if (atomic_load(&c->gone) & LF_LIBRARY_GONE) {
            *at = c->next;
            luaL_unref(L, LUA_REGISTRYINDEX, c->function);
            lf_callback_release(c, LF_STATE_GONE);
        } else at = &c->next;
    }
}
static int lf_callbacks_end(lua_State *L) {
    lf_callback **list = lua_touserdata(L, 1), *c;
    while ((c = *list) != NULL) {
        *list = c->next;
        if (c->registered) lossfn_unregister(c->name);
        lf_callback_release(c, LF_STATE_GONE);
    }
    return 0;
}
static void lf_callback_open(lua_State *L) {
    if (lf_callback_list(L)) return;
    lua_pushlightuserdata(L, &lf_callbacks);
    *(lf_callback **)lua_newuserdata(L, sizeof(lf_callback *)) = NULL;
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, lf_callbacks_end);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_rawset(L, LUA_REGISTRYINDEX);
}

/* Copies the result at index to n numbers of the block's type. */
static void lf_result(lua_State *L, int index, const char *what, const lossfn_block_t *block, void *to, int64_t n) {
    lossfn_tensor_t out;
    if (lua_isnoneornil(L, index))
        lf_raise(L, LOSSFN_ERROR_UNSUPPORTED, "the loss's function returned no %s", what);
    lf_array *a = lf_push_converted(L, index, 0, what, 0);
    int64_t got = lf_numel(&a->tensor);
    if (got != n)
        lf_raise(L, LOSSFN_ERROR_CALLBACK, "the loss's function returned a %s of %lld elements, expected %lld", what,
                 (long long)got, (long long)n);
    lf_check_status(L, lossfn_tensor_init(&out, to, block->dtype, 1, &n));
    for (int64_t i = 0; i < n; i++) lf_set_number(&out, i, lf_get_double(&a->tensor, i));
    lua_pop(L, 1);
}

/* Runs the function (upvalue 1) on a block (argument 1); upvalue 2 holds the names of the parameters, 3 those of the
 * inputs, 4: by rows. A gradient by several inputs is a table of their names. Returns whether a Hessian is missing. */
static int lf_callback_body(lua_State *L) {
    const lossfn_block_t *block = lua_touserdata(L, 1);
    int rows = lua_toboolean(L, lua_upvalueindex(4)), ndim = rows ? 2 : 1;
    int64_t shape[2] = {block->count, block->cols}, n = rows ? block->count * block->cols : block->count;
    luaL_checkstack(L, LOSSFN_MAX_INPUTS + 10, "too many inputs");
    lua_pushvalue(L, lua_upvalueindex(1));
    for (int i = 0; i < block->n_inputs; i++) {
        if (block->inputs[i]) {
            lf_array *a = lf_push_array(L, NULL, block->dtype, ndim, shape);
            if (n) memcpy(a->tensor.data, block->inputs[i], (size_t)(n * lossfn_dtype_size(block->dtype)));
        } else { /* labels, which count from 1 here */
            int64_t *labels = lf_push_array(L, NULL, LOSSFN_I64, 1, shape)->tensor.data;
            for (int64_t k = 0; k < block->count; k++) labels[k] = block->labels[k] + 1;
        }
    }
    lua_newtable(L);
    int names = (int)lf_rawlen(L, lua_upvalueindex(2));
    for (int i = 0; i < names; i++) {
        lua_rawgeti(L, lua_upvalueindex(2), i + 1);
        lua_pushnumber(L, block->params[i]);
        lua_rawset(L, -3);
    }
    lua_call(L, block->n_inputs + 1, 3);
    if (block->values) lf_result(L, 2, "value", block, block->values, block->count);
    for (int i = 0; i < block->n_inputs; i++) {
        if (!block->grads[i]) continue;
        lua_rawgeti(L, lua_upvalueindex(3), i + 1);
        const char *name = lua_tostring(L, -1);
        lua_pushnil(L);
        if (lua_istable(L, 3)) {
            lua_pop(L, 1);
            lua_pushvalue(L, -1);
            lua_rawget(L, 3);
        }
        if (lua_isnil(L, -1) && i == 0) lua_pushvalue(L, 3);
        int found = lua_gettop(L);
        lf_result(L, found, i == 0 ? "grad" : lua_pushfstring(L, "grad by %s", name), block, block->grads[i], n);
        lua_settop(L, 4);
    }
    int missing = block->hess && lua_isnoneornil(L, 4);
    if (block->hess && !missing) lf_result(L, 4, "hess", block, block->hess, n);
    lua_pushboolean(L, missing);
    return 1;
}

/* How often losses written in Lua may call one another: a call of the library takes more of the stack than Lua knows. */
enum { LF_MAX_DEPTH = 20 };

static lossfn_status_t lf_callback_run(const lossfn_block_t *block) {
    static _Thread_local int depth;
    lf_callback *c = block->user_data;
    lua_State *L = lf_current.L;
    if (!L || lua_topointer(L, LUA_REGISTRYINDEX) != c->state || (atomic_load(&c->gone) & LF_STATE_GONE))
        return lossfn_call_fail(block->call, LOSSFN_ERROR_CALLBACK,
                                "a loss written in Lua runs only in calls from the Lua state that made it");
    if (depth >= LF_MAX_DEPTH)
        return lossfn_call_fail(block->call, LOSSFN_ERROR_CALLBACK,
                                "losses written in Lua call one another more than 20 deep");
    lua_rawgeti(L, LUA_REGISTRYINDEX, c->function);
    lua_pushlightuserdata(L, (void *)block);
    depth++;
    int failed = lua_pcall(L, 1, 1, 0);
    depth--;
    if (!failed) {
        int missing = lua_toboolean(L, -1);
        lua_pop(L, 1);
        lf_current.L = L; /* calls inside have changed neither, but for their own time */
        return missing ? lossfn_call_fail(block->call, LOSSFN_ERROR_UNSUPPORTED,
                                          "the loss's function returned no hess")
                       : LOSSFN_OK;
    }
    lf_current.error = lua_gettop(L);
    return lossfn_call_fail(block->call, LOSSFN_ERROR_CALLBACK, "the loss's Lua function raised an error");
}

static const char *lf_text_field(lua_State *L, int index, const char *key) { /* stays on the stack */
    lua_getfield(L, index, key);
    return lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
}
static double lf_number_field(lua_State *L, int index, const char *key, double otherwise) {
    lua_getfield(L, index, key);
    double x = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : otherwise;
    lua_pop(L, 1);
    return x;
}

/* Makes the vtable and the record of the function at 2 with the description (a table) at 3: rows, labels, summary,
 * formula, inputs (names), params (tables of name, default as text, doc, lower, upper). All stays on the stack. */
typedef struct {
    lossfn_vtable_t table;
    lossfn_input_info_t inputs[LOSSFN_MAX_INPUTS];
    lossfn_param_info_t params[8];
} lf_definition;

static lf_callback *lf_define(lua_State *L, lf_definition *d, const char *name) {
    memset(d, 0, sizeof *d);
    lossfn_vtable_init(&d->table);
    luaL_checkstack(L, 80, "too many parameters");
    luaL_checktype(L, 2, LUA_TFUNCTION);
    luaL_checktype(L, 3, LUA_TTABLE);
    lua_getfield(L, 3, "rows");
    int rows = lua_toboolean(L, -1);
    if (rows) d->table.rowwise = lf_callback_run;
    else d->table.elementwise = lf_callback_run;
    d->table.flags = LOSSFN_VTABLE_GRAD | LOSSFN_VTABLE_GRAD_ALL | LOSSFN_VTABLE_HESS;
    lua_getfield(L, 3, "labels");
    if (lua_toboolean(L, -1)) d->table.flags |= LOSSFN_VTABLE_LABELS;
    d->table.summary = lf_text_field(L, 3, "summary");
    d->table.formula = lf_text_field(L, 3, "formula");
    lua_getfield(L, 3, "inputs");
    luaL_checktype(L, -1, LUA_TTABLE);
    int inputs = lua_gettop(L), n_inputs = (int)lf_rawlen(L, inputs);
    if (n_inputs < 1 || n_inputs > LOSSFN_MAX_INPUTS)
        lf_raise(L, LOSSFN_ERROR_ARGUMENT, "%d inputs; a loss has 1 to %d", n_inputs, LOSSFN_MAX_INPUTS);
    for (int i = 0; i < n_inputs; i++) {
        lua_rawgeti(L, inputs, i + 1);
        d->inputs[i].struct_size = sizeof d->inputs[i];
        d->inputs[i].name = luaL_checkstring(L, -1);
        d->inputs[i].doc = "";
        d->inputs[i].scale = i == 1 && rows ? LOSSFN_SCALE_LABEL : LOSSFN_SCALE_REAL;
        d->inputs[i].differentiable = strcmp(d->inputs[i].name, "target") != 0; /* fn need not give what few ask for */
    }
    d->table.n_inputs = n_inputs;
    d->table.inputs = d->inputs;
    lua_newtable(L);
    int names = lua_gettop(L);
    lua_getfield(L, 3, "params");
    int list = lua_gettop(L), n = lua_istable(L, list) ? (int)lf_rawlen(L, list) : 0;
    if (n > (int)(sizeof d->params / sizeof *d->params))
        lf_raise(L, LOSSFN_ERROR_ARGUMENT, "%d parameters; at most 8", n);
    for (int i = 0; i < n; i++) {
        lossfn_param_info_t *p = &d->params[i];
        lua_rawgeti(L, list, i + 1);
        int at = lua_gettop(L);
        p->struct_size = sizeof *p;
        p->name = lf_text_field(L, at, "name");
        p->default_value = lf_text_field(L, at, "default");
        p->doc = lf_text_field(L, at, "doc");
        p->type = LOSSFN_PARAM_DOUBLE;
        p->lower = lf_number_field(L, at, "lower", -HUGE_VAL);
        p->upper = lf_number_field(L, at, "upper", HUGE_VAL);
        lua_pushstring(L, p->name);
        lua_rawseti(L, names, i + 1);
    }
    d->table.n_params = n;
    d->table.params = d->params;

    lf_callback_sweep(L);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, names);
    lua_pushvalue(L, inputs);
    lua_pushboolean(L, rows);
    lua_pushcclosure(L, lf_callback_body, 4);
    int function = luaL_ref(L, LUA_REGISTRYINDEX);
    lf_callback *c = malloc(sizeof *c + strlen(name) + 1);
    if (!c) {
        luaL_unref(L, LUA_REGISTRYINDEX, function);
        lf_raise(L, LOSSFN_ERROR_MEMORY, "no memory for a callback");
    }
    c->state = lua_topointer(L, LUA_REGISTRYINDEX);
    c->function = function;
    c->registered = name[0] != 0;
    atomic_init(&c->gone, 0);
    strcpy(c->name, name);
    lf_callback **first = lf_callback_list(L);
    c->next = *first;
    *first = c;
    return c;
}

/* register(name, function, description) */
static int lf_register(lua_State *L) {
    lf_definition d;
    const char *name = luaL_checkstring(L, 1);
    lf_callback *c = lf_define(L, &d, name);
    lossfn_status_t status = lossfn_register(name, &d.table, c, lf_callback_destroy);
    if (status != LOSSFN_OK) c->registered = 0; /* the record itself waits for the sweep */
    lf_check_status(L, status);
    return 0;
}

/* custom(options or nil, function, description): a handle without a name. */
static int lf_custom(lua_State *L) {
    lf_definition d;
    void *options = NULL;
    lossfn_t *made = NULL;
    if (!lua_isnil(L, 1) && !SWIG_IsOK(SWIG_ConvertPtr(L, 1, &options, SWIGTYPE_p_lossfn_options, 0)))
        lf_raise(L, LOSSFN_ERROR_ARGUMENT, "expected options");
    lf_callback *c = lf_define(L, &d, "");
    lf_check_status(L, lossfn_create_custom(&made, &d.table, c, lf_callback_destroy, options));
    SWIG_NewPointerObj(L, made, SWIGTYPE_p_lossfn_loss, 1);
    return 1;
}

static int lf_unregister(lua_State *L) {
    const char *name = luaL_checkstring(L, 1);
    lf_check_status(L, lossfn_unregister(name));
    for (lf_callback *c = *lf_callback_list(L); c; c = c->next)
        if (!strcmp(c->name, name)) c->registered = 0;
    lf_callback_sweep(L);
    return 0;
}
%}

%ignore lossfn_unregister; /* the one above */
