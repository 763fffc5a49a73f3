/* SPDX-License-Identifier: MIT
 * The lossfn_args_t typemap: the one place where the arguments of a Python call become those of lossfn_run. A call is
 * the tuple (handle, want, inputs, options): inputs a tuple in the declared order (None = not given), options a dict of
 * what was given by keyword and is no parameter of the loss, or None. */

enum {
    WANT_VALUE = 1,
    WANT_GRAD = 2,
    WANT_HESS = 4,
    WANT_COMPONENTS = 8,
    WANT_HVP = 16,
    WANT_UNREDUCED = 32,  /* the loss has reduction none or per_row: its value is an array */
    WANT_GRADS_SHIFT = 8, /* 8 bits: inputs whose gradients are meant when `wrt` does not say so */
    WANT_INTS_SHIFT = 16  /* 8 bits: inputs in which ints stay ints */
};

enum { CALL_SLOTS = 3 * LOSSFN_MAX_INPUTS + 12, CALL_TERMS = 16, CALL_LARGE = 2048 };

typedef struct {
    lossfn_args_t args; /* first, so that a pointer to it is one to the call */
    lossfn_t *loss;
    uint32_t want;
    int grads[LOSSFN_MAX_INPUTS], n_grads; /* the inputs whose gradients are wanted, in the order of the result */
    int several;                           /* the result is a named tuple */
    int large;                             /* worth letting other threads run */
    double value, denominator;
    double components[CALL_TERMS];
    lossfn_exec_t exec;                                           /* its scratch is owned */
    PyObject *values, *hess, *hvp, *gradients[LOSSFN_MAX_INPUTS]; /* results, owned */
    int n_slots;
    slot_t slots[CALL_SLOTS];
} call_t;

static lossfn_tensor_t *call_tensor(call_t *call, PyObject *object, const char *name, int flags) {
    slot_t *slot = &call->slots[call->n_slots++];
    return slot_acquire(slot, object, name, flags) ? &slot->tensor : NULL;
}

static void call_close(call_t *call) {
    while (call->n_slots > 0) slot_release(&call->slots[--call->n_slots]);
    PyMem_Free(call->exec.scratch);
    call->exec.scratch = NULL;
    Py_CLEAR(call->values);
    Py_CLEAR(call->hess);
    Py_CLEAR(call->hvp);
    for (int i = 0; i < LOSSFN_MAX_INPUTS; i++) Py_CLEAR(call->gradients[i]);
}

/* An array for results. */
static PyObject *new_array(int32_t dtype, int ndim, const int64_t *shape) {
    PyObject *extents = PyTuple_New(ndim), *array, *numpy_dtype = PyTuple_GetItem(hooks.dtypes, dtype);
    if (!extents) return NULL;
    for (int i = 0; i < ndim; i++) PyTuple_SET_ITEM(extents, i, PyLong_FromLongLong(shape[i]));
    if (hooks.empty != Py_None && numpy_dtype != Py_None) {
        PyObject *arguments[3] = {NULL, extents, numpy_dtype};
        array = PyObject_Vectorcall(hooks.empty, arguments + 1, 2 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    } else {
        array = PyObject_CallFunction(hooks.allocate, "Oi", extents, (int)dtype);
    }
    Py_DECREF(extents);
    return array;
}

/* An output of that shape: `given`, or a new array. It is kept in *kept. */
static lossfn_tensor_t *call_output(call_t *call, PyObject *given, const char *name, int32_t dtype, int ndim,
                                    const int64_t *shape, PyObject **kept) {
    *kept = given && given != Py_None ? Py_NewRef(given) : new_array(dtype, ndim, shape);
    return *kept ? call_tensor(call, *kept, name, TENSOR_OUTPUT) : NULL;
}

/* Keywords of a call, beside the names of inputs. */
enum {
    KEY_WEIGHT,
    KEY_MASK,
    KEY_SAMPLE_WEIGHT,
    KEY_UPSTREAM,
    KEY_DENOMINATOR,
    KEY_OUT,
    KEY_GRAD_OUT,
    KEY_HESS_OUT,
    KEY_WRT,
    KEY_HESS_KIND,
    KEY_THREADS,
    KEY_CACHED,
    KEY_VECTOR,
    KEY_COUNT
};
static const char *const key_names[KEY_COUNT] = {"weight",  "mask",     "sample_weight", "upstream", "denominator",
                                                 "out",     "grad_out", "hess_out",      "wrt",      "hess_kind",
                                                 "threads", "cached",   "vector"};
static PyObject *key_objects[KEY_COUNT];

/* 0: what is wrong with the type of an argument, by its name, in place of an error that does not have it; what an
 * object's own code raises stays. */
static int raise_type(const char *name, const char *expected, PyObject *object) {
    if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_TypeError) && !PyErr_ExceptionMatches(PyExc_OverflowError))
        return 0;
    PyErr_Clear();
    PyErr_Format(PyExc_TypeError, "%s is a %s; %s is expected", name, Py_TYPE(object)->tp_name, expected);
    return 0;
}

static int find_name(const char *const *names, int n, const char *name) {
    for (int i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0) return i;
    return -1;
}

/* Position of an input by its name; pred and target by y_pred and y_true too, unless inputs have those names; -1. */
static int find_input(const lossfn_t *loss, const char *name) {
    int n = lossfn_input_count(loss);
    for (int i = 0; i < n; i++)
        if (strcmp(lossfn_input_name(loss, i), name) == 0) return i;
    if (strcmp(name, "y_pred") == 0) return find_input(loss, "pred");
    if (strcmp(name, "y_true") == 0) return find_input(loss, "target");
    return -1;
}

/* Sorts options into given[] by keyword and inputs[] by name. */
static int call_options(call_t *call, PyObject *options, PyObject **given, PyObject **inputs) {
    PyObject *key, *value;
    Py_ssize_t at = 0;
    while (PyDict_Next(options, &at, &key, &value)) {
        int i;
        for (i = 0; i < KEY_COUNT && key != key_objects[i]; i++) {}
        if (i == KEY_COUNT) {
            const char *name = PyUnicode_AsUTF8(key);
            if (!name) return 0;
            if ((i = find_name(key_names, KEY_COUNT, name)) < 0) {
                int input = find_input(call->loss, name);
                if (input < 0) {
                    PyErr_Format(error_of(LOSSFN_ERROR_ARGUMENT), "%s has no input or keyword '%s'",
                                 lossfn_name(call->loss), name);
                    return 0;
                }
                if (inputs[input]) {
                    PyErr_Format(error_of(LOSSFN_ERROR_ARGUMENT), "%s is given twice",
                                 lossfn_input_name(call->loss, input));
                    return 0;
                }
                if (value != Py_None) inputs[input] = value;
                continue;
            }
        }
        if (value != Py_None) given[i] = value;
    }
    return 1;
}

static int is_integer(int32_t dtype) { return dtype >= LOSSFN_I8; }

static int call_inputs(call_t *call, PyObject **inputs) {
    const lossfn_tensor_t *target;
    for (int i = 0; i < call->args.n_inputs; i++) {
        int ints = call->want >> (WANT_INTS_SHIFT + i) & 1;
        if (inputs[i] && !(call->args.inputs[i] = call_tensor(call, inputs[i], lossfn_input_name(call->loss, i),
                                                              ints ? 0 : TENSOR_FLOATS)))
            return 0;
    }
    if (!call->args.inputs[0]) {
        int64_t needed = lossfn_spec(call->loss, NULL, 0);
        char *spec = PyMem_Malloc((size_t)needed + 1);
        if (!spec) return PyErr_NoMemory(), 0;
        lossfn_spec(call->loss, spec, needed + 1);
        PyErr_Format(error_of(LOSSFN_ERROR_ARGUMENT),
                     "%s needs data: its first input is %s (lossfn.create('%s') makes a loss to call later)",
                     lossfn_name(call->loss), lossfn_input_name(call->loss, 0), spec);
        PyMem_Free(spec);
        return 0;
    }
    /* Whole numbers are fine as a prediction, unless the target is not whole: then they are swapped, and the library
     * asks. */
    target = call->args.inputs[1];
    for (int i = 0; i < call->args.n_inputs; i++) {
        const lossfn_tensor_t *input = call->args.inputs[i];
        if (!input || !is_integer(input->dtype) || call->want >> (WANT_INTS_SHIFT + i) & 1) continue;
        if (i == 0 && target && !is_integer(target->dtype)) continue;
        if (!(call->args.inputs[i] = call_tensor(call, inputs[i], lossfn_input_name(call->loss, i), TENSOR_FORCE)))
            return 0;
    }
    return 1;
}

/* A weight: ints are floats. */
static const lossfn_tensor_t *call_weight(call_t *call, PyObject *object, const char *name) {
    const lossfn_tensor_t *tensor = call_tensor(call, object, name, TENSOR_FLOATS);
    if (tensor && is_integer(tensor->dtype)) tensor = call_tensor(call, object, name, TENSOR_FORCE);
    return tensor;
}

/* sample_weight: one per position of axis 0, whatever follows. */
static const lossfn_tensor_t *call_sample_weight(call_t *call, PyObject *object) {
    lossfn_tensor_t *tensor = (lossfn_tensor_t *)call_weight(call, object, "sample_weight");
    const lossfn_tensor_t *pred = call->args.inputs[0];
    int ndim = pred->ndim - (lossfn_unit(call->loss) == LOSSFN_UNIT_ROW);
    if (!tensor || tensor->ndim == 0 || ndim < 1) return tensor;
    if (tensor->ndim != 1 || tensor->shape[0] != pred->shape[0]) {
        PyErr_Format(
            error_of(LOSSFN_ERROR_SHAPE),
            "sample_weight has %d dimensions and %lld values, pred has %lld samples along axis 0; weight= takes "
            "weights of other shapes",
            (int)tensor->ndim, (long long)(tensor->ndim ? tensor->shape[0] : 1), (long long)pred->shape[0]);
        return NULL;
    }
    for (int i = 1; i < ndim; i++) {
        tensor->shape[i] = 1;
        tensor->strides[i] = 1;
    }
    tensor->ndim = ndim;
    return tensor;
}

static void call_want_grad(call_t *call, int input) {
    for (int k = 0; k < call->n_grads; k++)
        if (call->grads[k] == input) return;
    call->grads[call->n_grads++] = input;
}

/* The inputs that `wrt` names, in its order; a sequence asks for a named tuple. */
static int call_wrt(call_t *call, PyObject *wrt) {
    PyObject *names = PyUnicode_Check(wrt) ? PyTuple_Pack(1, wrt) : PySequence_Tuple(wrt);
    call->several = !PyUnicode_Check(wrt);
    if (!names && !PyErr_ExceptionMatches(PyExc_TypeError)) return 0;
    if (!names) return raise_type("wrt", "the name of an input or a sequence of names", wrt);
    for (Py_ssize_t k = 0; k < PyTuple_Size(names); k++) {
        PyObject *item = PyTuple_GetItem(names, k);
        const char *name = PyUnicode_Check(item) ? PyUnicode_AsUTF8(item) : NULL;
        int i = name ? find_input(call->loss, name) : -1;
        if (!PyUnicode_Check(item)) raise_type("a name in wrt", "a str", item);
        if (name && (i < 0 || !call->args.inputs[i]))
            PyErr_Format(error_of(LOSSFN_ERROR_ARGUMENT),
                         i < 0 ? "wrt: %s has no input '%s'" : "wrt: %s was called without %s", lossfn_name(call->loss),
                         name);
        if (PyErr_Occurred()) {
            Py_DECREF(names);
            return 0;
        }
        call_want_grad(call, i);
    }
    Py_DECREF(names);
    return 1;
}

static int call_grads(call_t *call, PyObject *wrt, PyObject *outs, int32_t compute) {
    lossfn_args_t *args = &call->args;
    if (wrt && !call_wrt(call, wrt)) return 0;
    for (int i = 0; !wrt && i < args->n_inputs; i++)
        if (args->inputs[i] && call->want >> (WANT_GRADS_SHIFT + i) & 1) call_want_grad(call, i);
    call->several |= call->n_grads > 1;
    if (call->several && outs && (!PySequence_Check(outs) || PySequence_Size(outs) != call->n_grads)) {
        PyErr_Clear();
        PyErr_Format(error_of(LOSSFN_ERROR_ARGUMENT), "grad_out: %d gradients need a sequence of %d arrays (or None)",
                     call->n_grads, call->n_grads);
        return 0;
    }
    for (int k = 0; k < call->n_grads; k++) {
        const int i = call->grads[k];
        const lossfn_tensor_t *input = args->inputs[i];
        PyObject *out = call->several && outs ? PySequence_GetItem(outs, k) : outs;
        if (outs && !out) return 0;
        args->grads[i] = call_output(call, out, "grad_out", is_integer(input->dtype) ? compute : input->dtype,
                                     input->ndim, input->shape, &call->gradients[i]);
        if (call->several) Py_XDECREF(out);
        if (!args->grads[i]) return 0;
    }
    return 1;
}

/* What is for an output that the call does not have is a mistake. */
static int call_checked(const call_t *call, PyObject **given) {
    static const struct {
        int key;
        uint32_t want;
        const char *output;
    } needs[] = {{KEY_WRT, WANT_GRAD, "gradient"},
                 {KEY_GRAD_OUT, WANT_GRAD, "gradient"},
                 {KEY_HESS_OUT, WANT_HESS, "Hessian"},
                 {KEY_VECTOR, WANT_HVP, "product with the Hessian"}};
    for (size_t i = 0; i < sizeof needs / sizeof *needs; i++)
        if (given[needs[i].key] && !(call->want & needs[i].want)) {
            PyErr_Format(error_of(LOSSFN_ERROR_ARGUMENT), "%s is given, but this call computes no %s",
                         key_names[needs[i].key], needs[i].output);
            return 0;
        }
    return 1;
}

static int call_outputs(call_t *call, PyObject **given) {
    lossfn_args_t *args = &call->args;
    if (!call_checked(call, given)) return 0;
    const lossfn_tensor_t *pred = args->inputs[0];
    int32_t compute = LOSSFN_F32, floating = is_integer(pred->dtype) ? 0 : pred->dtype;
    for (int i = 0; i < args->n_inputs; i++)
        if (args->inputs[i] && args->inputs[i]->dtype == LOSSFN_F64) compute = LOSSFN_F64;

    int unreduced = (call->want & WANT_UNREDUCED) != 0;
    if (call->want & WANT_VALUE && !unreduced) args->value = &call->value;
    if ((call->want & WANT_VALUE && unreduced) || (given[KEY_OUT] && !(call->want & WANT_HVP))) {
        int32_t ndim = 0;
        int64_t shape[LOSSFN_MAX_DIMS];
        lossfn_status_t status = lossfn_values_shape(call->loss, pred, &ndim, shape);
        if (status != LOSSFN_OK) return raise_status(status), 0;
        if (!(args->values = call_output(call, given[KEY_OUT], "out", compute, ndim, shape, &call->values))) return 0;
    }
    if (call->want & WANT_GRAD && !call_grads(call, given[KEY_WRT], given[KEY_GRAD_OUT], compute)) return 0;
    if (call->want & WANT_HESS &&
        !(args->hess = call_output(call, given[KEY_HESS_OUT], "hess_out", floating ? floating : compute, pred->ndim,
                                   pred->shape, &call->hess)))
        return 0;
    if (call->want & WANT_HVP) {
        if (!given[KEY_VECTOR]) {
            PyErr_SetString(error_of(LOSSFN_ERROR_ARGUMENT), "hvp needs vector=, an array of pred's shape");
            return 0;
        }
        if (!(args->hvp_vector = call_weight(call, given[KEY_VECTOR], "vector"))) return 0;
        if (!(args->hvp = call_output(call, given[KEY_OUT], "out", floating ? floating : compute, pred->ndim,
                                      pred->shape, &call->hvp)))
            return 0;
    }
    if (call->want & WANT_COMPONENTS) {
        if (lossfn_component_count(call->loss) > CALL_TERMS) {
            PyErr_Format(error_of(LOSSFN_ERROR_UNSUPPORTED), "more than %d components", CALL_TERMS);
            return 0;
        }
        args->components = call->components;
    }
    return 1;
}

static int call_rest(call_t *call, PyObject **given) {
    static const char *const kinds[] = {"exact", "fisher", "upper"};
    lossfn_args_t *args = &call->args;
    if (given[KEY_WEIGHT] && given[KEY_SAMPLE_WEIGHT]) {
        PyErr_SetString(error_of(LOSSFN_ERROR_ARGUMENT), "weight and sample_weight are both given");
        return 0;
    }
    if (given[KEY_WEIGHT] && !(args->weight = call_weight(call, given[KEY_WEIGHT], "weight"))) return 0;
    if (given[KEY_SAMPLE_WEIGHT] && !(args->weight = call_sample_weight(call, given[KEY_SAMPLE_WEIGHT]))) return 0;
    if (given[KEY_MASK] && !(args->mask = call_tensor(call, given[KEY_MASK], "mask", 0))) return 0;
    if (given[KEY_UPSTREAM] && !(args->upstream = call_weight(call, given[KEY_UPSTREAM], "upstream"))) return 0;
    if (given[KEY_DENOMINATOR]) {
        call->denominator = PyFloat_AsDouble(given[KEY_DENOMINATOR]);
        if (call->denominator == -1 && PyErr_Occurred())
            return raise_type("denominator", "a number of float64's range", given[KEY_DENOMINATOR]);
        args->denominator = &call->denominator;
    }
    if (given[KEY_HESS_KIND]) {
        PyObject *kind = given[KEY_HESS_KIND];
        const char *name = PyUnicode_Check(kind) ? PyUnicode_AsUTF8(kind) : NULL;
        if (!name) return raise_type("hess_kind", "a str", kind);
        if ((args->hess_kind = find_name(kinds, 3, name)) < 0) {
            PyErr_Format(error_of(LOSSFN_ERROR_ARGUMENT), "hess_kind is '%s'; it can be 'exact', 'fisher' or 'upper'",
                         name);
            return 0;
        }
    }
    if (given[KEY_THREADS]) {
        PyObject *number = PyNumber_Index(given[KEY_THREADS]);
        int overflow = 0;
        long threads = number ? PyLong_AsLongAndOverflow(number, &overflow) : 0; /* -1 beyond its range */
        if (!number) return raise_type("threads", "an integer", given[KEY_THREADS]);
        if (threads < 0 || threads > 256) {
            PyErr_Format(error_of(LOSSFN_ERROR_ARGUMENT), "threads is %S; it can be 0 (automatic) to 256", number);
            Py_DECREF(number);
            return 0;
        }
        Py_DECREF(number);
        call->exec.threads = (int32_t)threads;
    }
    if (given[KEY_CACHED]) {
        int cached = PyObject_IsTrue(given[KEY_CACHED]);
        if (cached < 0) return 0;
        if (cached) call->exec.flags |= LOSSFN_EXEC_CACHED;
    }
    return 1;
}

/* What losses that take long rows whole work in. */
static int call_scratch(call_t *call) {
    const int64_t needed = lossfn_scratch_size(call->loss, &call->args);
    if (needed == 0) return 1;
    call->exec.scratch = PyMem_Malloc((size_t)needed);
    call->exec.scratch_size = needed;
    return call->exec.scratch ? 1 : (PyErr_NoMemory(), 0);
}

/* 1, and call_close must follow; 0 with a Python error, and it must not. */
static int call_open(call_t *call, PyObject *arguments) {
    PyObject *handle, *want, *positional, *options, *given[KEY_COUNT] = {NULL}, *inputs[LOSSFN_MAX_INPUTS] = {NULL};
    void *loss = NULL;
    int64_t size = 1;

    if (!PyTuple_Check(arguments) || PyTuple_GET_SIZE(arguments) != 4) {
        PyErr_SetString(PyExc_TypeError, "a call is (handle, want, inputs, options)");
        return 0;
    }
    handle = PyTuple_GET_ITEM(arguments, 0);
    want = PyTuple_GET_ITEM(arguments, 1);
    positional = PyTuple_GET_ITEM(arguments, 2);
    options = PyTuple_GET_ITEM(arguments, 3);
    if (SWIG_ConvertPtr(handle, &loss, SWIGTYPE_p_lossfn_loss, 0) < 0 || !loss || !PyTuple_Check(positional)) {
        PyErr_SetString(PyExc_TypeError, "a call is (handle, want, inputs, options)");
        return 0;
    }
    call->loss = loss;
    call->want = (uint32_t)PyLong_AsUnsignedLongMask(want);
    call->n_grads = call->several = 0;
    call->n_slots = 0;
    call->values = call->hess = call->hvp = NULL;
    memset(call->gradients, 0, sizeof call->gradients);
    lossfn_args_init(&call->args);
    lossfn_exec_init(&call->exec);
    call->exec.threads = 0;
    call->args.exec = &call->exec;
    call->args.n_inputs = lossfn_input_count(loss);

    if (PyTuple_GET_SIZE(positional) > call->args.n_inputs) {
        PyErr_Format(error_of(LOSSFN_ERROR_ARGUMENT),
                     "%s has %d input%s, %zd were given; weights, masks and options go by keyword", lossfn_name(loss),
                     (int)call->args.n_inputs, call->args.n_inputs == 1 ? "" : "s", PyTuple_GET_SIZE(positional));
        return 0;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(positional); i++) {
        PyObject *input = PyTuple_GET_ITEM(positional, i);
        if (input != Py_None) inputs[i] = input;
    }
    if (options != Py_None && PyDict_GET_SIZE(options) && !call_options(call, options, given, inputs)) goto fail;
    if (!call_inputs(call, inputs) || !call_outputs(call, given) || !call_rest(call, given) || !call_scratch(call))
        goto fail;
    for (int i = 0; i < call->args.inputs[0]->ndim; i++) size *= call->args.inputs[0]->shape[i];
    call->large = size >= CALL_LARGE;
    return 1;
fail:
    call_close(call);
    return 0;
}

/* Warns of what a successful call has to say. The caller's caller is the user. */
static int call_warn(const call_t *call) {
    const lossfn_tensor_t *pred = call->args.inputs[0];
    char where[256] = "";
    int64_t index = call->args.note_index, at[LOSSFN_MAX_DIMS];
    size_t used = 0;
    if (!(call->args.notes & LOSSFN_NOTE_DOMAIN)) return 1;
    for (int i = pred->ndim; i-- > 0;) {
        if (pred->shape[i] < 1) return 1;
        at[i] = index % pred->shape[i];
        index /= pred->shape[i];
    }
    for (int i = 0; i < pred->ndim; i++)
        used += (size_t)snprintf(where + used, sizeof where - used, "%s%lld", i ? ", " : "", (long long)at[i]);
    return PyErr_WarnFormat(hooks.domain, 2,
                            "%s: a value at index [%s] lies outside the domain; the result is NaN there "
                            "(domain='error' refuses it)",
                            lossfn_name(call->loss), where) == 0;
}

static PyObject *call_gradients(call_t *call) {
    PyObject *names, *arrays, *result = NULL;
    if (call->n_grads == 1 && !call->several) return Py_NewRef(call->gradients[call->grads[0]]);
    names = PyTuple_New(call->n_grads);
    arrays = PyTuple_New(call->n_grads);
    for (int k = 0; names && arrays && k < call->n_grads; k++) {
        const int i = call->grads[k];
        PyTuple_SetItem(names, k, PyUnicode_FromString(lossfn_input_name(call->loss, i)));
        PyTuple_SetItem(arrays, k, Py_NewRef(call->gradients[i]));
    }
    if (names && arrays && !PyErr_Occurred())
        result = PyObject_CallFunctionObjArgs(hooks.gradients, names, arrays, NULL);
    Py_XDECREF(names);
    Py_XDECREF(arrays);
    return result;
}

/* What was wanted: one object, or a tuple in the order value, grad, hess, components, hvp; None if nothing was. */
static PyObject *call_result(call_t *call) {
    PyObject *parts[5], *result;
    int n = 0, failed = 0;
    if (call->args.notes && !call_warn(call)) return NULL;
    if (call->want & WANT_VALUE) {
        parts[n] = call->want & WANT_UNREDUCED ? call->values : PyFloat_FromDouble(call->value);
        if (call->want & WANT_UNREDUCED) Py_INCREF(call->values);
        n++;
    }
    if (call->want & WANT_GRAD) parts[n++] = call_gradients(call);
    if (call->want & WANT_HESS) {
        Py_INCREF(call->hess);
        parts[n++] = call->hess;
    }
    if (call->want & WANT_COMPONENTS) {
        int terms = lossfn_component_count(call->loss);
        PyObject *list = PyList_New(0);
        for (int i = 0; list && i < terms; i++) {
            PyObject *item = Py_BuildValue("(sdd)", lossfn_component_name(call->loss, i),
                                           lossfn_component_coefficient(call->loss, i), call->components[i]);
            if (!item || PyList_Append(list, item) < 0) Py_CLEAR(list);
            Py_XDECREF(item);
        }
        parts[n++] = list;
    }
    if (call->want & WANT_HVP) {
        Py_INCREF(call->hvp);
        parts[n++] = call->hvp;
    }
    for (int i = 0; i < n; i++) failed |= parts[i] == NULL;
    if (n == 1) return parts[0];
    if (n == 0) Py_RETURN_NONE;
    result = failed ? NULL : PyTuple_New(n);
    for (int i = 0; i < n; i++) {
        if (result)
            PyTuple_SET_ITEM(result, i, parts[i]);
        else
            Py_XDECREF(parts[i]);
    }
    return result;
}
