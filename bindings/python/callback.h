/* SPDX-License-Identifier: MIT
 * Losses written in Python: fn(pred, target, ..., **params) -> value, grad[, hess], called on blocks of kept elements
 * or rows, on the thread that made the call. The arrays are copies, so that one which fn keeps (or a traceback does)
 * stays valid. An exception becomes LOSSFN_ERROR_CALLBACK and stays current, so that it arrives as itself. */

/* A call of the library takes more of the stack than one of Python's, so that Python's own limit comes too late. */
enum { FUNCTION_MAX_PARAMS = 8, FUNCTION_MAX_DEPTH = 20 };

typedef struct {
    PyObject *function;
    PyObject *keywords; /* tuple of the parameters' names, or NULL when there are none */
    int n_params;
    int kinds[FUNCTION_MAX_PARAMS]; /* of the parameters: 0 float, 1 int, 2 bool */
    char name[64];                  /* for messages */
} function_t;

/* A new array with a copy of `from`. */
static PyObject *block_array(const void *from, int32_t dtype, int ndim, const int64_t *shape) {
    PyObject *array = new_array(dtype, ndim, shape);
    slot_t slot;
    if (!array) return NULL;
    if (slot_acquire(&slot, array, "block", TENSOR_OUTPUT)) {
        size_t bytes = (size_t)lossfn_dtype_size(dtype);
        for (int i = 0; i < ndim; i++) bytes *= (size_t)shape[i];
        if (bytes) memcpy(slot.tensor.data, from, bytes);
    } else {
        Py_CLEAR(array);
    }
    slot_release(&slot);
    return array;
}

/* Copies what fn returned to the block's output. */
static int block_take(const function_t *f, PyObject *returned, const char *what, double *to, int ndim,
                      const int64_t *shape) {
    slot_t slot;
    const lossfn_tensor_t *tensor = &slot.tensor;
    char name[96];
    int ok = 0, fits;
    int64_t at[LOSSFN_MAX_DIMS] = {0}, strides[LOSSFN_MAX_DIMS], n = 1, step = 1;

    snprintf(name, sizeof name, "%s: the %s", f->name, what);
    if (!slot_acquire(&slot, returned, name, TENSOR_FLOATS)) goto done;
    if (is_integer(tensor->dtype)) {
        slot_release(&slot);
        if (!slot_acquire(&slot, returned, name, TENSOR_FORCE)) goto done;
    }
    fits = tensor->ndim == ndim;
    for (int i = 0; i < ndim; i++) {
        fits = fits && tensor->shape[i] == shape[i];
        n *= shape[i];
    }
    if (!fits) {
        PyErr_Format(
            error_of(LOSSFN_ERROR_SHAPE),
            "%s that the function returned has %d dimensions and extent %lld, a block of %lld %s needs %d and %lld",
            name, (int)tensor->ndim, (long long)(tensor->ndim ? tensor->shape[0] : 1), (long long)shape[0],
            ndim == 2 ? "rows" : "units", ndim, (long long)shape[0]);
        goto done;
    }
    if (tensor->dtype != LOSSFN_F64 && tensor->dtype != LOSSFN_F32) {
        PyErr_Format(error_of(LOSSFN_ERROR_DTYPE), "%s that the function returned has dtype %s, not float64 or float32",
                     name, lossfn_dtype_name(tensor->dtype));
        goto done;
    }
    for (int i = ndim; i-- > 0; step *= shape[i])
        strides[i] = tensor->flags & LOSSFN_TENSOR_STRIDED ? tensor->strides[i] : step;
    for (int64_t i = 0; i < n; i++) {
        int64_t offset = 0;
        for (int d = 0; d < ndim; d++) offset += at[d] * strides[d];
        to[i] = tensor->dtype == LOSSFN_F64 ? ((const double *)tensor->data)[offset]
                                            : ((const float *)tensor->data)[offset];
        for (int d = ndim; d-- > 0 && ++at[d] == shape[d];) at[d] = 0;
    }
    ok = 1;
done:
    slot_release(&slot);
    return ok;
}

/* Calls fn on a block; what it returns, or NULL. */
static PyObject *block_call(const function_t *f, const lossfn_block_t *block, int ndim, const int64_t *shape) {
    PyObject *arguments[1 + LOSSFN_MAX_INPUTS + FUNCTION_MAX_PARAMS] = {NULL}, *result = NULL;
    int n = 0, total = block->n_inputs + f->n_params;
    for (; n < block->n_inputs; n++) {
        arguments[1 + n] = n == 1 && !block->inputs[n] ? block_array(block->labels, LOSSFN_I64, 1, shape)
                                                       : block_array(block->inputs[n], block->dtype, ndim, shape);
        if (!arguments[1 + n]) goto done;
    }
    for (int i = 0; i < f->n_params; i++, n++) {
        double x = block->params[i];
        arguments[1 + n] = f->kinds[i] == 2   ? PyBool_FromLong(x != 0)
                           : f->kinds[i] == 1 ? PyLong_FromDouble(x)
                                              : PyFloat_FromDouble(x);
        if (!arguments[1 + n]) goto done;
    }
    result = PyObject_Vectorcall(f->function, arguments + 1, (size_t)block->n_inputs | PY_VECTORCALL_ARGUMENTS_OFFSET,
                                 f->keywords);
done:
    for (int i = 0; i < total; i++) Py_XDECREF(arguments[1 + i]);
    return result;
}

static PyObject *item_or_null(PyObject *tuple, Py_ssize_t i) {
    PyObject *item = i < PyTuple_Size(tuple) ? PyTuple_GetItem(tuple, i) : NULL;
    return item == Py_None ? NULL : item;
}

static int block_missing(const function_t *f, const char *what) {
    PyErr_Format(error_of(LOSSFN_ERROR_UNSUPPORTED), "%s: the function returned no %s", f->name, what);
    return 0;
}

/* Spreads (value, grad, hess) over the outputs that are wanted; a value alone is allowed. grad is pred's, or a tuple of
 * all inputs'. 1; 0 with a Python error; -1 if there is no Hessian. */
static int block_spread(const function_t *f, const lossfn_block_t *block, PyObject *returned, int ndim,
                        const int64_t *shape) {
    PyObject *parts = PyTuple_Check(returned) ? Py_NewRef(returned) : PyTuple_Pack(1, returned), *value, *grads, *hess;
    int ok;
    if (!parts) return 0;
    value = item_or_null(parts, 0);
    grads = item_or_null(parts, 1);
    hess = item_or_null(parts, 2);
    ok = !block->values || (value ? block_take(f, value, "value", block->values, 1, shape) : block_missing(f, "value"));
    for (int i = 0; ok && i < block->n_inputs; i++) {
        PyObject *grad = !grads ? NULL : PyTuple_Check(grads) ? item_or_null(grads, i) : i == 0 ? grads : NULL;
        char what[64];
        if (!block->grads[i]) continue;
        snprintf(what, sizeof what, i ? "gradient of input %d" : "gradient", i);
        ok = grad ? block_take(f, grad, what, block->grads[i], ndim, shape) : block_missing(f, what);
    }
    if (ok && block->hess) ok = hess ? block_take(f, hess, "Hessian", block->hess, ndim, shape) : -1;
    Py_DECREF(parts);
    return ok;
}

static lossfn_status_t block_run(const lossfn_block_t *block, int ndim) {
    static _Thread_local int depth;
    const function_t *f = block->user_data;
    int64_t shape[2] = {block->count, block->cols};
    PyGILState_STATE state = PyGILState_Ensure();
    PyObject *returned;
    int ok = 0;
    if (depth >= FUNCTION_MAX_DEPTH) {
        PyErr_Format(PyExc_RecursionError, "%s: losses written in Python call one another more than %d deep", f->name,
                     FUNCTION_MAX_DEPTH);
    } else if (!PyErr_Occurred()) {
        depth++;
        if ((returned = block_call(f, block, ndim, shape))) {
            ok = block_spread(f, block, returned, ndim, shape);
            Py_DECREF(returned);
        }
        depth--;
    }
    PyGILState_Release(state);
    if (ok < 0) {
        char text[128];
        snprintf(text, sizeof text, "%s: the function returned no Hessian", f->name);
        return lossfn_call_fail(block->call, LOSSFN_ERROR_UNSUPPORTED, text);
    }
    return ok ? LOSSFN_OK
              : lossfn_call_fail(block->call, LOSSFN_ERROR_CALLBACK, "the Python function raised an exception");
}

static lossfn_status_t function_elementwise(const lossfn_block_t *block) { return block_run(block, 1); }
static lossfn_status_t function_rowwise(const lossfn_block_t *block) { return block_run(block, 2); }

static void function_destroy(void *user_data) {
    function_t *f = user_data;
    if (Py_IsInitialized()) { /* else the process is ending, and its objects with it */
        PyGILState_STATE state = PyGILState_Ensure();
        Py_XDECREF(f->function);
        Py_XDECREF(f->keywords);
        PyGILState_Release(state);
    }
    free(f);
}

enum {
    FUNCTION_ROWS = 1,
    FUNCTION_LABELS = 2,
    FUNCTION_HESS = 4,
    FUNCTION_GRADS_SHIFT = 8 /* a bit per input that has a gradient */
};

/* definition: (function, inputs, params, flags, summary, formula), inputs a tuple of names, params a tuple of (name,
 * type, default text), all strings alive as long as the tuple. Registers under `name`, or makes a handle without one.
 */
static lossfn_status_t function_define(const char *name, lossfn_t **out, PyObject *definition,
                                       const lossfn_options_t *options) {
    PyObject *function, *inputs, *params;
    int flags, n_inputs, n_params;
    lossfn_vtable_t table;
    lossfn_input_info_t input[LOSSFN_MAX_INPUTS] = {{0}};
    lossfn_param_info_t param[FUNCTION_MAX_PARAMS] = {{0}};
    function_t *f;

    lossfn_vtable_init(&table);
    if (!PyArg_ParseTuple(definition, "OO!O!iss", &function, &PyTuple_Type, &inputs, &PyTuple_Type, &params, &flags,
                          &table.summary, &table.formula))
        return LOSSFN_ERROR_CALLBACK;
    n_inputs = (int)PyTuple_Size(inputs);
    n_params = (int)PyTuple_Size(params);
    if (n_inputs < 1 || n_inputs > LOSSFN_MAX_INPUTS || n_params > FUNCTION_MAX_PARAMS) {
        PyErr_Format(error_of(LOSSFN_ERROR_ARGUMENT), "a function can have 1 to %d inputs and at most %d parameters",
                     LOSSFN_MAX_INPUTS, FUNCTION_MAX_PARAMS);
        return LOSSFN_ERROR_CALLBACK;
    }
    if (!(f = calloc(1, sizeof *f))) {
        PyErr_NoMemory();
        return LOSSFN_ERROR_CALLBACK;
    }
    for (int i = 0; i < n_inputs; i++) {
        input[i].struct_size = sizeof input[i];
        input[i].name = PyUnicode_AsUTF8(PyTuple_GetItem(inputs, i));
        input[i].doc = "";
        input[i].scale = i == 1 && flags & FUNCTION_ROWS ? LOSSFN_SCALE_LABEL : LOSSFN_SCALE_REAL;
        input[i].differentiable = flags >> (FUNCTION_GRADS_SHIFT + i) & 1;
    }
    for (int i = 0; i < n_params; i++) {
        param[i].struct_size = sizeof param[i];
        param[i].doc = "";
        param[i].lower = -Py_HUGE_VAL;
        param[i].upper = Py_HUGE_VAL;
        PyArg_ParseTuple(PyTuple_GetItem(params, i), "sis", &param[i].name, &param[i].type, &param[i].default_value);
        f->kinds[i] = param[i].type == LOSSFN_PARAM_INT ? 1 : param[i].type == LOSSFN_PARAM_BOOL ? 2 : 0;
    }
    snprintf(f->name, sizeof f->name, "%s", name ? name : "custom loss");
    f->n_params = n_params;
    if (n_params && !PyErr_Occurred() && (f->keywords = PyTuple_New(n_params)))
        for (int i = 0; i < n_params; i++)
            PyTuple_SetItem(f->keywords, i, Py_NewRef(PyTuple_GetItem(PyTuple_GetItem(params, i), 0)));
    f->function = Py_NewRef(function);
    if (PyErr_Occurred()) {
        function_destroy(f);
        return LOSSFN_ERROR_CALLBACK;
    }
    table.flags = LOSSFN_VTABLE_GRAD | LOSSFN_VTABLE_GRAD_ALL | (flags & FUNCTION_HESS ? LOSSFN_VTABLE_HESS : 0) |
                  (flags & FUNCTION_LABELS ? LOSSFN_VTABLE_LABELS : 0);
    table.n_inputs = n_inputs;
    table.inputs = input;
    table.n_params = n_params;
    table.params = n_params ? param : NULL;
    if (flags & FUNCTION_ROWS)
        table.rowwise = function_rowwise;
    else
        table.elementwise = function_elementwise;
    return name ? lossfn_register(name, &table, f, function_destroy)
                : lossfn_create_custom(out, &table, f, function_destroy, options);
}

static lossfn_status_t register_function(const char *name, PyObject *definition) {
    return function_define(name, NULL, definition, NULL);
}

static lossfn_status_t create_function(lossfn_t **out, PyObject *definition, const lossfn_options_t *options) {
    return function_define(NULL, out, definition, options);
}
