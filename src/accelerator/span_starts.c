/* ``span`` of loggers and ``__enter__`` of a plain span; as in logger.py and spans.py.

   A span is plain that does no more than tell of itself: without a plan, an event at its start, a caller's header or
   OpenTelemetry. Whatever is not plain is left to Python before anything is changed. */

#include "spans.h"

enum { SPAN_DIGITS = 16, ALL_DIGITS = 48 };

/* -- making */

static int
has_option(Spans *spans, PyObject *names)
{
    for (Py_ssize_t index = 0; names != NULL && index < PyTuple_GET_SIZE(names); index++) {
        for (Py_ssize_t option = 0; option < PyTuple_GET_SIZE(spans->options); option++) {
            /* The names of a plain call are interned. */
            if (PyTuple_GET_ITEM(names, index) == PyTuple_GET_ITEM(spans->options, option)) {
                return 1;
            }
        }
    }
    return 0;
}

/* Return a span as ``Span.__init__`` makes it: like the one that was made there, but for three slots. */
static PyObject *
make_span(Spans *spans, PyObject *logger, PyObject *name, PyObject *fields)
{
    PyObject *span = spans->span_type->tp_alloc(spans->span_type, 0);
    if (span == NULL) {
        return NULL;
    }
    for (Py_ssize_t offset = sizeof(PyObject); offset < spans->span_type->tp_basicsize; offset += sizeof(PyObject *)) {
        SLOT(span, offset) = Py_XNewRef(SLOT(spans->new_span, offset));
    }
    put_in_slot(span, spans->of.logger, Py_NewRef(logger));
    put_in_slot(span, spans->of.name, Py_NewRef(name));
    put_in_slot(span, spans->of.fields, Py_NewRef(fields));
    return span;
}

PyObject *
make_plain_span(PyObject *method, PyObject *const *arguments, size_t flags, PyObject *names)
{
    Spans *spans = ((SpanMethod *)method)->spans;
    if (spans->span_type == NULL || PyVectorcall_NARGS(flags) != 2
        || !PyObject_TypeCheck(arguments[0], spans->calls->logger_type) || !PyUnicode_CheckExact(arguments[1])
        || !are_plain(spans->calls, arguments[1], arguments + 2, names) || has_option(spans, names)) {
        return PyObject_Vectorcall(((Method *)method)->python, arguments, flags, names);
    }
    PyObject *fields = fields_of(arguments + 2, names, NULL);
    if (fields == NULL) {
        return NULL;
    }
    PyObject *span = make_span(spans, arguments[0], arguments[1], fields);
    Py_DECREF(fields);
    return span;
}

/* -- entering */

/* What a span is given on entering. */
typedef struct {
    PyObject *outer;
    PyObject *deadline;
    PyObject *trace_id;
    PyObject *span_id;
    PyObject *parent_id;
    PyObject *started_ns;
    PyObject *began;
    PyObject *inside;
    /* Borrowed: the scope around, which *outer* holds, and the innermost span there; None if there is none. */
    PyObject *scope;
    PyObject *around;
} Entry;

static void
clear_entry(Entry *entry)
{
    Py_CLEAR(entry->outer);
    Py_CLEAR(entry->deadline);
    Py_CLEAR(entry->trace_id);
    Py_CLEAR(entry->span_id);
    Py_CLEAR(entry->parent_id);
    Py_CLEAR(entry->started_ns);
    Py_CLEAR(entry->began);
    Py_CLEAR(entry->inside);
}

/* Return when the code that runs will be cancelled at the latest. Runs code in Python. */
static PyObject *
deadline(Spans *spans, PyObject *intake)
{
    PyObject *backend = SLOT(intake, spans->calls->intake_backend);
    if (backend == NULL || !is_this_thread(SLOT(intake, spans->calls->intake_thread))) {
        return Py_NewRef(spans->infinity);
    }
    Py_INCREF(backend);
    PyObject *function = PyObject_GetAttr(backend, spans->effective_deadline);
    Py_DECREF(backend);
    PyObject *found = function == NULL ? NULL : PyObject_CallNoArgs(function);
    Py_XDECREF(function);
    if (found == NULL && function != NULL && PyErr_ExceptionMatches(PyExc_RuntimeError)) {
        PyErr_Clear(); /* a signal handler or a finalizer, between two tasks */
        return Py_NewRef(spans->infinity);
    }
    return found;
}

/* Find the scope around and the innermost span there; return whether they are of the classes that are known. */
static int
find_around(Spans *spans, Entry *entry)
{
    Contexts *contexts = spans->contexts;
    if (!Py_IS_TYPE(entry->outer, contexts->ambient_type) || entry->outer == contexts->inside_plugin) {
        return 0;
    }
    PyObject *scope = SLOT(entry->outer, contexts->ambient_scope);
    if (scope == NULL) {
        return 0;
    }
    entry->scope = scope;
    entry->around = scope;
    if (scope != Py_None && !PyObject_TypeCheck(scope, spans->span_type)) {
        if (!Py_IS_TYPE(scope, spans->calls->scope_type)) {
            return 0;
        }
        entry->around = SLOT(scope, spans->of.around);
    }
    return entry->around == Py_None
           || (entry->around != NULL && PyObject_TypeCheck(entry->around, spans->span_type));
}

/* Return whether *value*, an id in a context, is one: a text that is not empty. */
static int
is_id(PyObject *value)
{
    return PyUnicode_CheckExact(value) && PyUnicode_GET_LENGTH(value) > 0;
}

/* Take the next of the ids that were drawn; return 0 if none is left, -1 with an exception set if it fails. */
static int
take_digits(Spans *spans, PyObject *core, PyObject **digits)
{
    PyObject *ids = SLOT(core, spans->core_ids);
    PyObject *drawn = ids == NULL || !Py_IS_TYPE(ids, spans->ids_type) ? NULL : SLOT(ids, spans->ids_drawn);
    if (drawn == NULL || !PyList_CheckExact(drawn) || PyList_GET_SIZE(drawn) == 0) {
        return 0;
    }
    Py_ssize_t last = PyList_GET_SIZE(drawn) - 1;
    PyObject *found = PyList_GET_ITEM(drawn, last);
    if (!PyUnicode_CheckExact(found) || PyUnicode_GET_LENGTH(found) != ALL_DIGITS) {
        return 0;
    }
    Py_INCREF(found);
    if (PyList_SetSlice(drawn, last, last + 1, NULL) < 0) {
        Py_DECREF(found);
        return -1;
    }
    *digits = found;
    return 1;
}

/* Join the span around, or begin a trace; return 0 if that is for Python, -1 with an exception set if it fails. */
static int
find_ids(Spans *spans, PyObject *core, Entry *entry)
{
    PyObject *values = SLOT(entry->outer, spans->contexts->ambient_values);
    if (values == NULL || !Py_IS_TYPE(values, spans->contexts->mapping_type)) {
        return 0;
    }
    PyObject *trace_id = PyDict_GetItemWithError(values, spans->trace_id);
    PyObject *parent_id = trace_id == NULL && PyErr_Occurred() ? NULL : PyDict_GetItemWithError(values, spans->span_id);
    if (parent_id == NULL && PyErr_Occurred()) {
        return -1;
    }
    if ((trace_id != NULL && !is_id(trace_id)) || (parent_id != NULL && !is_id(parent_id))) {
        return 0;
    }
    entry->trace_id = Py_XNewRef(trace_id);
    entry->parent_id = Py_NewRef(parent_id == NULL ? spans->no_text : parent_id);
    PyObject *digits;
    int taken = take_digits(spans, core, &digits);
    if (taken <= 0) {
        return taken;
    }
    entry->span_id = PyUnicode_Substring(digits, 0, SPAN_DIGITS);
    if (entry->trace_id == NULL) {
        entry->trace_id = PyUnicode_Substring(digits, SPAN_DIGITS, ALL_DIGITS);
    }
    Py_DECREF(digits);
    return entry->span_id == NULL || entry->trace_id == NULL ? -1 : 1;
}

/* Make the context inside; return -1 with an exception set if it fails. */
static int
make_inside(Spans *spans, PyObject *span, Entry *entry)
{
    Contexts *contexts = spans->contexts;
    PyObject *values = new_mapping(contexts, SLOT(entry->outer, contexts->ambient_values));
    if (values != NULL
        && (PyDict_SetItem(values, spans->trace_id, entry->trace_id) < 0
            || PyDict_SetItem(values, spans->span_id, entry->span_id) < 0)) {
        Py_CLEAR(values);
    }
    entry->inside =
        new_ambient(contexts, values, SLOT(entry->outer, contexts->ambient_correlation_id), span);
    return entry->inside == NULL ? -1 : 0;
}

/* Put the *entry* into the span, as ``Scope.__init__`` and what follows it do. Nothing here runs any code. */
static void
begin_span(Spans *spans, PyObject *span, Entry *entry)
{
    PyObject *scope = entry->scope, *around = entry->around;
    int plain = 1;
    const Py_ssize_t subject_to[] = {spans->of.level, spans->of.ring, spans->of.budget};
    for (size_t index = 0; index < Py_ARRAY_LENGTH(subject_to); index++) {
        PyObject *value = scope == Py_None ? Py_None : SLOT(scope, subject_to[index]);
        plain = plain && value == Py_None;
        put_in_slot(span, subject_to[index], Py_XNewRef(value));
    }
    put_in_slot(span, spans->of.outer, Py_NewRef(entry->outer));
    put_in_slot(span, spans->of.outer_scope, Py_NewRef(scope));
    put_in_slot(span, spans->of.around, Py_NewRef(around));
    put_in_slot(span, spans->of.events, Py_NewRef(spans->zero));
    put_in_slot(span, spans->of.errors, Py_NewRef(spans->zero));
    put_in_slot(span, spans->of.span_id, Py_NewRef(entry->span_id));
    put_in_slot(span, spans->of.trace_id, Py_NewRef(entry->trace_id));
    put_in_slot(span, spans->of.parent_id, Py_NewRef(entry->parent_id));
    put_in_slot(span, spans->of.plain, PyBool_FromLong(plain));
    put_in_slot(span, spans->of.deadline, Py_NewRef(entry->deadline));
    put_in_slot(span, spans->of.started_ns, Py_NewRef(entry->started_ns));
    put_in_slot(span, spans->of.began, Py_NewRef(entry->began));
    PyObject *root_began = around == Py_None ? entry->began : SLOT(around, spans->of.root_began);
    put_in_slot(span, spans->of.root_began, Py_XNewRef(root_began));
    if (around != Py_None) {
        put_in_slot(span, spans->of.sampled, Py_XNewRef(SLOT(around, spans->of.sampled)));
    }
    put_in_slot(span, spans->of.inside, Py_NewRef(entry->inside));
}

/* Enter a plain span; return 0 if it is left to Python, -1 with an exception set if it fails. */
static int
try_to_enter(Spans *spans, PyObject *span, PyObject *logger, Entry *entry)
{
    PyObject *core = core_of(spans, logger), *intake = intake_of(spans, logger);
    PyObject *variable = SLOT(logger, spans->calls->logger_variable);
    if (!holds(span, spans->of.outer, Py_None) || !holds(span, spans->of.start_level, Py_None)
        || !holds(span, spans->of.traceparent, Py_None)) {
        return 0;
    }
    int joins = PyDict_Contains(spans->modules, spans->opentelemetry);
    if (joins != 0) {
        return joins < 0 ? -1 : 0;
    }
    /* First, for what it runs in Python may be interrupted by signal handlers that log. */
    entry->deadline = deadline(spans, intake);
    if (entry->deadline == NULL || PyContextVar_Get(variable, NULL, &entry->outer) < 0) {
        return -1;
    }
    if (entry->outer == NULL || !find_around(spans, entry)) {
        return 0;
    }
    int found = find_ids(spans, core, entry);
    if (found <= 0) {
        return found;
    }
    entry->started_ns = time_ns();
    entry->began = entry->started_ns == NULL ? NULL : PyObject_CallNoArgs(spans->perf_counter_ns);
    if (entry->began == NULL || make_inside(spans, span, entry) < 0) {
        return -1;
    }
    if (!holds(span, spans->of.outer, Py_None)) {
        return 0; /* a finalizer has entered it while memory was asked for */
    }
    begin_span(spans, span, entry);
    PyObject *token = PyContextVar_Set(variable, entry->inside);
    Py_XDECREF(token);
    return token == NULL ? -1 : 1;
}

PyObject *
enter_span(PyObject *method, PyObject *const *arguments, size_t flags, PyObject *names)
{
    Spans *spans = ((SpanMethod *)method)->spans;
    PyObject *logger = PyVectorcall_NARGS(flags) == 1 && names == NULL ? logger_of_plain_span(spans, arguments[0])
                                                                       : NULL;
    int entered = 0;
    if (logger != NULL) {
        Py_INCREF(logger);
        Entry entry = {0};
        entered = try_to_enter(spans, arguments[0], logger, &entry);
        clear_entry(&entry);
        Py_DECREF(logger);
    }
    if (entered != 0) {
        return entered < 0 ? NULL : Py_NewRef(arguments[0]);
    }
    return PyObject_Vectorcall(((Method *)method)->python, arguments, flags, names);
}
