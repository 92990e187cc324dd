/* EventMaker: ``events_of`` and ``with_mappings`` in event.py. */

#include "accelerator.h"

typedef struct {
    PyObject_HEAD
    PyTypeObject *event_type;
    PyObject *mapping_type;
    PyObject *no_sequence;
    Py_ssize_t record, fields, context, sequence, sink_sequence, sealed;
} EventMaker;

/* Return a record with its fields in a mapping: itself, if they are in one. */
static PyObject *
with_mapping(EventMaker *maker, PyObject *record)
{
    if (!PyTuple_CheckExact(record) || PyTuple_GET_SIZE(record) != RECORD_SIZE
        || !PyTuple_CheckExact(PyTuple_GET_ITEM(record, FIELDS))) {
        return Py_NewRef(record);
    }
    PyObject *unpacked = PyTuple_GET_ITEM(record, FIELDS);
    Py_ssize_t size = PyTuple_GET_SIZE(unpacked);
    PyObject *names = size == 0 ? NULL : PyTuple_GET_ITEM(unpacked, 0);
    if (names != NULL && (!PyTuple_CheckExact(names) || PyTuple_GET_SIZE(names) != size - 1)) {
        return PyErr_Format(PyExc_ValueError, "%R are no names with as many values", unpacked);
    }
    PyObject *fields = PyObject_CallNoArgs(maker->mapping_type);
    for (Py_ssize_t index = 1; fields != NULL && index < size; index++) {
        if (PyDict_SetItem(fields, PyTuple_GET_ITEM(names, index - 1), PyTuple_GET_ITEM(unpacked, index)) < 0) {
            Py_CLEAR(fields);
        }
    }
    PyObject *mapped = fields == NULL ? NULL : PyTuple_New(RECORD_SIZE);
    if (mapped == NULL) {
        Py_XDECREF(fields);
        return NULL;
    }
    for (Py_ssize_t index = 0; index < RECORD_SIZE; index++) {
        PyTuple_SET_ITEM(mapped, index, index == FIELDS ? fields : Py_NewRef(PyTuple_GET_ITEM(record, index)));
    }
    return mapped;
}

/* Return a list of what *convert* makes of each of *given*. */
static PyObject *
converted(EventMaker *maker, PyObject *given, PyObject *(*convert)(EventMaker *, PyObject *))
{
    PyObject *items = PySequence_Fast(given, "records are iterable");
    PyObject *results = items == NULL ? NULL : PyList_New(0);
    /* An allocation may run a finalizer, and that may change a list. */
    for (Py_ssize_t index = 0; results != NULL && index < PySequence_Fast_GET_SIZE(items); index++) {
        PyObject *item = Py_NewRef(PySequence_Fast_GET_ITEM(items, index));
        PyObject *result = convert(maker, item);
        if (result == NULL || PyList_Append(results, result) < 0) {
            Py_CLEAR(results);
        }
        Py_XDECREF(result);
        Py_DECREF(item);
    }
    Py_XDECREF(items);
    return results;
}

static PyObject *
with_mappings(EventMaker *maker, PyObject *items)
{
    return converted(maker, items, with_mapping);
}

/* Return the event of an accepted call, which is not yet numbered or sealed. */
static PyObject *
event_of(EventMaker *maker, PyObject *record)
{
    PyObject *mapped = with_mapping(maker, record);
    PyObject *event = mapped == NULL ? NULL : maker->event_type->tp_alloc(maker->event_type, 0);
    if (event == NULL) {
        Py_XDECREF(mapped);
    }
    else {
        /* A new object's slots hold nothing. */
        SLOT(event, maker->record) = mapped;
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
    return converted(maker, given, event_of);
}

static PyObject *
new_maker(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"event_type", "mapping_type", NULL};
    PyObject *event_type, *mapping_type;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O!O!", names, &PyType_Type, &event_type, &PyType_Type,
                                     &mapping_type)) {
        return NULL;
    }
    if (!PyType_IsSubtype((PyTypeObject *)mapping_type, &PyDict_Type)) {
        return PyErr_Format(PyExc_TypeError, "%R is no kind of dict", mapping_type);
    }
    EventMaker *maker = (EventMaker *)type->tp_alloc(type, 0);
    if (maker == NULL) {
        return NULL;
    }
    maker->event_type = (PyTypeObject *)Py_NewRef(event_type);
    maker->mapping_type = Py_NewRef(mapping_type);
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
    Py_VISIT(maker->mapping_type);
    return 0;
}

static int
clear_maker(EventMaker *maker)
{
    Py_CLEAR(maker->event_type);
    Py_CLEAR(maker->mapping_type);
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

static PyMethodDef maker_methods[] = {
    {"with_mappings", (PyCFunction)with_mappings, METH_O, "Return what is given, records with their fields in a mapping."},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject EventMakerType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "fapilog._accelerator.EventMaker",
    .tp_doc = "Returns the events of many accepted calls.",
    .tp_basicsize = sizeof(EventMaker),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = new_maker,
    .tp_call = (ternaryfunc)make_events,
    .tp_methods = maker_methods,
    .tp_traverse = (traverseproc)traverse_maker,
    .tp_clear = (inquiry)clear_maker,
    .tp_dealloc = (destructor)free_maker,
};

int
add_events(PyObject *module)
{
    return PyModule_AddType(module, &EventMakerType);
}
