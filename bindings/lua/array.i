/* SPDX-License-Identifier: MIT
 * lossfn.array: a userdata that holds a contiguous tensor and its elements, counted from 1. And the way from tables of
 * numbers, whose nesting is the shape, to arrays and back.
 * Whatever may raise an error lives in userdata, never in malloc'ed memory: lua_error does not return. */
%{
enum { LF_CDATA = 10 }; /* lua_type of LuaJIT's cdata */

typedef struct {
    lossfn_tensor_t tensor;
} lf_array; /* the elements follow, unless the array shows another one's */

/* Where something stands in what the caller gave, for messages: "pred[2][1]". */
typedef struct {
    const char *name;
    int depth;
    int64_t index[LOSSFN_MAX_DIMS];
} lf_place;
typedef struct {
    char text[256];
} lf_text;

static lf_text lf_place_text(const lf_place *place, int depth) {
    lf_text t;
    int n = snprintf(t.text, sizeof t.text, "%.60s", place->name);
    for (int d = 0; d < depth && n < (int)sizeof t.text; d++)
        n += snprintf(t.text + n, sizeof t.text - (size_t)n, "[%lld]", (long long)place->index[d]);
    return t;
}

static int64_t lf_numel(const lossfn_tensor_t *tensor) {
    int64_t n = 1;
    for (int d = 0; d < tensor->ndim; d++) n *= tensor->shape[d];
    return n;
}
static int64_t lf_row_size(const lossfn_tensor_t *tensor) { /* elements behind one index of the first axis */
    int64_t n = 1;
    for (int d = 1; d < tensor->ndim; d++) n *= tensor->shape[d];
    return n;
}

/* ---- Types of elements ---- */

static int lf_is_float(int32_t dtype) { return dtype >= LOSSFN_F64 && dtype <= LOSSFN_BF16; }

/* "f32" and "float32" alike; the default if the argument is absent. */
static int32_t lf_check_dtype(lua_State *L, int index, int32_t otherwise) {
    static const char *const shorts[] = {"",    "f64", "f32", "f16", "bf16", "i8",  "i16",
                                         "i32", "i64", "u8",  "u16", "u32",  "u64", "bool"};
    if (lua_isnoneornil(L, index)) return otherwise;
    if (lua_type(L, index) == LUA_TSTRING) {
        const char *name = lua_tostring(L, index);
        for (int32_t i = LOSSFN_F64; i <= LOSSFN_BOOL; i++)
            if (!strcmp(name, shorts[i]) || !strcmp(name, lossfn_dtype_name(i))) return i;
        lf_raise(L, LOSSFN_ERROR_DTYPE,
                 "unknown dtype '%.40s'; there are f64, f32, f16, bf16, i8, i16, i32, i64, u8, u16, u32, u64, bool", name);
    }
    lf_raise(L, LOSSFN_ERROR_DTYPE, "the dtype is a %s; expected a name such as \"f32\"", luaL_typename(L, index));
    return 0;
}

/* float16 (10 bits of mantissa, bias 15) and bfloat16 (7, 127), rounded once, ties to even. */
static uint16_t lf_narrow(double x, int mantissa, int bias) {
    uint64_t bits, sign, all, whole, rest, tie;
    uint16_t infinity = (uint16_t)((2 * bias + 1) << mantissa);
    memcpy(&bits, &x, 8);
    sign = bits >> 48 & 0x8000;
    int exponent = (int)(bits >> 52 & 2047) - 1023, shift = 52 - mantissa;
    all = (bits & ((1ULL << 52) - 1)) | 1ULL << 52;
    if (exponent == 1024) return (uint16_t)(sign | infinity | (x != x) << (mantissa - 1));
    if (exponent < 1 - bias) shift += 1 - bias - exponent, exponent = 1 - bias;
    if (shift > 62) return (uint16_t)sign;
    whole = all >> shift, rest = all & ((1ULL << shift) - 1), tie = 1ULL << (shift - 1);
    whole += rest > tie || (rest == tie && (whole & 1));
    if (exponent > bias) return (uint16_t)(sign | infinity);
    /* The leading 1 of a normal number carries into the exponent's field, as a rounding up does. */
    whole += (uint64_t)(exponent + bias - 1) << mantissa;
    return (uint16_t)(sign | (whole < infinity ? whole : infinity));
}
static double lf_widen(uint16_t bits, int mantissa, int bias) {
    uint64_t exponent = (bits & 0x7fff) >> mantissa, fraction = bits & ((1u << mantissa) - 1), wide;
    double x;
    if (exponent == 0) {
        x = (double)fraction; /* times 2^(1 - bias - mantissa), exactly */
        wide = (uint64_t)(1023 + 1 - bias - mantissa) << 52;
        double scale;
        memcpy(&scale, &wide, 8);
        x *= scale;
        return bits & 0x8000 ? -x : x;
    }
    exponent = exponent == (uint64_t)(2 * bias + 1) ? 2047 : exponent + 1023 - (uint64_t)bias;
    wide = (uint64_t)(bits & 0x8000) << 48 | exponent << 52 | fraction << (52 - mantissa);
    memcpy(&x, &wide, 8);
    return x;
}

static double lf_get_double(const lossfn_tensor_t *t, int64_t i) {
    switch (t->dtype) {
    case LOSSFN_F64: return ((const double *)t->data)[i];
    case LOSSFN_F32: return ((const float *)t->data)[i];
    case LOSSFN_F16: return lf_widen(((const uint16_t *)t->data)[i], 10, 15);
    case LOSSFN_BF16: return lf_widen(((const uint16_t *)t->data)[i], 7, 127);
    case LOSSFN_I8: return ((const int8_t *)t->data)[i];
    case LOSSFN_I16: return ((const int16_t *)t->data)[i];
    case LOSSFN_I32: return ((const int32_t *)t->data)[i];
    case LOSSFN_I64: return (double)((const int64_t *)t->data)[i];
    case LOSSFN_U16: return ((const uint16_t *)t->data)[i];
    case LOSSFN_U32: return ((const uint32_t *)t->data)[i];
    case LOSSFN_U64: return (double)((const uint64_t *)t->data)[i];
    default: return ((const uint8_t *)t->data)[i]; /* U8, BOOL */
    }
}

static void lf_push_element(lua_State *L, const lossfn_tensor_t *t, int64_t i) {
    if (t->dtype == LOSSFN_BOOL) lua_pushboolean(L, ((const uint8_t *)t->data)[i]);
    else if (t->dtype == LOSSFN_I64) lf_pushint64(L, ((const int64_t *)t->data)[i]);
    else if (lf_is_float(t->dtype) || t->dtype == LOSSFN_U64) lua_pushnumber(L, lf_get_double(t, i));
    else lua_pushinteger(L, (lua_Integer)lf_get_double(t, i));
}

/* Stores a number; NULL, or what is wrong with it. */
static const char *lf_set_number(lossfn_tensor_t *t, int64_t i, double x) {
    static const double least[] = {-0x1p7, -0x1p15, -0x1p31, -0x1p63, 0, 0, 0, 0, 0},
                        past[] = {0x1p7, 0x1p15, 0x1p31, 0x1p63, 0x1p8, 0x1p16, 0x1p32, 0x1p64, 2};
    if (!lf_is_float(t->dtype)) {
        if (!(x >= least[t->dtype - LOSSFN_I8] && x < past[t->dtype - LOSSFN_I8])) return "is out of the range of";
        if (t->dtype == LOSSFN_U64 ? (double)(uint64_t)x != x : (double)(int64_t)x != x) return "is no integer, as needs";
    }
    switch (t->dtype) {
    case LOSSFN_F64: ((double *)t->data)[i] = x; break;
    case LOSSFN_F32: ((float *)t->data)[i] = (float)x; break;
    case LOSSFN_F16: ((uint16_t *)t->data)[i] = lf_narrow(x, 10, 15); break;
    case LOSSFN_BF16: ((uint16_t *)t->data)[i] = lf_narrow(x, 7, 127); break;
    case LOSSFN_I8: ((int8_t *)t->data)[i] = (int8_t)x; break;
    case LOSSFN_I16: ((int16_t *)t->data)[i] = (int16_t)x; break;
    case LOSSFN_I32: ((int32_t *)t->data)[i] = (int32_t)x; break;
    case LOSSFN_I64: ((int64_t *)t->data)[i] = (int64_t)x; break;
    case LOSSFN_U16: ((uint16_t *)t->data)[i] = (uint16_t)x; break;
    case LOSSFN_U32: ((uint32_t *)t->data)[i] = (uint32_t)x; break;
    case LOSSFN_U64: ((uint64_t *)t->data)[i] = (uint64_t)x; break;
    default: ((uint8_t *)t->data)[i] = (uint8_t)x; break;
    }
    return NULL;
}

/* Stores the Lua value at index as element i; place says what it is called. */
static void lf_store(lua_State *L, int index, lossfn_tensor_t *t, int64_t i, const lf_place *place) {
    const char *wrong = NULL;
    int type = lua_type(L, index);
    if (type == LUA_TNUMBER) {
#if LUA_VERSION_NUM >= 503
        if (t->dtype == LOSSFN_I64 && lua_isinteger(L, index)) {
            ((int64_t *)t->data)[i] = lua_tointeger(L, index);
            return;
        }
#endif
        wrong = lf_set_number(t, i, lua_tonumber(L, index));
        if (!wrong) return;
        lf_raise(L, LOSSFN_ERROR_DTYPE, "%s = %.17g %s %s", lf_place_text(place, place->depth).text,
                 lua_tonumber(L, index), wrong, lossfn_dtype_name(t->dtype));
    }
    if (type == LUA_TBOOLEAN && t->dtype == LOSSFN_BOOL) ((uint8_t *)t->data)[i] = (uint8_t)lua_toboolean(L, index);
    else
        lf_raise(L, LOSSFN_ERROR_DTYPE, "%s is a %s, expected a %s", lf_place_text(place, place->depth).text,
                 lua_typename(L, type), t->dtype == LOSSFN_BOOL ? "boolean" : "number");
}

/* ---- Making arrays ---- */

static lf_array *lf_to_array(lua_State *L, int index) { /* NULL if it is none */
    lf_array *a = lua_touserdata(L, index);
    if (!a || !lua_getmetatable(L, index)) return NULL;
    luaL_getmetatable(L, "lossfn.array");
    if (!lua_rawequal(L, -1, -2)) a = NULL;
    lua_pop(L, 2);
    return a;
}
static lf_array *lf_check_array(lua_State *L, int index) {
    lf_array *a = lf_to_array(L, index);
    if (!a) lf_raise(L, LOSSFN_ERROR_ARGUMENT, "expected a lossfn.array, got a %s (methods are called with a colon)",
                     luaL_typename(L, index));
    return a;
}

/* Pushes an array on `data`, or with elements of its own, all 0, if data is NULL. */
static lf_array *lf_push_array(lua_State *L, void *data, int32_t dtype, int32_t ndim, const int64_t *shape) {
    lossfn_tensor_t tensor;
    lf_check_status(L, lossfn_tensor_init(&tensor, data, dtype, ndim, shape));
    size_t bytes = data ? 0 : (size_t)lf_numel(&tensor) * (size_t)lossfn_dtype_size(dtype);
    luaL_checkstack(L, 3, "too many arrays");
    lf_array *a = lua_newuserdata(L, sizeof *a + bytes);
    if (!data) tensor.data = memset(a + 1, 0, bytes);
    a->tensor = tensor;
    luaL_getmetatable(L, "lossfn.array");
    lua_setmetatable(L, -2);
    return a;
}

/* Lets the array on the top keep alive the value at `index`, whose memory it shows. */
static char lf_owners; /* key of the table of those, in the registry */
static void lf_anchor(lua_State *L, int index) {
    lua_pushlightuserdata(L, &lf_owners);
    lua_rawget(L, LUA_REGISTRYINDEX);
    lua_pushvalue(L, -2);
    lua_pushvalue(L, index);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

/* Fills one level of nesting from the table on the top of the stack, or an element. */
static void lf_fill(lua_State *L, lossfn_tensor_t *t, lf_place *place, int64_t offset) {
    int depth = place->depth;
    if (depth == t->ndim) {
        lf_store(L, lua_gettop(L), t, offset, place);
        return;
    }
    if (!lua_istable(L, -1))
        lf_raise(L, LOSSFN_ERROR_SHAPE, "%s is a %s, but %s[1] before it is a table", lf_place_text(place, depth).text,
                 luaL_typename(L, -1), lf_place_text(place, depth - 1).text);
    int64_t n = t->shape[depth], found = 0, size = 1;
    if ((int64_t)lf_rawlen(L, -1) != n) {
        lf_place first = *place;
        for (int d = 0; d < depth; d++) first.index[d] = 1;
        lf_raise(L, LOSSFN_ERROR_SHAPE, "%s has %lld elements, %s has %lld", lf_place_text(place, depth).text,
                 (long long)lf_rawlen(L, -1), lf_place_text(&first, depth).text, (long long)n);
    }
    for (int d = depth + 1; d < t->ndim; d++) size *= t->shape[d];
    luaL_checkstack(L, 4, "table nested too deeply");
    place->depth = depth + 1;
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1), found++) {
        double key = lua_type(L, -2) == LUA_TNUMBER ? lua_tonumber(L, -2) : 0.5;
        if (!(key >= 1 && key <= (double)n && key == (double)(int64_t)key)) {
            lf_text table = lf_place_text(place, depth);
            if (lua_type(L, -2) == LUA_TSTRING)
                lf_raise(L, LOSSFN_ERROR_SHAPE, "%s has the key '%.40s'; expected numbers only", table.text, lua_tostring(L, -2));
            if (key > (double)n)
                lf_raise(L, LOSSFN_ERROR_SHAPE, "%s has a hole: [%lld] is nil, [%.17g] is not", table.text,
                         (long long)n + 1, key);
            lf_raise(L, LOSSFN_ERROR_SHAPE, "%s has a key that is not in 1 .. %lld", table.text, (long long)n);
        }
        place->index[depth] = (int64_t)key;
        if (t->dtype == LOSSFN_F64 && size == 1 && depth + 1 == t->ndim && lua_type(L, -1) == LUA_TNUMBER)
            ((double *)t->data)[offset + (int64_t)key - 1] = lua_tonumber(L, -1); /* the common case, quickly */
        else lf_fill(L, t, place, offset + ((int64_t)key - 1) * size);
    }
    if (found != n) {
        int64_t hole = 1;
        for (; hole <= n; hole++) {
            lua_rawgeti(L, -1, (int)hole);
            int absent = lua_isnil(L, -1);
            lua_pop(L, 1);
            if (absent) break;
        }
        lf_raise(L, LOSSFN_ERROR_SHAPE, "%s has a hole: [%lld] is nil", lf_place_text(place, depth).text, (long long)hole);
    }
    place->depth = depth;
}

/* Pushes the array that the value at index (a table, number, boolean or array) stands for; dtype 0: float64, or bool for
 * booleans. An array of the dtype is pushed itself unless a copy is wanted. */
static lf_array *lf_push_converted(lua_State *L, int index, int32_t dtype, const char *name, int copy) {
    lf_array *a = lf_to_array(L, index);
    lf_place place = {name, 0, {0}};
    int64_t shape[LOSSFN_MAX_DIMS];
    int ndim = 0;
    luaL_checkstack(L, LOSSFN_MAX_DIMS + 4, "too many arrays");
    if (a) {
        if (!copy && (dtype == 0 || dtype == a->tensor.dtype)) {
            lua_pushvalue(L, index);
            return a;
        }
        lf_array *made = lf_push_array(L, NULL, dtype ? dtype : a->tensor.dtype, a->tensor.ndim, a->tensor.shape);
        int64_t n = lf_numel(&a->tensor);
        place.depth = 1;
        for (int64_t i = 0; i < n; i++) {
            if (made->tensor.dtype == a->tensor.dtype) {
                memcpy(made->tensor.data, a->tensor.data, (size_t)(n * lossfn_dtype_size(a->tensor.dtype)));
                break;
            }
            const char *wrong = lf_set_number(&made->tensor, i, lf_get_double(&a->tensor, i));
            place.index[0] = i + 1;
            if (wrong)
                lf_raise(L, LOSSFN_ERROR_DTYPE, "%s = %.17g %s %s", lf_place_text(&place, 1).text,
                         lf_get_double(&a->tensor, i), wrong, lossfn_dtype_name(made->tensor.dtype));
        }
        return made;
    }
    switch (lua_type(L, index)) {
    case LUA_TTABLE:
    case LUA_TNUMBER:
    case LUA_TBOOLEAN: break;
    case LUA_TNIL:
    case LUA_TNONE: lf_raise(L, LOSSFN_ERROR_ARGUMENT, "%s is missing", name); break;
    case LF_CDATA:
        lf_raise(L, LOSSFN_ERROR_ARGUMENT, "%s is a cdata of unknown shape; lossfn.view(cdata, {rows, columns}) gives it one",
                 name);
        break;
    default:
        lf_raise(L, LOSSFN_ERROR_ARGUMENT, "%s is a %s; expected a table of numbers or a lossfn.array", name,
                 luaL_typename(L, index));
    }
    /* The shape is that of the first elements; lf_fill finds whatever differs. */
    lua_pushvalue(L, index);
    int top = lua_gettop(L);
    while (lua_istable(L, -1)) {
        if (ndim == LOSSFN_MAX_DIMS)
            lf_raise(L, LOSSFN_ERROR_SHAPE, "%s is nested more than %d deep", name, LOSSFN_MAX_DIMS);
        shape[ndim++] = (int64_t)lf_rawlen(L, -1);
        if (shape[ndim - 1] == 0) break;
        lua_rawgeti(L, -1, 1);
    }
    if (dtype == 0) dtype = lua_isboolean(L, -1) ? LOSSFN_BOOL : LOSSFN_F64;
    lua_settop(L, top);
    a = lf_push_array(L, NULL, dtype, ndim, shape);
    lua_insert(L, -2);
    lf_fill(L, &a->tensor, &place, 0);
    lua_pop(L, 1);
    return a;
}

/* The numbers of a list, kept alive by the stack, for a builder of options. */
static const double *lf_numbers(lua_State *L, int index, const char *name, int64_t *n) {
    lf_array *a = lf_push_converted(L, index, LOSSFN_F64, name, 0);
    if (a->tensor.ndim > 1) lf_raise(L, LOSSFN_ERROR_SHAPE, "%s is nested; expected a flat list of numbers", name);
    *n = lf_numel(&a->tensor);
    return a->tensor.data;
}

/* Pushes nested tables (a number for a scalar) with the elements from offset on. */
static void lf_push_table(lua_State *L, const lossfn_tensor_t *t, int depth, int64_t offset) {
    if (depth == t->ndim) {
        lf_push_element(L, t, offset);
        return;
    }
    int64_t n = t->shape[depth], size = 1;
    for (int d = depth + 1; d < t->ndim; d++) size *= t->shape[d];
    luaL_checkstack(L, 3, "too many axes");
    lua_createtable(L, n < INT32_MAX ? (int)n : 0, 0);
    for (int64_t i = 0; i < n; i++) {
        lf_push_table(L, t, depth + 1, offset + i * size);
        lua_rawseti(L, -2, (int)(i + 1));
    }
}

/* Reads extents from the arguments from `index` on: numbers, or one table of them. */
static int lf_check_shape(lua_State *L, int index, int64_t *shape) {
    int ndim = 0, from_table = lua_istable(L, index), n = from_table ? (int)lf_rawlen(L, index) : lua_gettop(L) - index + 1;
    if (n > LOSSFN_MAX_DIMS) lf_raise(L, LOSSFN_ERROR_SHAPE, "a shape of %d axes; at most %d", n, LOSSFN_MAX_DIMS);
    for (; ndim < n; ndim++) {
        if (from_table) lua_rawgeti(L, index, ndim + 1);
        else lua_pushvalue(L, index + ndim);
        double extent = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : 0.5;
        if (!(extent >= -1 && extent <= 0x1p53 && extent == (double)(int64_t)extent))
            lf_raise(L, LOSSFN_ERROR_SHAPE, "extent %d of the shape is no whole number", ndim + 1);
        shape[ndim] = (int64_t)extent;
        lua_pop(L, 1);
    }
    return ndim;
}

/* ---- What Lua sees ---- */

/* array_new(value [, dtype]) */
static int lf_array_new(lua_State *L) {
    int32_t dtype = lf_check_dtype(L, 2, 0);
    lf_push_converted(L, 1, dtype, "the array", 1);
    return 1;
}

/* array_zeros(shape [, dtype]) */
static int lf_array_zeros(lua_State *L) {
    int32_t dtype = lf_check_dtype(L, 2, LOSSFN_F64);
    int64_t shape[LOSSFN_MAX_DIMS];
    lua_settop(L, 1);
    lf_push_array(L, NULL, dtype, lf_check_shape(L, 1, shape), shape);
    return 1;
}

/* array_from_bytes(bytes [, dtype [, shape]]) */
static int lf_array_from_bytes(lua_State *L) {
    size_t size;
    if (lua_type(L, 1) != LUA_TSTRING) lf_raise(L, LOSSFN_ERROR_ARGUMENT, "the bytes are a %s, expected a string", luaL_typename(L, 1));
    const char *bytes = lua_tolstring(L, 1, &size);
    int32_t dtype = lf_check_dtype(L, 2, LOSSFN_F64);
    int64_t each = lossfn_dtype_size(dtype), shape[LOSSFN_MAX_DIMS] = {(int64_t)size / each};
    int ndim = 1;
    if (!lua_isnoneornil(L, 3)) {
        lua_settop(L, 3);
        ndim = lf_check_shape(L, 3, shape);
    } else if ((int64_t)size % each)
        lf_raise(L, LOSSFN_ERROR_SHAPE, "%lld bytes are no whole number of elements of %lld", (long long)size, (long long)each);
    lossfn_tensor_t tensor;
    lf_check_status(L, lossfn_tensor_init(&tensor, NULL, dtype, ndim, shape));
    if (lf_numel(&tensor) * each != (int64_t)size)
        lf_raise(L, LOSSFN_ERROR_SHAPE, "%lld bytes, the shape needs %lld", (long long)size, (long long)(lf_numel(&tensor) * each));
    lf_array *a = lf_push_array(L, NULL, dtype, ndim, shape);
    if (size) memcpy(a->tensor.data, bytes, size);
    if (dtype == LOSSFN_BOOL) /* whatever is not 0 is true */
        for (size_t i = 0; i < size; i++) ((uint8_t *)a->tensor.data)[i] = ((uint8_t *)a->tensor.data)[i] != 0;
    return 1;
}

/* array_borrow(address, dtype, shape, owner): shows memory that `owner` keeps, for LuaJIT's cdata. An address is below
 * 2^53, so that a number holds it. */
static int lf_array_borrow(lua_State *L) {
    int64_t shape[LOSSFN_MAX_DIMS];
    int32_t dtype = lf_check_dtype(L, 2, 0);
    lf_push_array(L, (void *)(uintptr_t)luaL_checknumber(L, 1), dtype, (luaL_checktype(L, 3, LUA_TTABLE), lf_check_shape(L, 3, shape)), shape);
    lf_anchor(L, 4);
    return 1;
}

static int lf_is_array(lua_State *L) {
    lua_pushboolean(L, lf_to_array(L, 1) != NULL);
    return 1;
}

static int lf_array_totable(lua_State *L) {
    lf_push_table(L, &lf_check_array(L, 1)->tensor, 0, 0);
    return 1;
}
static int lf_array_tostring(lua_State *L) { /* the elements' bytes */
    const lossfn_tensor_t *t = &lf_check_array(L, 1)->tensor;
    lua_pushlstring(L, t->data ? t->data : "", (size_t)(lf_numel(t) * lossfn_dtype_size(t->dtype)));
    return 1;
}
static int lf_array_ptr(lua_State *L) {
    lua_pushlightuserdata(L, lf_check_array(L, 1)->tensor.data);
    return 1;
}
/* reshape(...): the same elements under another shape; one extent may be -1. */
static int lf_array_reshape(lua_State *L) {
    const lossfn_tensor_t *t = &lf_check_array(L, 1)->tensor;
    int64_t shape[LOSSFN_MAX_DIMS], n = lf_numel(t), known = 1, made = 1;
    int ndim = lf_check_shape(L, 2, shape), open = -1;
    for (int d = 0; d < ndim; d++) {
        if (shape[d] >= 0) known *= shape[d];
        else if (open < 0) open = d;
        else lf_raise(L, LOSSFN_ERROR_SHAPE, "only one extent may be -1");
        if (known > n && n > 0) break;
    }
    if (open >= 0) shape[open] = known > 0 ? n / known : 0;
    for (int d = 0; d < ndim && made <= n; d++) made *= shape[d];
    if (made != n) lf_raise(L, LOSSFN_ERROR_SHAPE, "%lld elements do not fit the new shape", (long long)n);
    lf_push_array(L, t->data, t->dtype, ndim, shape);
    lf_anchor(L, 1);
    return 1;
}

/* The place of a[i] in the first axis; raises out of bounds. */
static int64_t lf_check_index(lua_State *L, const lossfn_tensor_t *t) {
    double i = lua_tonumber(L, 2);
    if (t->ndim == 0) lf_raise(L, LOSSFN_ERROR_SHAPE, "a scalar array has no elements to index; use totable()");
    if (!(i >= 1 && i <= (double)t->shape[0] && i == (double)(int64_t)i))
        lf_raise(L, LOSSFN_ERROR_SHAPE, "index %.17g is out of 1 .. %lld", i, (long long)t->shape[0]);
    return (int64_t)i - 1;
}
/* a[i]: an element, or a row that shows the same memory; a.shape, a.dtype; methods (upvalue 1). */
static int lf_array_index(lua_State *L) {
    const lossfn_tensor_t *t = &lf_check_array(L, 1)->tensor;
    if (lua_type(L, 2) == LUA_TNUMBER) {
        int64_t i = lf_check_index(L, t), size = lf_row_size(t) * lossfn_dtype_size(t->dtype);
        if (t->ndim == 1) lf_push_element(L, t, i);
        else {
            lf_push_array(L, (char *)t->data + i * size, t->dtype, t->ndim - 1, t->shape + 1);
            lf_anchor(L, 1);
        }
        return 1;
    }
    const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
    if (!strcmp(key, "shape")) {
        lua_createtable(L, t->ndim, 0);
        for (int d = 0; d < t->ndim; d++) {
            lua_pushinteger(L, (lua_Integer)t->shape[d]);
            lua_rawseti(L, -2, d + 1);
        }
    } else if (!strcmp(key, "dtype")) lua_pushstring(L, lossfn_dtype_name(t->dtype));
    else {
        lua_pushvalue(L, 2);
        lua_rawget(L, lua_upvalueindex(1));
    }
    return 1;
}
/* a[i] = number, or a table or array of a row's shape. */
static int lf_array_newindex(lua_State *L) {
    lossfn_tensor_t *t = &lf_check_array(L, 1)->tensor;
    if (lua_type(L, 2) != LUA_TNUMBER) lf_raise(L, LOSSFN_ERROR_ARGUMENT, "an array has no fields to set");
    int64_t i = lf_check_index(L, t), size = lf_row_size(t);
    lf_place place = {"the element", 1, {i + 1}};
    if (t->ndim == 1) lf_store(L, 3, t, i, &place);
    else {
        lf_array *row = lf_push_converted(L, 3, t->dtype, "the row", 0);
        int fits = row->tensor.ndim == t->ndim - 1;
        for (int d = 0; fits && d < row->tensor.ndim; d++) fits = row->tensor.shape[d] == t->shape[d + 1];
        if (!fits) lf_raise(L, LOSSFN_ERROR_SHAPE, "the new row does not have the shape of a row");
        int64_t bytes = size * lossfn_dtype_size(t->dtype);
        if (bytes) memmove((char *)t->data + i * bytes, row->tensor.data, (size_t)bytes);
    }
    return 0;
}
static int lf_array_length(lua_State *L) {
    const lossfn_tensor_t *t = &lf_check_array(L, 1)->tensor;
    lua_pushinteger(L, t->ndim ? (lua_Integer)t->shape[0] : 0);
    return 1;
}
static int lf_array_describe(lua_State *L) {
    const lossfn_tensor_t *t = &lf_check_array(L, 1)->tensor;
    lua_pushfstring(L, "lossfn.array %s {", lossfn_dtype_name(t->dtype));
    for (int d = 0; d < t->ndim; d++) {
        lua_pushfstring(L, d ? ", %d" : "%d", (int)t->shape[d]);
        lua_concat(L, 2);
    }
    lua_pushliteral(L, "}");
    lua_concat(L, 2);
    return 1;
}

static void lf_array_open(lua_State *L) {
    static const luaL_Reg methods[] = {{"totable", lf_array_totable},
                                       {"tostring", lf_array_tostring},
                                       {"reshape", lf_array_reshape},
                                       {"ptr", lf_array_ptr}};
    if (!luaL_newmetatable(L, "lossfn.array")) {
        lua_pop(L, 1);
        return;
    }
    lua_newtable(L);
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        lua_pushcfunction(L, methods[i].func);
        lua_setfield(L, -2, methods[i].name);
    }
    lua_pushcclosure(L, lf_array_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, lf_array_newindex);
    lua_setfield(L, -2, "__newindex");
    lua_pushcfunction(L, lf_array_length);
    lua_setfield(L, -2, "__len");
    lua_pushcfunction(L, lf_array_describe);
    lua_setfield(L, -2, "__tostring");
    lua_pushliteral(L, "lossfn.array");
    lua_setfield(L, -2, "__metatable"); /* out of reach: the userdata's layout is not for everybody */
    lua_pop(L, 1);

    lua_pushlightuserdata(L, &lf_owners);
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "k");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_rawset(L, LUA_REGISTRYINDEX);
}
%}
