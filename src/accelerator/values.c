/* plain_copy: copy a small mapping that needs no freezing, as the function of that name in values.py does. */

#include "values.h"

enum { FEW = 64, SHORT = 256 };

/* Return whether *value* needs no freezing; with *frozen_type* the class of the mappings that are frozen already. */
static int
is_plain(PyObject *value, PyObject *frozen_type)
{
    if (PyUnicode_CheckExact(value)) {
        return PyUnicode_GET_LENGTH(value) <= SHORT;
    }
    if (PyLong_CheckExact(value)) {
        int overflow;
        PyLong_AsLongLongAndOverflow(value, &overflow);
        if (overflow > 0) {
            overflow = PyLong_AsUnsignedLongLong(value) == (unsigned long long)-1 && PyErr_Occurred();
            PyErr_Clear();
        }
        return !overflow;
    }
    return value == Py_None || PyFloat_CheckExact(value) || PyBool_Check(value)
           || (PyObject *)Py_TYPE(value) == frozen_type;
}

int
needs_no_freezing(PyObject *mapping, PyObject *frozen_type)
{
    if (PyDict_GET_SIZE(mapping) > FEW) {
        return 0;
    }
    PyObject *key, *value;
    Py_ssize_t position = 0;
    while (PyDict_Next(mapping, &position, &key, &value)) {
        if (!PyUnicode_CheckExact(key) || PyUnicode_GET_LENGTH(key) > SHORT || !is_plain(value, frozen_type)) {
            return 0;
        }
    }
    return 1;
}

static PyObject *
plain_copy(PyObject *frozen_type, PyObject *mapping)
{
    if (!PyDict_CheckExact(mapping) || PyDict_GET_SIZE(mapping) > FEW) {
        Py_RETURN_NONE;
    }
    /* Making the copy may collect garbage, and so run anything; what is looked at is what it holds then. */
    PyObject *copy = PyDict_Copy(mapping);
    if (copy != NULL && !needs_no_freezing(copy, frozen_type)) {
        Py_DECREF(copy);
        Py_RETURN_NONE;
    }
    return copy;
}

static PyMethodDef plain_copy_method = {
    "plain_copy", plain_copy, METH_O,
    "Return a copy of a small dict whose content needs no freezing, else None; see fapilog.values.plain_copy.",
};

static PyObject *
plain_copy_for(PyObject *Py_UNUSED(module), PyObject *frozen_type)
{
    return PyCFunction_New(&plain_copy_method, frozen_type);
}

static PyMethodDef methods[] = {
    {"plain_copy_for", plain_copy_for, METH_O, "Return ``plain_copy`` for mappings that are frozen as this class."},
    {NULL},
};

int
add_values(PyObject *module)
{
    return PyModule_AddFunctions(module, methods);
}
