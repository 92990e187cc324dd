/* EventMaker: ``events_of`` in event.py. */

#include "accelerator.h"

typedef struct {
    PyObject_HEAD
    PyTypeObject *event_type;
    PyObject *no_sequence;
    Py_ssize_t record, fields, context, sequence, sink_sequence, sealed;
} EventMaker;

/* Return the event of an accepted call, which is not yet numbered or sealed. */
static PyObject *
event_of(EventMaker *maker, PyObject *record)
{
    PyObject *event = maker->event_type->tp_alloc(maker->event_type, 0);
    if (event != NULL) {
        /* A new object's slots hold nothing. */
        SLOT(event, maker->record) = Py_NewRef(record);
        SLOT(event, maker->fields) = Py_NewRef(Py_None);
        SLOT(event, maker->context) = Py_NewRef(Py_None);
        SLOT(event, maker->sequence) = Py_NewRef(maker->no_sequence);
        SLOT(event, maker->sink_sequence) = Py_NewRef(maker->no_sequence);
        SLOT(event, maker->sealed) = Py_NewRef(Py_False);
    }
    return event;
}

static PyObject *
make_events(EventMaker *maker, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"records", NULL};
    PyObject *given;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O", names, &given)) {
        return NULL;
    }
    PyObject *records = PySequence_Fast(given, "records are iterable");
    PyObject *events = records == NULL ? NULL : PyList_New(0);
    /* An allocation may run a finalizer, and that may change a list. */
    for (Py_ssize_t index = 0; events != NULL && index < PySequence_Fast_GET_SIZE(records); index++) {
        PyObject *record = Py_NewRef(PySequence_Fast_GET_ITEM(records, index));
        PyObject *event = event_of(maker, record);
        if (event == NULL || PyList_Append(events, event) < 0) {
            Py_CLEAR(events);
        }
        Py_XDECREF(event);
        Py_DECREF(record);
    }
    Py_XDECREF(records);
    return events;
}

static PyObject *
new_maker(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"event_type", NULL};
    PyObject *event_type;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O!", names, &PyType_Type, &event_type)) {
        return NULL;
    }
    EventMaker *maker = (EventMaker *)type->tp_alloc(type, 0);
    if (maker == NULL) {
        return NULL;
    }
    maker->event_type = (PyTypeObject *)Py_NewRef(event_type);
    maker->no_sequence = PyLong_FromLong(0);
    if (maker->no_sequence == NULL || find_slot(event_type, "_record", &maker->record) < 0
        || find_slot(event_type, "_fields", &maker->fields) < 0
        || find_slot(event_type, "_context", &maker->context) < 0
        || find_slot(event_type, "_sequence", &maker->sequence) < 0
        || find_slot(event_type, "_sink_sequence", &maker->sink_sequence) < 0
        || find_slot(event_type, "_sealed", &maker->sealed) < 0) {
        Py_DECREF(maker);
        return NULL;
    }
    return (PyObject *)maker;
}

static int
traverse_maker(EventMaker *maker, visitproc visit, void *arg)
{
    Py_VISIT(maker->event_type);
    return 0;
}

static int
clear_maker(EventMaker *maker)
{
    Py_CLEAR(maker->event_type);
    Py_CLEAR(maker->no_sequence);
    return 0;
}

static void
free_maker(EventMaker *maker)
{
    PyObject_GC_UnTrack(maker);
    clear_maker(maker);
    Py_TYPE(maker)->tp_free(maker);
}

static PyTypeObject EventMakerType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "fapilog._accelerator.EventMaker",
    .tp_doc = "Returns the events of many accepted calls.",
    .tp_basicsize = sizeof(EventMaker),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = new_maker,
    .tp_call = (ternaryfunc)make_events,
    .tp_traverse = (traverseproc)traverse_maker,
    .tp_clear = (inquiry)clear_maker,
    .tp_dealloc = (destructor)free_maker,
};

int
add_events(PyObject *module)
{
    return PyModule_AddType(module, &EventMakerType);
}
