/* What the finders share: the text that one is called with, and the list that it returns. */

#ifndef FAPILOG_FINDER_H
#define FAPILOG_FINDER_H

#include "accelerator.h"

typedef struct {
    int kind;
    const void *data;
    Py_ssize_t length;
} Text;

/* Take the one text that a finder is called with; return -1 with an exception if it is called with anything else. */
static inline int
take_text(PyObject *const *arguments, size_t flags, PyObject *names, Text *text)
{
    if (PyVectorcall_NARGS(flags) != 1 || names != NULL || !PyUnicode_Check(arguments[0])) {
        PyErr_SetString(PyExc_TypeError, "it takes one text");
        return -1;
    }
#if PY_VERSION_HEX < 0x030C0000
    if (PyUnicode_READY(arguments[0]) < 0) {
        return -1;
    }
#endif
    *text = (Text){.kind = (int)PyUnicode_KIND(arguments[0]),
                   .data = PyUnicode_DATA(arguments[0]),
                   .length = PyUnicode_GET_LENGTH(arguments[0])};
    return 0;
}

/* The character at *index*; 0 outside the text. */
static inline Py_UCS4
read_at(const Text *text, Py_ssize_t index)
{
    return index >= 0 && index < text->length ? PyUnicode_READ(text->kind, text->data, index) : 0;
}

/* Append what was found to a list; *found* is given away, and NULL if it could not be made. */
static inline int
append_found(PyObject *list, PyObject *found)
{
    int failed = found == NULL || PyList_Append(list, found) < 0;
    Py_XDECREF(found);
    return failed ? -1 : 0;
}

#endif
