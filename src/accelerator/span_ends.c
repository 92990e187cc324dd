/* ``__exit__`` of a plain span: its own event, and the context given back; as in spans.py. */

#include "spans.h"

/* Return whether the end is one that is told here: nothing raised, nothing said of it, and an event that has no extras
   and that nobody looks at in the call. */
static int
ends_plainly(Spans *spans, PyObject *span, PyObject *core)
{
    PyObject *outcome = SLOT(span, spans->of.outcome);
    PyObject *inside = SLOT(span, spans->of.inside);
    PyObject *around = SLOT(span, spans->of.around);
    PyObject *fields = SLOT(span, spans->of.fields);
    PyObject *name = SLOT(span, spans->of.name);
    return holds(span, spans->of.ended, Py_False) && holds(span, spans->of.plain, Py_True)
           && holds(span, spans->of.passes, Py_True) && holds(span, spans->of.own_ring, Py_None)
           && holds(span, spans->of.handled, Py_None) && outcome != NULL && PyUnicode_CheckExact(outcome)
           && PyUnicode_GET_LENGTH(outcome) == 0 && inside != NULL && Py_IS_TYPE(inside, spans->contexts->ambient_type)
           && around != NULL && (around == Py_None || PyObject_TypeCheck(around, spans->span_type)) && fields != NULL
           && PyDict_CheckExact(fields) && name != NULL && holds(core, spans->core_at_call, Py_None)
           && holds(core, spans->core_callsite, Py_False) && holds(core, spans->core_observer, Py_None);
}

/* Return whether the span's own entry in the context would hide a bound field; -1 with an exception set. */
static int
binds_span(Spans *spans, PyObject *origin)
{
    PyObject *bound = Py_IS_TYPE(origin, spans->origin_type) ? SLOT(origin, spans->origin_bound) : NULL;
    if (bound == NULL || !PyDict_Check(bound)) {
        return 1;
    }
    return PyDict_GET_SIZE(bound) == 0 ? 0 : PyDict_Contains(bound, spans->span);
}

/* Set a member to a number that is not 0. */
static int
tell_number(PyObject *told, PyObject *name, Py_ssize_t number)
{
    PyObject *value = number == 0 ? NULL : PyLong_FromSsize_t(number);
    if (value == NULL) {
        return number == 0 ? 0 : -1;
    }
    int outcome = PyDict_SetItem(told, name, value);
    Py_DECREF(value);
    return outcome;
}

/* Return what a span has counted itself and from those inside. */
static Py_ssize_t
sum(PyObject *span, Py_ssize_t own, Py_ssize_t inner)
{
    return integer(SLOT(span, own), 0) + integer(SLOT(span, inner), 0);
}

/* Return the text of a time, NULL without an exception if that is for Python. */
static PyObject *
time_text(Spans *spans, PyObject *time_ns)
{
    int overflow = 1;
    long long nanoseconds =
        time_ns == NULL || !PyLong_CheckExact(time_ns) ? 0 : PyLong_AsLongLongAndOverflow(time_ns, &overflow);
    const char *text = overflow != 0 ? NULL : show_time(&spans->timestamp, nanoseconds);
    return text == NULL ? NULL : PyUnicode_FromStringAndSize(text, TIMESTAMP_SIZE);
}

/* Return the seconds since *began*, in whole microseconds. NULL without an exception if that is for Python. */
static PyObject *
duration(Spans *spans, PyObject *began)
{
    if (began == NULL || !PyLong_CheckExact(began)) {
        return NULL;
    }
    PyObject *now = PyObject_CallNoArgs(spans->perf_counter_ns);
    PyObject *elapsed = now == NULL ? NULL : PyNumber_Subtract(now, began);
    Py_XDECREF(now);
    if (elapsed == NULL) {
        return NULL;
    }
    Py_ssize_t nanoseconds = integer(elapsed, -1);
    Py_DECREF(elapsed);
    return nanoseconds < 0 ? NULL : PyFloat_FromDouble((double)(nanoseconds / 1000) / 1e6);
}

/* Return what the event of a span that ends now tells of it. NULL without an exception if that is for Python. */
static PyObject *
what_is_told(Spans *spans, PyObject *span)
{
    PyObject *parent_id = SLOT(span, spans->of.parent_id);
    if (parent_id == NULL || !PyUnicode_CheckExact(parent_id)) {
        return NULL;
    }
    PyObject *start = time_text(spans, SLOT(span, spans->of.started_ns));
    PyObject *seconds = start == NULL ? NULL : duration(spans, SLOT(span, spans->of.began));
    PyObject *told = seconds == NULL ? NULL : new_mapping(spans->contexts, spans->no_items);
    if (told != NULL
        && (PyDict_SetItem(told, spans->start, start) < 0
            || (PyUnicode_GET_LENGTH(parent_id) > 0 && PyDict_SetItem(told, spans->parent_id, parent_id) < 0)
            || PyDict_SetItem(told, spans->duration, seconds) < 0
            || PyDict_SetItem(told, spans->outcome, spans->ok) < 0
            || tell_number(told, spans->events, sum(span, spans->of.events, spans->of.inner_events)) < 0
            || tell_number(told, spans->errors, sum(span, spans->of.errors, spans->of.inner_errors)) < 0)) {
        Py_CLEAR(told);
    }
    Py_XDECREF(start);
    Py_XDECREF(seconds);
    return told;
}

/* Return the context that the event alone has: that of the span, and what is *told*. */
static PyObject *
context_of_event(Spans *spans, PyObject *inside, PyObject *told)
{
    Contexts *contexts = spans->contexts;
    PyObject *values = SLOT(inside, contexts->ambient_values);
    PyObject *correlation_id = SLOT(inside, contexts->ambient_correlation_id);
    if (values == NULL || !PyDict_Check(values) || correlation_id == NULL) {
        return NULL;
    }
    PyObject *mapping = new_mapping(contexts, values);
    if (mapping != NULL && PyDict_SetItem(mapping, spans->span, told) < 0) {
        Py_CLEAR(mapping);
    }
    return new_ambient(contexts, mapping, correlation_id, Py_None);
}

/* Return the span's event. NULL without an exception if that is for Python. */
static PyObject *
record_of(Spans *spans, PyObject *span, PyObject *core, PyObject *intake, PyObject *origin)
{
    PyObject *told = what_is_told(spans, span);
    PyObject *ambient = told == NULL ? NULL : context_of_event(spans, SLOT(span, spans->of.inside), told);
    Py_XDECREF(told);
    if (ambient == NULL) {
        return NULL;
    }
    PyObject *now = time_ns();
    /* The event has the fields from now on, and what is set after the end is set in vain. */
    PyObject *fields = now == NULL ? NULL : PyDict_New();
    PyObject *task = NULL;
    if (fields != NULL) {
        task = is_this_thread(SLOT(intake, spans->calls->intake_thread))
                   ? task_name(spans->calls, intake)
                   : PyObject_CallMethodNoArgs(core, spans->task_name);
    }
    PyObject *record = task == NULL ? NULL : PyTuple_New(RECORD_SIZE);
    if (record == NULL || SLOT(span, spans->of.fields) == NULL || SLOT(span, spans->of.name) == NULL) {
        Py_XDECREF(record);
        Py_DECREF(ambient);
        Py_XDECREF(now);
        Py_XDECREF(fields);
        Py_XDECREF(task);
        return NULL;
    }
    PyTuple_SET_ITEM(record, TIME_NS, now);
    PyTuple_SET_ITEM(record, LEVEL, Py_NewRef(spans->level));
    PyTuple_SET_ITEM(record, MESSAGE, Py_NewRef(SLOT(span, spans->of.name)));
    PyTuple_SET_ITEM(record, FIELDS, SLOT(span, spans->of.fields));
    SLOT(span, spans->of.fields) = fields;
    PyTuple_SET_ITEM(record, ORIGIN, Py_NewRef(origin));
    PyTuple_SET_ITEM(record, AMBIENT, ambient);
    PyTuple_SET_ITEM(record, TASK, task);
    PyTuple_SET_ITEM(record, EXTRAS, Py_NewRef(Py_None));
    return record;
}

/* Submit the event as ``Core.submit`` does; return -1 with an exception set if it raises. */
static int
submit(Spans *spans, PyObject *core, PyObject *intake, PyObject *record)
{
    Calls *calls = spans->calls;
    if (is_this_thread(SLOT(intake, calls->intake_thread))) {
        /* Looked up only now: building the record may have run code that logs. */
        int entered = enter_chunk(calls, intake, record);
        if (entered != 0) {
            return entered;
        }
    }
    PyObject *accepted = PyObject_CallMethodOneArg(core, spans->submit, record);
    Py_XDECREF(accepted);
    return accepted == NULL ? -1 : 0;
}

/* Add to what a span has counted; return -1 with an exception set if that fails. */
static int
count(PyObject *span, Py_ssize_t offset, Py_ssize_t more)
{
    PyObject *number = more == 0 ? NULL : PyLong_FromSsize_t(integer(SLOT(span, offset), 0) + more);
    if (number != NULL) {
        put_in_slot(span, offset, number);
    }
    return more != 0 && number == NULL ? -1 : 0;
}

/* Let the span around count what was inside, and the span's own event. */
static int
tell_parent(Spans *spans, PyObject *span)
{
    PyObject *parent = SLOT(span, spans->of.around);
    if (parent == Py_None || !holds(parent, spans->of.ended, Py_False)) {
        return 0;
    }
    Py_ssize_t events = sum(span, spans->of.events, spans->of.inner_events) + 1;
    Py_ssize_t errors = sum(span, spans->of.errors, spans->of.inner_errors);
    return count(parent, spans->of.inner_events, events) < 0 || count(parent, spans->of.inner_errors, errors) < 0 ? -1
                                                                                                                  : 0;
}

/* Give the context back what was around the span. */
static int
restore(Spans *spans, PyObject *span, PyObject *variable)
{
    PyObject *outer = SLOT(span, spans->of.outer), *scope = SLOT(outer, spans->contexts->ambient_scope);
    PyObject *done;
    if (scope == Py_None
        || (scope != NULL && PyObject_TypeCheck(scope, spans->span_type) && holds(scope, spans->of.ended, Py_False))) {
        done = PyContextVar_Set(variable, outer);
    }
    else {
        done = PyObject_CallMethodOneArg(span, spans->restore, outer);
    }
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* Do what follows the event. Nothing before the last steps runs any code. */
static int
end_span(Spans *spans, PyObject *span, PyObject *variable)
{
    put_in_slot(span, spans->of.ended, Py_NewRef(Py_True));
    put_in_slot(span, spans->of.plain, Py_NewRef(Py_False));
    if (tell_parent(spans, span) < 0 || restore(spans, span, variable) < 0) {
        return -1;
    }
    /* It refers to the span; what refers to each other would be left to the garbage collector. */
    put_in_slot(span, spans->of.inside, Py_NewRef(Py_None));
    return 0;
}

/* Leave a plain span; return 0 if it is left to Python, -1 with an exception set if it fails. */
static int
try_to_leave(Spans *spans, PyObject *span, PyObject *logger)
{
    Calls *calls = spans->calls;
    PyObject *core = core_of(spans, logger), *intake = intake_of(spans, logger);
    PyObject *variable = SLOT(logger, calls->logger_variable), *origin = SLOT(logger, calls->logger_origin);
    PyObject *threshold = SLOT(logger, calls->logger_threshold), *outer = SLOT(span, spans->of.outer);
    if (outer == NULL || !Py_IS_TYPE(outer, calls->ambient_type) || origin == NULL || threshold == NULL
        || !Py_IS_TYPE(threshold, calls->threshold_type) || !ends_plainly(spans, span, core)) {
        return 0;
    }
    int hides = binds_span(spans, origin);
    if (hides != 0) {
        return hides < 0 ? -1 : 0;
    }
    PyObject *current;
    if (PyContextVar_Get(variable, NULL, &current) < 0) {
        return -1;
    }
    Py_XDECREF(current); /* the span holds it, if it is the one that counts */
    if (current != SLOT(span, spans->of.inside)) {
        return 0;
    }
    int outcome = 0;
    /* What is called from here on may run anything, finalizers among it. */
    Py_INCREF(core);
    Py_INCREF(intake);
    Py_INCREF(variable);
    Py_INCREF(origin);
    if (integer(SLOT(threshold, calls->threshold_own), 0) <= spans->number) {
        PyObject *record = record_of(spans, span, core, intake, origin);
        if (record == NULL) {
            outcome = PyErr_Occurred() ? -1 : 0;
            goto done;
        }
        outcome = submit(spans, core, intake, record);
        Py_DECREF(record);
        if (outcome < 0) {
            goto done;
        }
    }
    outcome = end_span(spans, span, variable) < 0 ? -1 : 1;
done:
    Py_DECREF(core);
    Py_DECREF(intake);
    Py_DECREF(variable);
    Py_DECREF(origin);
    return outcome;
}

PyObject *
leave_span(PyObject *method, PyObject *const *arguments, size_t flags, PyObject *names)
{
    Spans *spans = ((SpanMethod *)method)->spans;
    PyObject *logger = NULL;
    if (PyVectorcall_NARGS(flags) == 4 && names == NULL && arguments[2] == Py_None) {
        logger = logger_of_plain_span(spans, arguments[0]);
    }
    int left = 0;
    if (logger != NULL) {
        Py_INCREF(logger);
        left = try_to_leave(spans, arguments[0], logger);
        Py_DECREF(logger);
    }
    if (left != 0) {
        return left < 0 ? NULL : Py_NewRef(Py_None);
    }
    return PyObject_Vectorcall(((Method *)method)->python, arguments, flags, names);
}
