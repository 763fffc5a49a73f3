/* SPDX-License-Identifier: MIT
 * lossfn._core: the C library for the package `lossfn`, which is written by hand over it. For SWIG 4.1 and newer; the
 * core.py that SWIG writes beside the wrapper is not used: handles stay plain SWIG pointers, which is the fastest. */
%module(package="lossfn") core
%ignore lossfn_args::exec; /* a keyword of Python 2: SWIG would warn */

%{
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* dladdr */
#endif
#include <dlfcn.h>
#include <string.h>
#include <lossfn/extend.h>
#include "tensor.h"
#include "call.h"
#include "callback.h"

/* Takes the package's hooks: a tuple in the order of the struct. */
static PyObject *install(PyObject *objects) {
    for (int i = 0; i < KEY_COUNT; i++)
        if (!key_objects[i] && !(key_objects[i] = PyUnicode_InternFromString(key_names[i]))) return NULL;
    names.dlpack = PyUnicode_InternFromString("__dlpack__");
    names.dlpack_device = PyUnicode_InternFromString("__dlpack_device__");
    names.requires_grad = PyUnicode_InternFromString("requires_grad");
    names.array = PyUnicode_InternFromString("__array__");
    if (!PyArg_ParseTuple(objects, "OOOOOOOOO", &hooks.convert, &hooks.allocate, &hooks.gradients, &hooks.empty, &hooks.dtypes,
                          &hooks.errors, &hooks.device, &hooks.domain, &hooks.masked))
        return NULL;
    Py_INCREF(objects); /* for ever, and what it holds */
    Py_RETURN_NONE;
}

/* Where the library that is in use lies. */
static const char *library_path(void) {
    Dl_info info;
    return dladdr((void *)(intptr_t)lossfn_version, &info) ? info.dli_fname : NULL;
}

/* For a buffer of doubles, in rows of cols: lossfn_rho_batch's three numbers each, the weights, the link or its inverse. */
enum { NUMBERS_RHO, NUMBERS_WEIGHT, NUMBERS_LINK, NUMBERS_INVERSE_LINK };
static PyObject *numbers_of(const lossfn_t *loss, int what, PyObject *data, long long cols) {
    Py_buffer view;
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0) return NULL;
    const int64_t n = view.len / (int64_t)sizeof(double), rows = cols > 0 ? n / cols : 0;
    PyObject *made = PyByteArray_FromStringAndSize(NULL, (what == NUMBERS_RHO ? 3 : 1) * n * (Py_ssize_t)sizeof(double));
    double *out = made ? (double *)PyByteArray_AS_STRING(made) : NULL;
    lossfn_status_t status = !made                    ? LOSSFN_OK
                             : what == NUMBERS_RHO    ? lossfn_rho_batch(loss, n, view.buf, out)
                             : what == NUMBERS_WEIGHT ? lossfn_irls_weight(loss, n, view.buf, out)
                             : what == NUMBERS_LINK   ? lossfn_link_apply(loss, rows, cols, view.buf, out)
                                                      : lossfn_link_invert(loss, rows, cols, view.buf, out);
    PyBuffer_Release(&view);
    if (status == LOSSFN_OK) return made;
    Py_DECREF(made);
    raise_status(status);
    return NULL;
}

/* lossfn_init_score of a call: a buffer of doubles, one for each class of a loss over rows. */
static PyObject *best_constant(PyObject *arguments) {
    call_t call;
    if (!call_open(&call, arguments)) return NULL;
    const int64_t count = score_count(call.loss, call.args.inputs[0]);
    PyObject *made = PyByteArray_FromStringAndSize(NULL, count * (Py_ssize_t)sizeof(double));
    lossfn_status_t status = LOSSFN_OK;
    if (made) {
        PyThreadState *thread = PyEval_SaveThread();
        status = lossfn_init_score(call.loss, &call.args, (double *)PyByteArray_AS_STRING(made));
        PyEval_RestoreThread(thread);
    }
    call_close(&call);
    if (status == LOSSFN_OK) return made;
    Py_DECREF(made);
    raise_status(status);
    return NULL;
}

/* Adds an output to the result so far. SWIG's own helper changed its arguments between versions. */
static PyObject *append(PyObject *result, PyObject *output) {
    PyObject *joined, *before;
    if (!result || !output || result == Py_None) {
        Py_XDECREF(result);
        return output;
    }
    before = PyTuple_Check(result) ? Py_NewRef(result) : PyTuple_Pack(1, result);
    output = Py_BuildValue("(N)", output);
    joined = before && output ? PySequence_Concat(before, output) : NULL;
    Py_XDECREF(before);
    Py_XDECREF(output);
    Py_DECREF(result);
    return joined;
}
%}

/* Status: an exception, or nothing. */
%typemap(out) lossfn_status_t {
    if ($1 != LOSSFN_OK) {
        raise_status($1);
        SWIG_fail;
    }
    $result = Py_NewRef(Py_None);
}

/* Calls: one Python tuple, see call.h. `opened` because a failure before this argument also comes by freearg. */
%typemap(in) (const lossfn_t *loss, lossfn_args_t *args) (call_t call, int opened = 0),
             (const lossfn_t *loss, const lossfn_args_t *args) (call_t call, int opened = 0) {
    if (!(opened = call_open(&call, $input))) SWIG_fail;
    $1 = call.loss;
    $2 = &call.args;
}
%typemap(in) lossfn_args_t *args (call_t call, int opened = 0) {
    if (!(opened = call_open(&call, $input))) SWIG_fail;
    $1 = &call.args;
}
%typemap(argout) (const lossfn_t *loss, lossfn_args_t *args), lossfn_args_t *args {
    Py_DECREF($result);
    if (!($result = call_result(&call$argnum))) SWIG_fail;
}
%typemap(argout) (const lossfn_t *loss, const lossfn_args_t *args) ""
%typemap(freearg) (const lossfn_t *loss, lossfn_args_t *args), (const lossfn_t *loss, const lossfn_args_t *args),
                  lossfn_args_t *args {
    if (opened$argnum) call_close(&call$argnum);
}

/* The GIL is released around computing only, and only where that takes longer than getting it back may: a thread that
 * lets go of it can wait for milliseconds. */
%define RELEASES_GIL(function)
%exception function {
    PyThreadState *thread = ((call_t *)arg2)->large ? PyEval_SaveThread() : NULL;
    $action
    if (thread) PyEval_RestoreThread(thread);
}
%enddef
RELEASES_GIL(lossfn_run)
RELEASES_GIL(lossfn_minimum)
RELEASES_GIL(lossfn_check)
RELEASES_GIL(lossfn_check_gradient)
RELEASES_GIL(lossfn_accumulator_update)

/* Handles that a function makes. */
%define HANDLE_OUT(type, tag)
%typemap(in, numinputs=0) type **out (type *made = NULL) "$1 = &made;"
%typemap(argout) type **out {
    Py_DECREF($result);
    $result = SWIG_NewPointerObj(made$argnum, $descriptor(struct tag *), SWIG_POINTER_OWN | SWIG_POINTER_NOSHADOW);
}
%enddef
HANDLE_OUT(lossfn_t, lossfn_loss)
HANDLE_OUT(lossfn_options_t, lossfn_options)
HANDLE_OUT(lossfn_accumulator_t, lossfn_accumulator)

/* Text and bytes: the capacity in, what was written and the length needed out. */
%typemap(in) (char *buf, int64_t cap), (void *buf, int64_t cap) {
    $2 = PyLong_AsLongLong($input);
    if ($2 == -1 && PyErr_Occurred()) SWIG_fail;
    if (!($1 = PyMem_Calloc(1, (size_t)($2 < 1 ? 1 : $2)))) {
        PyErr_NoMemory();
        SWIG_fail;
    }
}
%typemap(argout) (char *buf, int64_t cap) {
    if (!($result = append($result, PyUnicode_DecodeUTF8($1, (Py_ssize_t)strlen($1), "replace")))) SWIG_fail;
}
%typemap(argout) (void *buf, int64_t cap) {
    if (!($result = append($result, PyBytes_FromStringAndSize($1, (Py_ssize_t)$2)))) SWIG_fail;
}
%typemap(freearg) (char *buf, int64_t cap), (void *buf, int64_t cap) "PyMem_Free($1);"
%typemap(in, numinputs=0) int64_t *length (int64_t length = 0) "$1 = &length;"
%typemap(argout) int64_t *length "if (!($result = append($result, PyLong_FromLongLong(length$argnum)))) SWIG_fail;"
%typemap(in) (const void *buf, int64_t length) (Py_buffer view = {0}) {
    if (PyObject_GetBuffer($input, &view, PyBUF_SIMPLE) < 0) SWIG_fail;
    $1 = view.buf;
    $2 = view.len;
}
%typemap(freearg) (const void *buf, int64_t length) "if (view$argnum.obj) PyBuffer_Release(&view$argnum);"

/* Numbers out. */
%typemap(in, numinputs=0) double *out (double number = 0), double *value (double number = 0), double *sum (double number = 0),
                          double *denominator (double number = 0) "$1 = &number;"
%typemap(argout) double *out, double *value, double *sum, double *denominator
    "if (!($result = append($result, PyFloat_FromDouble(number$argnum)))) SWIG_fail;"
%typemap(in, numinputs=0) uint32_t *notes "$1 = NULL;"

/* A list parameter. */
%typemap(in) (const double *values, int64_t n) {
    PyObject *items = PySequence_Fast($input, "a list of numbers is expected");
    if (!items) SWIG_fail;
    $2 = PySequence_Size(items);
    $1 = PyMem_Malloc(((size_t)$2 + 1) * sizeof *$1);
    for (Py_ssize_t i = 0; $1 && i < $2; i++) {
        PyObject *item = PySequence_GetItem(items, i);
        $1[i] = item ? PyFloat_AsDouble(item) : 0;
        Py_XDECREF(item);
    }
    Py_DECREF(items);
    if (PyErr_Occurred()) SWIG_fail;
}
%typemap(freearg) (const double *values, int64_t n) "PyMem_Free($1);"

%include "lossfn.i"

PyObject *install(PyObject *objects);
PyObject *numbers_of(const lossfn_t *loss, int what, PyObject *data, long long cols);
PyObject *best_constant(PyObject *arguments);
const char *library_path(void);
lossfn_status_t register_function(const char *name, PyObject *definition);
lossfn_status_t create_function(lossfn_t **out, PyObject *definition, const lossfn_options_t *options);
