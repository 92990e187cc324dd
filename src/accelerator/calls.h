/* What a call finds in loggers, thresholds and intakes, for log calls and for spans. */

#ifndef FAPILOG_CALLS_H
#define FAPILOG_CALLS_H

#include "accelerator.h"
#include "known_names.h"

/* What the methods of all faces look at: the classes of what a call meets, and where their instances keep what. */
typedef struct {
    PyObject_HEAD
    PyTypeObject *logger_type;
    PyTypeObject *intake_type;
    PyTypeObject *threshold_type;
    PyTypeObject *ambient_type;
    PyTypeObject *scope_type;
    PyObject *inside_plugin;
    PyObject *own;
    PyObject *passing;
    PyObject *no_name;
    PyObject *get_name;
    PyObject *went_beyond;
    PyObject *task;
    PyObject *name;
    /* The class of Trio's tasks, once one was seen, and where they keep their name; -1 if in no slot. */
    PyTypeObject *task_type;
    Py_ssize_t task_type_name;
    /* Names that are all fields. */
    KnownNames fields[KNOWN_NAMES];
    Py_ssize_t logger_threshold, logger_intake, logger_variable, logger_origin;
    Py_ssize_t threshold_level, threshold_own;
    Py_ssize_t ambient_scope, scope_plain, scope_events;
    Py_ssize_t intake_accepted, intake_backend, intake_chunk, intake_fields_type, intake_limit, intake_loop, intake_quick_thread,
        intake_refuse_await, intake_refuse_nowait, intake_refused, intake_room, intake_run_context, intake_running, intake_thread;
} Calls;

extern PyTypeObject CallsType;

/* Return the integer that a slot holds, or *otherwise* if it holds none. */
static inline Py_ssize_t
integer(PyObject *value, Py_ssize_t otherwise)
{
    if (value == NULL || !PyLong_Check(value)) {
        return otherwise;
    }
    Py_ssize_t number = PyLong_AsSsize_t(value);
    if (number == -1 && PyErr_Occurred()) {
        PyErr_Clear();
        return otherwise;
    }
    return number;
}

/* Return whether a slot holds the number of the thread that runs. */
static inline int
is_this_thread(PyObject *thread)
{
    return thread != NULL && PyLong_Check(thread) && PyThread_get_thread_ident() == PyLong_AsUnsignedLongMask(thread);
}

/* Return whether all keywords are fields, their values pass, and the texts and the *message* are not too long. */
int are_plain(Calls *calls, PyObject *message, PyObject *const *values, PyObject *names);

/* Return the keywords as a *type*, which is dict, a class made from it, or tuple: see ``Record`` in record.py. NULL is
   dict. */
PyObject *fields_of(PyObject *const *values, PyObject *names, PyObject *type);

/* Return the name of the task that runs, "" if none does. On the event loop's thread. */
PyObject *task_name(Calls *calls, PyObject *intake);

/* Append the record to the open chunk and see to what has to follow; return 1, 0 if the intake has to be asked instead,
   or -1 with an exception set. On the event loop's thread, for a record that is no error. */
int enter_chunk(Calls *calls, PyObject *intake, PyObject *record);

/* Return the time in nanoseconds since the Unix epoch. */
PyObject *time_ns(void);

#endif
