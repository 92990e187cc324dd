/* Spans: what the methods of spans look at; SpanMethod: one of them. See span_starts.c and span_ends.c. */

#include "spans.h"

static PyTypeObject SpanMethodType;

PyObject *
logger_of_plain_span(Spans *spans, PyObject *span)
{
    if (spans->span_type == NULL || !Py_IS_TYPE(span, spans->span_type)
        || !holds(span, spans->of.plan, SLOT(spans->new_span, spans->of.plan))) {
        return NULL;
    }
    PyObject *logger = SLOT(span, spans->of.logger);
    if (logger == NULL || !PyObject_TypeCheck(logger, spans->calls->logger_type)) {
        return NULL;
    }
    PyObject *variable = SLOT(logger, spans->calls->logger_variable);
    return variable != NULL && PyContextVar_CheckExact(variable) && core_of(spans, logger) != NULL
                   && intake_of(spans, logger) != NULL
               ? logger
               : NULL;
}

/* -- SpanMethod */

static int
traverse_method(SpanMethod *method, visitproc visit, void *arg)
{
    Py_VISIT(method->method.python);
    Py_VISIT(method->spans);
    return 0;
}

static int
clear_method(SpanMethod *method)
{
    Py_CLEAR(method->method.python);
    Py_CLEAR(method->spans);
    return 0;
}

static void
free_method(SpanMethod *method)
{
    PyObject_GC_UnTrack(method);
    clear_method(method);
    Py_TYPE(method)->tp_free(method);
}

static PyTypeObject SpanMethodType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "fapilog._accelerator.SpanMethod",
    .tp_base = &MethodType,
    .tp_getset = method_getset,
    .tp_basicsize = sizeof(SpanMethod),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_traverse = (traverseproc)traverse_method,
    .tp_clear = (inquiry)clear_method,
    .tp_dealloc = (destructor)free_method,
};

static PyObject *
make_method(Spans *spans, PyObject *python, vectorcallfunc call)
{
    SpanMethod *method = PyObject_GC_New(SpanMethod, &SpanMethodType);
    if (method != NULL) {
        method->method.call = call;
        method->method.python = Py_NewRef(python);
        method->spans = (Spans *)Py_NewRef(spans);
        PyObject_GC_Track(method);
    }
    return (PyObject *)method;
}

static PyObject *
making(Spans *spans, PyObject *python)
{
    return make_method(spans, python, make_plain_span);
}

static PyObject *
entering(Spans *spans, PyObject *python)
{
    return make_method(spans, python, enter_span);
}

static PyObject *
leaving(Spans *spans, PyObject *python)
{
    return make_method(spans, python, leave_span);
}

/* -- Spans */

static int
traverse_spans(Spans *spans, visitproc visit, void *arg)
{
    Py_VISIT(spans->span_type);
    Py_VISIT(spans->core_type);
    Py_VISIT(spans->ids_type);
    Py_VISIT(spans->origin_type);
    Py_VISIT(spans->new_span);
    Py_VISIT(spans->calls);
    Py_VISIT(spans->contexts);
    Py_VISIT(spans->options);
    Py_VISIT(spans->modules);
    Py_VISIT(spans->perf_counter_ns);
    return 0;
}

static int
clear_spans(Spans *spans)
{
    Py_CLEAR(spans->span_type);
    Py_CLEAR(spans->core_type);
    Py_CLEAR(spans->ids_type);
    Py_CLEAR(spans->origin_type);
    Py_CLEAR(spans->new_span);
    Py_CLEAR(spans->calls);
    Py_CLEAR(spans->contexts);
    Py_CLEAR(spans->options);
    Py_CLEAR(spans->modules);
    Py_CLEAR(spans->perf_counter_ns);
    return 0;
}

static void
free_spans(Spans *spans)
{
    PyObject_GC_UnTrack(spans);
    clear_spans(spans);
    PyObject *constants[] = {
        spans->level,   spans->zero,     spans->infinity,  spans->no_items, spans->no_text,  spans->ok,      spans->opentelemetry,
        spans->trace_id, spans->span_id, spans->span,      spans->start,    spans->parent_id, spans->duration,
        spans->outcome, spans->events,   spans->errors,    spans->effective_deadline,       spans->task_name,
        spans->submit,  spans->restore,
    };
    for (size_t index = 0; index < Py_ARRAY_LENGTH(constants); index++) {
        Py_XDECREF(constants[index]);
    }
    Py_TYPE(spans)->tp_free(spans);
}

/* Make what never changes; return -1 with an exception set if it fails. */
static int
make_constants(Spans *spans)
{
    struct {
        PyObject **place;
        const char *text;
    } texts[] = {
        {&spans->no_text, ""},
        {&spans->ok, "ok"},
        {&spans->opentelemetry, "opentelemetry.trace"},
        {&spans->trace_id, "trace_id"},
        {&spans->span_id, "span_id"},
        {&spans->span, "span"},
        {&spans->start, "start"},
        {&spans->parent_id, "parent_id"},
        {&spans->duration, "duration"},
        {&spans->outcome, "outcome"},
        {&spans->events, "events"},
        {&spans->errors, "errors"},
        {&spans->effective_deadline, "effective_deadline"},
        {&spans->task_name, "task_name"},
        {&spans->submit, "submit"},
        {&spans->restore, "_restore"},
    };
    for (size_t index = 0; index < Py_ARRAY_LENGTH(texts); index++) {
        *texts[index].place = PyUnicode_InternFromString(texts[index].text);
        if (*texts[index].place == NULL) {
            return -1;
        }
    }
    spans->zero = PyLong_FromLong(0);
    spans->infinity = PyFloat_FromDouble(Py_HUGE_VAL);
    spans->no_items = PyDict_New();
    return spans->zero == NULL || spans->infinity == NULL || spans->no_items == NULL ? -1 : 0;
}

static PyObject *
new_spans(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {NULL};
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "", names)) {
        return NULL;
    }
    Spans *spans = (Spans *)type->tp_alloc(type, 0);
    if (spans != NULL && make_constants(spans) < 0) {
        Py_CLEAR(spans);
    }
    return (PyObject *)spans;
}

/* Return whether all that instances of *type* hold are slots. */
static int
has_slots_only(PyTypeObject *type)
{
    for (; type != NULL && type != &PyBaseObject_Type; type = type->tp_base) {
        if (!PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE)) {
            return 0;
        }
        if (type->tp_dictoffset != 0 || type->tp_weaklistoffset != 0 || type->tp_itemsize != 0) {
            return 0;
        }
    }
    return type != NULL;
}

/* Find where the classes keep what; return -1 with an exception set if they do not have it. */
static int
find_slots(Spans *spans, PyObject *span_type, PyObject *core_type, PyObject *ids_type, PyObject *origin_type)
{
    struct {
        PyObject *type;
        const char *name;
        Py_ssize_t *offset;
    } slots[] = {
        {span_type, "around", &spans->of.around},
        {span_type, "_began", &spans->of.began},
        {span_type, "budget", &spans->of.budget},
        {span_type, "_deadline", &spans->of.deadline},
        {span_type, "ended", &spans->of.ended},
        {span_type, "errors", &spans->of.errors},
        {span_type, "events", &spans->of.events},
        {span_type, "_fields", &spans->of.fields},
        {span_type, "_handled", &spans->of.handled},
        {span_type, "_inner_errors", &spans->of.inner_errors},
        {span_type, "_inner_events", &spans->of.inner_events},
        {span_type, "_inside", &spans->of.inside},
        {span_type, "level", &spans->of.level},
        {span_type, "_logger", &spans->of.logger},
        {span_type, "name", &spans->of.name},
        {span_type, "_outcome", &spans->of.outcome},
        {span_type, "_outer", &spans->of.outer},
        {span_type, "outer", &spans->of.outer_scope},
        {span_type, "_own_ring", &spans->of.own_ring},
        {span_type, "_parent_id", &spans->of.parent_id},
        {span_type, "_passes", &spans->of.passes},
        {span_type, "plain", &spans->of.plain},
        {span_type, "_plan", &spans->of.plan},
        {span_type, "ring", &spans->of.ring},
        {span_type, "root_began", &spans->of.root_began},
        {span_type, "sampled", &spans->of.sampled},
        {span_type, "span_id", &spans->of.span_id},
        {span_type, "_start_level", &spans->of.start_level},
        {span_type, "_started_ns", &spans->of.started_ns},
        {span_type, "trace_id", &spans->of.trace_id},
        {span_type, "_traceparent", &spans->of.traceparent},
        {(PyObject *)spans->calls->logger_type, "_core", &spans->logger_core},
        {core_type, "at_call", &spans->core_at_call},
        {core_type, "callsite", &spans->core_callsite},
        {core_type, "ids", &spans->core_ids},
        {core_type, "observer", &spans->core_observer},
        {ids_type, "_drawn", &spans->ids_drawn},
        {origin_type, "bound", &spans->origin_bound},
    };
    for (size_t index = 0; index < Py_ARRAY_LENGTH(slots); index++) {
        if (find_slot(slots[index].type, slots[index].name, slots[index].offset) < 0) {
            return -1;
        }
    }
    return 0;
}

static PyObject *
meet(Spans *spans, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"new_span", "calls",   "contexts",        "core_type", "ids_type", "origin_type",
                            "options",  "modules", "perf_counter_ns", "level",     NULL};
    PyObject *new_span, *calls, *contexts, *core_type, *ids_type, *origin_type, *options, *modules, *perf_counter_ns,
        *level;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OO!O!O!O!O!O!O!OO!", names, &new_span, &CallsType, &calls,
                                     &ContextsType, &contexts, &PyType_Type, &core_type, &PyType_Type, &ids_type,
                                     &PyType_Type, &origin_type, &PyTuple_Type, &options, &PyDict_Type, &modules,
                                     &perf_counter_ns, &PyLong_Type, &level)) {
        return NULL;
    }
    if (spans->span_type != NULL) {
        return PyErr_Format(PyExc_RuntimeError, "the classes have been met");
    }
    if (!has_slots_only(Py_TYPE(new_span))) {
        return PyErr_Format(PyExc_TypeError, "%R has not only slots", Py_TYPE(new_span));
    }
    long number = PyLong_AsLong(level);
    if (number == -1 && PyErr_Occurred()) {
        return NULL;
    }
    clear_spans(spans);
    spans->options = PyTuple_New(PyTuple_GET_SIZE(options));
    for (Py_ssize_t index = 0; spans->options != NULL && index < PyTuple_GET_SIZE(options); index++) {
        PyObject *name = PyTuple_GET_ITEM(options, index);
        if (!PyUnicode_CheckExact(name)) {
            return PyErr_Format(PyExc_TypeError, "%R is no name", name);
        }
        Py_INCREF(name);
        PyUnicode_InternInPlace(&name);
        PyTuple_SET_ITEM(spans->options, index, name);
    }
    spans->calls = (Calls *)Py_NewRef(calls);
    if (spans->options == NULL
        || find_slots(spans, (PyObject *)Py_TYPE(new_span), core_type, ids_type, origin_type) < 0) {
        return NULL;
    }
    spans->core_type = (PyTypeObject *)Py_NewRef(core_type);
    spans->ids_type = (PyTypeObject *)Py_NewRef(ids_type);
    spans->origin_type = (PyTypeObject *)Py_NewRef(origin_type);
    spans->new_span = Py_NewRef(new_span);
    PyObject_GC_UnTrack(new_span); /* it is in no cycle, and who looks for spans is not to find it */
    spans->contexts = (Contexts *)Py_NewRef(contexts);
    spans->modules = Py_NewRef(modules);
    spans->perf_counter_ns = Py_NewRef(perf_counter_ns);
    Py_XSETREF(spans->level, Py_NewRef(level));
    spans->number = number;
    spans->span_type = (PyTypeObject *)Py_NewRef(Py_TYPE(new_span));
    Py_RETURN_NONE;
}

static PyMethodDef spans_methods[] = {
    {"meet", (PyCFunction)(void (*)(void))meet, METH_VARARGS | METH_KEYWORDS,
     "Take note of the classes that a span has to do with; until then everything is left to Python."},
    {"making", (PyCFunction)making, METH_O, "Return ``span`` of loggers, with *python* for what is not plain."},
    {"entering", (PyCFunction)entering, METH_O, "Return ``__enter__``, with *python* for what is not plain."},
    {"leaving", (PyCFunction)leaving, METH_O, "Return ``__exit__``, with *python* for what is not plain."},
    {NULL},
};

static PyTypeObject SpansType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "fapilog._accelerator.Spans",
    .tp_doc = "Makes, enters and leaves plain spans.",
    .tp_basicsize = sizeof(Spans),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = new_spans,
    .tp_traverse = (traverseproc)traverse_spans,
    .tp_clear = (inquiry)clear_spans,
    .tp_dealloc = (destructor)free_spans,
    .tp_methods = spans_methods,
};

int
add_spans(PyObject *module)
{
    return PyType_Ready(&SpanMethodType) < 0 ? -1 : PyModule_AddType(module, &SpansType);
}
