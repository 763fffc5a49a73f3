/* SPDX-License-Identifier: MIT
 * The tensor typemap: a Python object as a lossfn_tensor_t, in place wherever that is possible. In this order: numbers,
 * the buffer protocol, DLPack, and last the package's own conversion (lists, pandas, bfloat16 arrays), which is a hook.
 */

#if PY_VERSION_HEX < 0x030a0000
static PyObject *Py_NewRef(PyObject *object) {
    Py_INCREF(object);
    return object;
}
#endif

/* What the package `lossfn` supplies at import; see install(). */
static struct {
    PyObject *convert;   /* convert(object, name, flags) -> a buffer, or (a buffer of 16-bit words, dtype) */
    PyObject *allocate;  /* allocate(shape, dtype) -> an array, where `empty` has none */
    PyObject *gradients; /* gradients(names, arrays) -> a named tuple */
    PyObject *empty;     /* numpy.empty, or None */
    PyObject *dtypes;    /* tuple of numpy dtypes by lossfn_dtype, or of None */
    PyObject *errors;    /* tuple of exception classes by -status */
    PyObject *device;    /* exception: an array that is not in this process's memory */
    PyObject *domain;    /* warning: LOSSFN_NOTE_DOMAIN */
    PyObject *masked;    /* the type of arrays whose buffer says nothing of their mask, or None */
} hooks;

static struct { PyObject *dlpack, *dlpack_device, *requires_grad, *array; } names;

static PyObject *error_of(lossfn_status_t status) {
    Py_ssize_t i = status < 0 ? -(Py_ssize_t)status : 1;
    return hooks.errors && i < PyTuple_Size(hooks.errors) ? PyTuple_GetItem(hooks.errors, i) : PyExc_RuntimeError;
}

/* The status typemap. What a callback raised is already the current exception and stays it. */
static void raise_status(lossfn_status_t status) {
    if (!PyErr_Occurred()) PyErr_SetString(error_of(status), lossfn_last_error());
}

/* ---- DLPack: the same layout as dlpack.h 1.0, by tests/python/test_arrays.py ------------------------------------- */

typedef struct {
    void *data;
    struct {
        int32_t type, id;
    } device;
    int32_t ndim;
    struct {
        uint8_t code, bits;
        uint16_t lanes;
    } dtype;
    int64_t *shape, *strides; /* in elements; strides NULL: contiguous */
    uint64_t byte_offset;
} dl_tensor_t;

typedef struct dl_managed {
    dl_tensor_t tensor;
    void *context;
    void (*deleter)(struct dl_managed *);
} dl_managed_t;

typedef struct dl_versioned {
    uint32_t major, minor;
    void *context;
    void (*deleter)(struct dl_versioned *);
    uint64_t flags; /* bit 0: read-only */
    dl_tensor_t tensor;
} dl_versioned_t;

/* ---- One array held for the duration of a call --------------------------------------------------------------------
 */

enum {
    TENSOR_OUTPUT = 1, /* is written: nothing may be copied on the way */
    TENSOR_FLOATS = 2, /* a list of ints stands for floats */
    TENSOR_FORCE = 4   /* so does an array of ints */
};

typedef struct {
    lossfn_tensor_t tensor;
    Py_buffer view;            /* held if view.obj */
    dl_managed_t *managed;     /* held if not NULL */
    dl_versioned_t *versioned; /* held if not NULL */
    double number;
    int64_t integer;
} slot_t;

static void slot_release(slot_t *slot) {
    if (slot->view.obj) PyBuffer_Release(&slot->view);
    if (slot->managed || slot->versioned) { /* a deleter may be Python code: an exception must not be in its way */
        PyObject *type, *value, *trace;
        PyErr_Fetch(&type, &value, &trace);
        if (slot->managed && slot->managed->deleter) slot->managed->deleter(slot->managed);
        if (slot->versioned && slot->versioned->deleter) slot->versioned->deleter(slot->versioned);
        PyErr_Restore(type, value, trace);
    }
    slot->view.obj = NULL;
    slot->managed = NULL;
    slot->versioned = NULL;
}

/* The dtype of a struct-module format in native byte order, 0 if lossfn has none. */
static int32_t dtype_of_format(const char *format, Py_ssize_t itemsize) {
    static const char integers[] = "bhilqnBHILQN";
    const char *found;
    if (!format) return LOSSFN_U8;
    if (*format == '@' || *format == '=' || *format == (PY_BIG_ENDIAN ? '>' : '<')) format++;
    if (format[0] == 0 || format[1] != 0) return 0;
    switch (format[0]) {
    case 'd':
        return itemsize == 8 ? LOSSFN_F64 : 0;
    case 'f':
        return itemsize == 4 ? LOSSFN_F32 : 0;
    case 'e':
        return LOSSFN_F16;
    case '?':
        return LOSSFN_BOOL;
    }
    if (!(found = strchr(integers, format[0]))) return 0;
    int is_unsigned = found - integers >= 6;
    switch (itemsize) {
    case 1:
        return is_unsigned ? LOSSFN_U8 : LOSSFN_I8;
    case 2:
        return is_unsigned ? LOSSFN_U16 : LOSSFN_I16;
    case 4:
        return is_unsigned ? LOSSFN_U32 : LOSSFN_I32;
    case 8:
        return is_unsigned ? LOSSFN_U64 : LOSSFN_I64;
    }
    return 0;
}

/* 1; 0 with a Python error. Strides are NULL or count elements. */
static int slot_set(slot_t *slot, const char *name, void *data, int32_t dtype, int ndim, const int64_t *shape,
                    const int64_t *strides, int readonly) {
    lossfn_status_t status;
    int contiguous = 1;
    if (ndim > LOSSFN_MAX_DIMS) {
        PyErr_Format(error_of(LOSSFN_ERROR_SHAPE), "%s has %d dimensions, at most %d are possible", name, ndim,
                     LOSSFN_MAX_DIMS);
        return 0;
    }
    if (strides) {
        int64_t expected = 1;
        for (int i = ndim; i-- > 0;) {
            if (shape[i] == 0) break;
            if (shape[i] != 1 && strides[i] != expected) contiguous = 0;
            expected *= shape[i];
        }
    }
    if (!contiguous)
        status = lossfn_tensor_init_strided(&slot->tensor, data, dtype, ndim, shape, strides,
                                            LOSSFN_TENSOR_STRIDED | (readonly ? LOSSFN_TENSOR_READONLY : 0));
    else if (readonly)
        status = lossfn_tensor_init_const(&slot->tensor, data, dtype, ndim, shape);
    else
        status = lossfn_tensor_init(&slot->tensor, data, dtype, ndim, shape);
    if (status != LOSSFN_OK) PyErr_Format(error_of(status), "%s: %s", name, lossfn_last_error());
    return status == LOSSFN_OK;
}

/* From slot->view. 1; 0 with a Python error; -1 if lossfn cannot express it (dtype, byte order, alignment). */
static int slot_from_view(slot_t *slot, const char *name, int32_t dtype) {
    const Py_buffer *view = &slot->view;
    int64_t shape[LOSSFN_MAX_DIMS], strides[LOSSFN_MAX_DIMS];
    if (!dtype) dtype = dtype_of_format(view->format, view->itemsize);
    if (!dtype || (view->len && (uintptr_t)view->buf % (uintptr_t)view->itemsize)) return -1;
    for (int i = 0; i < view->ndim && i < LOSSFN_MAX_DIMS; i++) {
        shape[i] = view->shape[i];
        if (!view->strides) continue; /* those of ctypes give none, though they are asked for: contiguous */
        if (view->strides[i] % view->itemsize && view->shape[i] > 1) return -1;
        strides[i] = view->strides[i] / view->itemsize;
    }
    return slot_set(slot, name, view->len ? view->buf : NULL, dtype, view->ndim, shape, view->strides ? strides : NULL,
                    view->readonly);
}

static int32_t dtype_of_dlpack(int code, int bits, int lanes) {
    if (lanes != 1) return 0;
    switch (code << 8 | bits) {
    case 0x008:
        return LOSSFN_I8;
    case 0x010:
        return LOSSFN_I16;
    case 0x020:
        return LOSSFN_I32;
    case 0x040:
        return LOSSFN_I64;
    case 0x108:
        return LOSSFN_U8;
    case 0x110:
        return LOSSFN_U16;
    case 0x120:
        return LOSSFN_U32;
    case 0x140:
        return LOSSFN_U64;
    case 0x210:
        return LOSSFN_F16;
    case 0x220:
        return LOSSFN_F32;
    case 0x240:
        return LOSSFN_F64;
    case 0x410:
        return LOSSFN_BF16;
    case 0x608:
        return LOSSFN_BOOL;
    }
    return 0;
}

static int raise_device(const char *name, long type, long id) {
    static const char *const devices[] = {"",       "CPU",
                                          "CUDA",   "pinned CUDA host",
                                          "OpenCL", "",
                                          "",       "Vulkan",
                                          "Metal",  "VPI",
                                          "ROCm",   "pinned ROCm host",
                                          "",       "managed CUDA",
                                          "oneAPI"};
    const char *device = type > 0 && type < 15 ? devices[type] : "";
    PyErr_Format(hooks.device,
                 "%s lives on %s device %ld; lossfn computes on the CPU: pass a copy in main memory, as .cpu() gives",
                 name, *device ? device : "an unknown", id);
    return 0;
}

/* As PyObject_GetAttr, but absence is no error. The name is interned: Python's cache of attributes would keep each new
 * string that is looked up. */
static PyObject *attribute(PyObject *object, PyObject *name) {
    PyObject *found = PyObject_GetAttr(object, name);
    if (!found && PyErr_ExceptionMatches(PyExc_AttributeError)) PyErr_Clear();
    return found;
}

/* Whether an array that DLPack cannot pass (the Python error that is set) may be converted instead: clears the error.
 */
static int may_convert(PyObject *object, int flags) {
    PyObject *type, *value, *trace, *convert;
    if (flags & TENSOR_OUTPUT || !PyErr_ExceptionMatches(PyExc_BufferError)) return 0;
    PyErr_Fetch(&type, &value, &trace);
    if (!(convert = attribute(object, names.array))) {
        PyErr_Clear();
        PyErr_Restore(type, value, trace);
        return 0;
    }
    Py_DECREF(convert);
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(trace);
    return 1;
}

/* 1; 0 with a Python error; -1 if the object has no memory that DLPack can name. `export` is the bound __dlpack__. */
static int slot_from_dlpack(slot_t *slot, PyObject *object, PyObject *export, const char *name, int flags) {
    static PyObject *keyword; /* {"max_version": (1, 0)} */
    PyObject *capsule, *other, *nothing;
    const dl_tensor_t *tensor;
    int32_t dtype;
    int readonly = 0, ok;

    if ((other = attribute(object, names.requires_grad))) {
        int traced = PyObject_IsTrue(other);
        Py_DECREF(other);
        if (traced) {
            PyErr_Format(error_of(LOSSFN_ERROR_ARGUMENT),
                         "%s requires grad, and lossfn would not be seen by autograd: pass %s.detach() and use the "
                         "gradient that lossfn returns",
                         name, name);
            return 0;
        }
    }
    if (PyErr_Occurred()) return 0;
    if ((other = attribute(object, names.dlpack_device))) {
        PyObject *device = PyObject_CallNoArgs(other);
        int type, id;
        Py_DECREF(other);
        if (!device) return 0;
        ok = PyTuple_Check(device) && PyArg_ParseTuple(device, "ii", &type, &id);
        Py_DECREF(device);
        if (!ok) {
            PyErr_Clear();
            PyErr_Format(error_of(LOSSFN_ERROR_ARGUMENT), "%s: __dlpack_device__ did not return (type, id)", name);
            return 0;
        }
        if (type != LOSSFN_DEVICE_CPU) return raise_device(name, type, id);
    }
    if (PyErr_Occurred()) return 0;

    if (!keyword && !(keyword = Py_BuildValue("{s:(ii)}", "max_version", 1, 0))) return 0;
    if (!(nothing = PyTuple_New(0))) return 0;
    capsule = PyObject_Call(export, nothing, keyword);
    if (!capsule && PyErr_ExceptionMatches(PyExc_TypeError)) {
        PyErr_Clear();
        capsule = PyObject_Call(export, nothing, NULL);
    }
    Py_DECREF(nothing);
    if (!capsule) return may_convert(object, flags) ? -1 : 0;
    /* A renamed capsule is ours: its own destructor leaves the tensor alone from here on. */
    if (PyCapsule_IsValid(capsule, "dltensor_versioned")) {
        slot->versioned = PyCapsule_GetPointer(capsule, "dltensor_versioned");
        PyCapsule_SetName(capsule, "used_dltensor_versioned");
        Py_DECREF(capsule);
        if (slot->versioned->major != 1) {
            PyErr_Format(error_of(LOSSFN_ERROR_UNSUPPORTED), "%s comes as DLPack %u, lossfn reads version 1", name,
                         (unsigned)slot->versioned->major);
            return 0;
        }
        tensor = &slot->versioned->tensor;
        readonly = slot->versioned->flags & 1;
    } else if (PyCapsule_IsValid(capsule, "dltensor")) {
        slot->managed = PyCapsule_GetPointer(capsule, "dltensor");
        PyCapsule_SetName(capsule, "used_dltensor");
        Py_DECREF(capsule);
        tensor = &slot->managed->tensor;
    } else {
        Py_DECREF(capsule);
        PyErr_Format(error_of(LOSSFN_ERROR_ARGUMENT), "%s: __dlpack__ did not return a DLPack capsule", name);
        return 0;
    }
    if (tensor->device.type != LOSSFN_DEVICE_CPU) return raise_device(name, tensor->device.type, tensor->device.id);
    if (!(dtype = dtype_of_dlpack(tensor->dtype.code, tensor->dtype.bits, tensor->dtype.lanes))) {
        PyErr_Format(error_of(LOSSFN_ERROR_DTYPE),
                     "%s has DLPack type code %d with %d bits, which lossfn does not read", name, tensor->dtype.code,
                     tensor->dtype.bits);
        return 0;
    }
    if (readonly && flags & TENSOR_OUTPUT) {
        PyErr_Format(error_of(LOSSFN_ERROR_ARGUMENT), "%s is read-only", name);
        return 0;
    }
    return slot_set(slot, name, (char *)tensor->data + tensor->byte_offset, dtype, tensor->ndim, tensor->shape,
                    tensor->strides, readonly);
}

/* Fills an empty slot from any Python object. 1; 0 with a Python error. Either way slot_release may follow. */
static int slot_acquire(slot_t *slot, PyObject *object, const char *name, int flags) {
    int output = flags & TENSOR_OUTPUT, done;
    const int as_is = !(flags & TENSOR_FORCE) &&
                      !(hooks.masked != Py_None && PyObject_TypeCheck(object, (PyTypeObject *)hooks.masked));
    int request = PyBUF_STRIDES | PyBUF_FORMAT | (output ? PyBUF_WRITABLE : 0);
    PyObject *export, *converted;
    int32_t dtype = 0;

    slot->view.obj = NULL;
    slot->managed = NULL;
    slot->versioned = NULL;
    if (!output && PyFloat_Check(object)) {
        slot->number = PyFloat_AS_DOUBLE(object);
        return slot_set(slot, name, &slot->number, LOSSFN_F64, 0, NULL, NULL, 1);
    }
    if (!output && PyLong_Check(object)) {
        int overflow = 0;
        slot->integer = PyLong_AsLongLongAndOverflow(object, &overflow);
        if (!overflow && !(flags & (TENSOR_FLOATS | TENSOR_FORCE)))
            return slot_set(slot, name, &slot->integer, LOSSFN_I64, 0, NULL, NULL, 1);
        slot->number = PyLong_AsDouble(object);
        if (slot->number == -1 && PyErr_Occurred()) {
            PyErr_Format(error_of(LOSSFN_ERROR_DTYPE), "%s is an int beyond the range of float64", name);
            return 0;
        }
        return slot_set(slot, name, &slot->number, LOSSFN_F64, 0, NULL, NULL, 1);
    }
    if (as_is && PyObject_CheckBuffer(object)) {
        if (PyObject_GetBuffer(object, &slot->view, request) == 0) {
            if ((done = slot_from_view(slot, name, 0)) >= 0) return done;
            PyBuffer_Release(&slot->view);
        } else {
            slot->view.obj = NULL;
            PyErr_Clear(); /* a dtype without a format, or read-only: the conversion tells which */
        }
    } else if (as_is) {
        if ((export = attribute(object, names.dlpack))) {
            done = export == Py_None ? -1 : slot_from_dlpack(slot, object, export, name, flags);
            Py_DECREF(export);
            if (done >= 0) return done;
        }
        if (PyErr_Occurred()) return 0;
    }

    if (!(converted = PyObject_CallFunction(hooks.convert, "Osi", object, name, flags))) return 0;
    if (PyTuple_Check(converted)) {
        PyObject *words;
        int code;
        if (!PyArg_ParseTuple(converted, "Oi", &words, &code)) {
            Py_DECREF(converted);
            return 0;
        }
        dtype = code;
        Py_INCREF(words);
        Py_SETREF(converted, words);
    }
    done = PyObject_GetBuffer(converted, &slot->view, request); /* keeps `converted` alive */
    Py_DECREF(converted);
    if (done < 0) {
        slot->view.obj = NULL;
        return 0;
    }
    if ((done = slot_from_view(slot, name, dtype)) < 0) {
        PyErr_Format(error_of(LOSSFN_ERROR_DTYPE), "%s has a layout or element type ('%s') that lossfn does not read",
                     name, slot->view.format ? slot->view.format : "B");
        return 0;
    }
    return done;
}
