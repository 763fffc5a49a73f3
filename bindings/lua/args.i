/* SPDX-License-Identifier: MIT
 * lossfn_args_t from and to Lua. A call is a table that init.lua makes:
 *
 *   [1] .. [n], n    the inputs: tables, arrays, numbers; nil for a learnable one that stays a constant
 *   loss             the handle
 *   want             bits LF_VALUE .. of what is wanted, wrt bits of the inputs whose gradient is
 *   weight, mask, upstream, denominator, hess_kind, threads, cached, vector, out     the caller's options
 *
 * The result is a table: value, values, grads (by the number of the input), hess, hvp, sum, denominator, components,
 * notes, index. What came in as a table goes out as one. A table has no type of its own: it is float64, but float32
 * beside a prediction of float32 or less, so that it doesn't widen the computation. */
%{
enum { LF_VALUE = 1, LF_VALUES = 2, LF_HESS = 4, LF_PARTS = 8, LF_HVP = 16 };

typedef struct {
    lossfn_args_t args;
    lossfn_exec_t exec;
    const lossfn_t *loss;
    double value, sum, denom, denominator, *components;
    int want, call;                         /* call: where the table is on the stack */
    int plain[LOSSFN_MAX_INPUTS];           /* inputs that came as tables or numbers */
    int grads[LOSSFN_MAX_INPUTS], values, hess, hvp; /* where the outputs are on the stack */
} lf_request;

/* The tensor in field `key` of the call (of number `i` if key is NULL), kept alive by the stack; NULL if it is nil. */
static const lossfn_tensor_t *lf_field(lua_State *L, int call, const char *key, int i, const char *name, int32_t dtype,
                                       int *plain) {
    luaL_checkstack(L, 4, "too many inputs");
    if (key) lua_getfield(L, call, key);
    else lua_rawgeti(L, call, i);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        return NULL;
    }
    int at = lua_gettop(L);
    lf_array *a = lf_to_array(L, at);
    if (plain) *plain = !a;
    if (!a) {
        int kind = lua_istable(L, at) ? 0 : lua_isboolean(L, at) ? LOSSFN_BOOL : dtype;
        /* booleans stay booleans: masks, and labels that are */
        a = lf_push_converted(L, at, kind, name, 0);
        if (!kind && a->tensor.dtype != LOSSFN_BOOL && a->tensor.dtype != dtype)
            a = lf_push_converted(L, lua_gettop(L), dtype, name, 0);
    }
    return &a->tensor;
}

static int lf_integer_field(lua_State *L, int call, const char *key, int otherwise) {
    lua_getfield(L, call, key);
    int given = lua_type(L, -1) == LUA_TNUMBER ? (int)lua_tointeger(L, -1) : otherwise;
    lua_pop(L, 1);
    return given;
}

/* Pushes an output; *place gets its place on the stack. */
static const lossfn_tensor_t *lf_output(lua_State *L, int32_t dtype, int32_t ndim, const int64_t *shape, int *place) {
    lf_array *a = lf_push_array(L, NULL, dtype, ndim, shape);
    *place = lua_gettop(L);
    return &a->tensor;
}

static void lf_request_read(lua_State *L, int index, lf_request *r) {
    memset(r, 0, sizeof *r);
    lossfn_args_init(&r->args);
    lossfn_exec_init(&r->exec);
    luaL_checktype(L, index, LUA_TTABLE);
    r->call = index;
    lua_getfield(L, index, "loss");
    void *loss = NULL;
    if (!SWIG_IsOK(SWIG_ConvertPtr(L, -1, &loss, SWIGTYPE_p_lossfn_loss, 0)) || !loss)
        lf_raise(L, LOSSFN_ERROR_ARGUMENT, "the call has no loss");
    r->loss = loss;

    int n = lf_integer_field(L, index, "n", 0), wrt = lf_integer_field(L, index, "wrt", 0);
    int32_t narrow = LOSSFN_F64;
    r->want = lf_integer_field(L, index, "want", 0);
    r->args.hess_kind = lf_integer_field(L, index, "hess_kind", LOSSFN_HESS_EXACT);
    lua_getfield(L, index, "threads");
    if (!lua_isnil(L, -1) && lua_type(L, -1) != LUA_TNUMBER)
        lf_raise(L, LOSSFN_ERROR_ARGUMENT, "threads is a %s; a number is expected", luaL_typename(L, -1));
    lua_pop(L, 1);
    r->exec.threads = lf_integer_field(L, index, "threads", 0);
    lua_getfield(L, index, "cached");
    if (lua_toboolean(L, -1)) r->exec.flags |= LOSSFN_EXEC_CACHED;
    lua_pop(L, 1);
    r->args.exec = &r->exec;
    if (n < 0 || n > LOSSFN_MAX_INPUTS)
        lf_raise(L, LOSSFN_ERROR_ARGUMENT, "%d inputs given, the loss takes %d", n, lossfn_input_count(loss));
    r->args.n_inputs = n;
    for (int i = 0; i < n; i++) {
        const char *name = lossfn_input_name(loss, i);
        r->args.inputs[i] = lf_field(L, index, NULL, i + 1, name ? name : "input", narrow, &r->plain[i]);
        if (i == 0 && r->args.inputs[0] && !r->plain[0] && lf_is_float(r->args.inputs[0]->dtype) &&
            r->args.inputs[0]->dtype != LOSSFN_F64)
            narrow = LOSSFN_F32;
    }
    const lossfn_tensor_t *pred = r->args.inputs[0];
    if (!pred) lf_raise(L, LOSSFN_ERROR_ARGUMENT, "pred is missing");
    r->args.weight = lf_field(L, index, "weight", 0, "weight", LOSSFN_F64, NULL);
    r->args.mask = lf_field(L, index, "mask", 0, "mask", LOSSFN_F64, NULL);
    r->args.upstream = lf_field(L, index, "upstream", 0, "upstream", LOSSFN_F64, NULL);
    r->args.hvp_vector = lf_field(L, index, "vector", 0, "vector", LOSSFN_F64, NULL);
    lua_getfield(L, index, "denominator");
    if (lua_type(L, -1) == LUA_TNUMBER) {
        r->denominator = lua_tonumber(L, -1);
        r->args.denominator = &r->denominator;
    } else if (!lua_isnil(L, -1))
        lf_raise(L, LOSSFN_ERROR_ARGUMENT, "denominator is a %s, expected a number", luaL_typename(L, -1));
    lua_pop(L, 1);

    /* Outputs. */
    int32_t dtype = lf_is_float(pred->dtype) ? pred->dtype : LOSSFN_F64;
    if (r->want & LF_VALUE) r->args.value = &r->value;
    if (r->want & LF_VALUES) {
        int64_t shape[LOSSFN_MAX_DIMS];
        int32_t ndim;
        lf_check_status(L, lossfn_values_shape(loss, pred, &ndim, shape));
        r->args.values = lf_output(L, dtype, ndim, shape, &r->values);
    }
    if (r->want & LF_PARTS) {
        r->args.sum = &r->sum;
        r->args.denom = &r->denom;
        r->components = lua_newuserdata(L, sizeof(double) * (size_t)lossfn_component_count(loss));
        r->args.components = r->components;
    }
    if (r->want & LF_HESS) r->args.hess = lf_output(L, dtype, pred->ndim, pred->shape, &r->hess);
    if (r->want & LF_HVP) r->args.hvp = lf_output(L, dtype, pred->ndim, pred->shape, &r->hvp);
    for (int i = 0; i < n; i++) {
        const lossfn_tensor_t *in = r->args.inputs[i];
        if (!(wrt >> i & 1)) continue;
        if (!in) lf_raise(L, LOSSFN_ERROR_ARGUMENT, "no gradient of %s, which is not given as an input", lossfn_input_name(loss, i));
        if (i == 0) {
            lua_getfield(L, index, "out");
            lf_array *out = lf_to_array(L, lua_gettop(L));
            if (!out && !lua_isnil(L, -1))
                lf_raise(L, LOSSFN_ERROR_ARGUMENT, "out is a %s, expected a lossfn.array", luaL_typename(L, -1));
            if (out) {
                r->grads[0] = lua_gettop(L);
                r->args.grads[0] = &out->tensor;
                r->plain[0] = 0;
                continue;
            }
        }
        r->args.grads[i] = lf_output(L, lf_is_float(in->dtype) ? in->dtype : dtype, in->ndim, in->shape, &r->grads[i]);
    }
    r->exec.scratch_size = lossfn_scratch_size(loss, &r->args); /* the stack holds it */
    if (r->exec.scratch_size > 0) r->exec.scratch = lua_newuserdata(L, (size_t)r->exec.scratch_size);
}

static void lf_push_output(lua_State *L, int place, int plain) {
    if (plain) lf_push_table(L, &((lf_array *)lua_touserdata(L, place))->tensor, 0, 0);
    else lua_pushvalue(L, place);
}

static void lf_set_number_field(lua_State *L, const char *key, double x) {
    lua_pushnumber(L, x);
    lua_setfield(L, -2, key);
}

static void lf_request_push(lua_State *L, const lf_request *r) {
    luaL_checkstack(L, 6, "too many results");
    lua_createtable(L, 0, 4);
    if (r->args.value) lf_set_number_field(L, "value", r->value);
    if (r->values) {
        lf_push_output(L, r->values, r->plain[0]);
        lua_setfield(L, -2, "values");
    }
    if (r->hess) {
        lf_push_output(L, r->hess, r->plain[0]);
        lua_setfield(L, -2, "hess");
    }
    if (r->hvp) {
        lf_push_output(L, r->hvp, r->plain[0]);
        lua_setfield(L, -2, "hvp");
    }
    if (r->components) {
        int n = lossfn_component_count(r->loss);
        lf_set_number_field(L, "sum", r->sum);
        lf_set_number_field(L, "denominator", r->denom);
        lua_createtable(L, n, 0);
        for (int i = 0; i < n; i++) {
            lua_pushnumber(L, r->components[i]);
            lua_rawseti(L, -2, i + 1);
        }
        lua_setfield(L, -2, "components");
    }
    lua_createtable(L, 0, 1);
    for (int i = 0; i < r->args.n_inputs; i++) {
        if (!r->grads[i]) continue;
        lf_push_output(L, r->grads[i], r->plain[i]);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -2, "grads");
    lf_set_number_field(L, "notes", r->args.notes);
    if (r->args.note_index >= 0) {
        lua_pushinteger(L, (lua_Integer)r->args.note_index + 1);
        lua_setfield(L, -2, "index");
    }
}
%}

%typemap(in) lossfn_args_t *args(lf_request request) %{ lf_request_read(L, $input, &request); $1 = &request.args; %}
%typemap(argout) lossfn_args_t *args %{ lf_request_push(L, &request$argnum); SWIG_arg++; %}

/* A call that computes: callbacks of this state may run inside. */
%define LF_COMPUTES(function)
%exception function %{ { lf_call outer = lf_enter(L); $action lf_leave(outer); } %}
%enddef
LF_COMPUTES(lossfn_run)
LF_COMPUTES(lossfn_minimum)
LF_COMPUTES(lf_init_score)
LF_COMPUTES(lossfn_check_gradient)
LF_COMPUTES(lossfn_accumulator_update)
