/* Ambient contexts, for blocks of ``log.context(...)`` and for spans. */

#ifndef FAPILOG_CONTEXTS_H
#define FAPILOG_CONTEXTS_H

#include "accelerator.h"

/* What all contexts are made of, and where they keep it. */
typedef struct {
    PyObject_HEAD
    PyTypeObject *ambient_type;
    PyTypeObject *mapping_type;
    PyObject *inside_plugin;
    PyObject *extended;
    PyObject *correlation_id;
    PyObject *nothing;
    Py_ssize_t ambient_values, ambient_correlation_id, ambient_scope, ambient_cache;
} Contexts;

extern PyTypeObject ContextsType;

/* Return a new mapping of the frozen class with the items of the dict *values*. */
PyObject *new_mapping(Contexts *contexts, PyObject *values);

/* Return an ambient context. Takes the reference to *values*; NULL for them, with an exception set, is passed on. */
PyObject *new_ambient(Contexts *contexts, PyObject *values, PyObject *correlation_id, PyObject *scope);

#endif
