/* What entering a span and leaving it share. */

#ifndef FAPILOG_SPANS_H
#define FAPILOG_SPANS_H

#include "calls.h"
#include "contexts.h"
#include "methods.h"
#include "timestamps.h"

/* What all spans look at. Until it has met the classes, ``span_type`` is NULL and no span is plain. */
typedef struct {
    PyObject_HEAD
    PyTypeObject *span_type;
    PyTypeObject *core_type;
    PyTypeObject *ids_type;
    PyTypeObject *origin_type;
    PyObject *new_span;
    Calls *calls;
    Contexts *contexts;
    PyObject *options;
    PyObject *modules;
    PyObject *perf_counter_ns;
    PyObject *level;
    long number;
    Timestamp timestamp;
    PyObject *zero, *infinity, *no_items, *no_text, *ok, *opentelemetry;
    /* Names of members and methods. */
    PyObject *trace_id, *span_id, *span, *start, *parent_id, *duration, *outcome, *events, *errors, *effective_deadline,
        *task_name, *submit, *restore;
    struct {
        Py_ssize_t around, began, budget, deadline, ended, errors, events, fields, handled, inner_errors, inner_events,
            inside, level, logger, name, outcome, outer, outer_scope, own_ring, parent_id, passes, plain, plan, ring,
            root_began, sampled, span_id, start_level, started_ns, trace_id, traceparent;
    } of;
    Py_ssize_t logger_core, core_at_call, core_callsite, core_ids, core_observer, ids_drawn, origin_bound;
} Spans;

typedef struct {
    Method method;
    Spans *spans;
} SpanMethod;

/* Put *value*, whose reference it takes, into a slot. What was there runs no code when it goes, or is held elsewhere. */
static inline void
put_in_slot(PyObject *object, Py_ssize_t offset, PyObject *value)
{
    Py_XSETREF(SLOT(object, offset), value);
}

/* Return whether a slot holds *value*. */
static inline int
holds(PyObject *object, Py_ssize_t offset, PyObject *value)
{
    return SLOT(object, offset) == value;
}

/* Return the slot of a span's logger for what its container shares, or NULL if it is no such object. */
static inline PyObject *
core_of(Spans *spans, PyObject *logger)
{
    PyObject *core = SLOT(logger, spans->logger_core);
    return core != NULL && Py_IS_TYPE(core, spans->core_type) ? core : NULL;
}

/* Return the intake of a span's logger, or NULL if it is none that is known. */
static inline PyObject *
intake_of(Spans *spans, PyObject *logger)
{
    PyObject *intake = SLOT(logger, spans->calls->logger_intake);
    return intake != NULL && spans->calls->intake_type != NULL && Py_IS_TYPE(intake, spans->calls->intake_type)
               ? intake
               : NULL;
}

/* Return the logger of a span whose form is the usual one, or NULL if it has to be left to Python. */
PyObject *logger_of_plain_span(Spans *spans, PyObject *span);

/* span_starts.c: ``span`` of a logger. */
PyObject *make_plain_span(PyObject *method, PyObject *const *arguments, size_t flags, PyObject *names);

/* span_starts.c: ``__enter__``. */
PyObject *enter_span(PyObject *method, PyObject *const *arguments, size_t flags, PyObject *names);

/* span_ends.c: ``__exit__``. */
PyObject *leave_span(PyObject *method, PyObject *const *arguments, size_t flags, PyObject *names);

#endif
