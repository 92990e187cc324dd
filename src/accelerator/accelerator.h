/* What the parts of fapilog's accelerator share.

   The package is complete without it: each thing here stands in Python too, behaves the same, and is what a call falls
   back on that is not plain. What decides is in Python; this makes the plain case quick. */

#ifndef FAPILOG_ACCELERATOR_H
#define FAPILOG_ACCELERATOR_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#ifdef Py_GIL_DISABLED
#error "written for a Python with a global interpreter lock; without one the package runs in Python alone"
#endif

/* The value of an instance's slot, borrowed; NULL if it was deleted or never set. */
#define SLOT(object, offset) (*(PyObject **)((char *)(object) + (offset)))

/* What a record is made of, by position; see ``Record`` in record.py. */
enum { TIME_NS, LEVEL, MESSAGE, FIELDS, ORIGIN, AMBIENT, TASK, EXTRAS, RECORD_SIZE };

/* Find where instances of *type* keep the slot *name*; return -1 with an exception if it has no such slot. */
int find_slot(PyObject *type, const char *name, Py_ssize_t *offset);

/* Return how many more frames of Python's the thread has room for. */
long frames_left(void);

int add_calls(PyObject *module);
int add_cards(PyObject *module);
int add_contexts(PyObject *module);
int add_events(PyObject *module);
int add_frames(PyObject *module);
int add_ibans(PyObject *module);
int add_lines(PyObject *module);
int add_methods(PyObject *module);
int add_name_runs(PyObject *module);
int add_pairs(PyObject *module);
int add_redaction(PyObject *module);
int add_spans(PyObject *module);
int add_text_screens(PyObject *module);
int add_unquoting(PyObject *module);
int add_values(PyObject *module);
int add_writes(PyObject *module);

#endif
