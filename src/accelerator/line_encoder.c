/* LineEncoder: the type that writes a batch as JSON lines; see lines.c. */

#include "lines.h"

/* The bytes for a line until a batch has shown better. */
enum { USUAL_LINE = 320, SMALLEST_LINE = 64, LARGEST_LINE = 4096 };

static PyObject *
encode(LineEncoder *encoder, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"items", "first_sequence", "line", NULL};
    PyObject *given, *first_sequence, *line;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OOO", names, &given, &first_sequence, &line)) {
        return NULL;
    }
    PyObject *items = PySequence_Fast(given, "the items of a batch are a sequence");
    if (items == NULL) {
        return NULL;
    }
    Lines lines = {
        .encoder = encoder,
        .shared = {.ask = encoder->shared, .with_context = 1},
        .identity = {.ask = encoder->identity},
    };
    Py_ssize_t count = PySequence_Fast_GET_SIZE(items);
    Py_ssize_t line_size = encoder->usual_line + encoder->usual_line / 8;
    Py_ssize_t size = LARGEST_LINE + (count < PY_SSIZE_T_MAX / 4 / line_size ? count : 0) * line_size;
    if (begin_buffer(&lines.buffer, size, encoder->most) < 0) {
        Py_DECREF(items);
        return NULL;
    }
    Outcome outcome = write_lines(&lines, items, first_sequence, line);
    clear_fragment(&lines.shared);
    clear_fragment(&lines.identity);
    Py_DECREF(items);
    if (outcome != WRITTEN) {
        Py_CLEAR(lines.buffer.bytes);
        return NULL;
    }
    PyObject *bytes = end_buffer(&lines.buffer);
    if (count > 0 && bytes != NULL) {
        line_size = PyBytes_GET_SIZE(bytes) / count;
        encoder->usual_line = line_size < SMALLEST_LINE  ? SMALLEST_LINE
                              : line_size > LARGEST_LINE ? LARGEST_LINE
                                                         : line_size;
    }
    return bytes;
}

/* Return a copy of *levels*, which stays as it is, and in which nothing has to be checked any more. */
static PyObject *
copy_levels(PyObject *levels)
{
    PyObject *copy = PyDict_New();
    Py_ssize_t next = 0;
    PyObject *level, *encoded;
    while (copy != NULL && PyDict_Next(levels, &next, &level, &encoded)) {
        if (!PyLong_CheckExact(level) || !PyBytes_CheckExact(encoded)) {
            PyErr_SetString(PyExc_TypeError, "levels are numbers with bytes");
        }
        else if (PyDict_SetItem(copy, level, encoded) == 0) {
            continue;
        }
        Py_CLEAR(copy);
    }
    return copy;
}

static PyObject *
new_encoder(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"event_type", "origin_type", "ambient_type", "mapping_type", "levels", "shared",
                            "identity", "number", "other", "other_types", "most", NULL};
    PyObject *event_type, *origin_type, *ambient_type, *mapping_type, *levels, *shared, *identity, *number, *other,
        *other_types;
    Py_ssize_t most;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O!O!O!O!O!OOOOO!n", names, &PyType_Type, &event_type,
                                     &PyType_Type, &origin_type, &PyType_Type, &ambient_type, &PyType_Type,
                                     &mapping_type, &PyDict_Type, &levels, &shared, &identity, &number, &other,
                                     &PyTuple_Type, &other_types, &most)) {
        return NULL;
    }
    if (!PyType_IsSubtype((PyTypeObject *)mapping_type, &PyDict_Type)) {
        return PyErr_Format(PyExc_TypeError, "%R is no kind of dict", mapping_type);
    }
    if (most < 0 || most > PY_SSIZE_T_MAX / 16) {
        return PyErr_Format(PyExc_ValueError, "no line has %zd bytes", most);
    }
    LineEncoder *encoder = (LineEncoder *)type->tp_alloc(type, 0);
    if (encoder == NULL) {
        return NULL;
    }
    encoder->event_type = (PyTypeObject *)Py_NewRef(event_type);
    encoder->origin_type = (PyTypeObject *)Py_NewRef(origin_type);
    encoder->ambient_type = (PyTypeObject *)Py_NewRef(ambient_type);
    encoder->mapping_type = (PyTypeObject *)Py_NewRef(mapping_type);
    encoder->shared = Py_NewRef(shared);
    encoder->identity = Py_NewRef(identity);
    encoder->number = Py_NewRef(number);
    encoder->other = Py_NewRef(other);
    encoder->other_types = Py_NewRef(other_types);
    encoder->most = most;
    encoder->usual_line = USUAL_LINE;
    encoder->levels = copy_levels(levels);
    if (encoder->levels == NULL || find_slot(event_type, "_record", &encoder->event_record) < 0
        || find_slot(event_type, "_context", &encoder->event_context) < 0
        || find_slot(event_type, "_sequence", &encoder->event_sequence) < 0
        || find_slot(event_type, "_sink_sequence", &encoder->event_sink_sequence) < 0
        || find_slot(origin_type, "bound", &encoder->origin_bound) < 0
        || find_slot(origin_type, "cache", &encoder->origin_cache) < 0
        || find_slot(ambient_type, "values", &encoder->ambient_values) < 0
        || find_slot(ambient_type, "correlation_id", &encoder->ambient_correlation_id) < 0) {
        Py_DECREF(encoder);
        return NULL;
    }
    return (PyObject *)encoder;
}

static int
traverse_encoder(LineEncoder *encoder, visitproc visit, void *arg)
{
    Py_VISIT(encoder->event_type);
    Py_VISIT(encoder->origin_type);
    Py_VISIT(encoder->ambient_type);
    Py_VISIT(encoder->mapping_type);
    Py_VISIT(encoder->other_types);
    Py_VISIT(encoder->levels);
    Py_VISIT(encoder->shared);
    Py_VISIT(encoder->identity);
    Py_VISIT(encoder->number);
    Py_VISIT(encoder->other);
    return 0;
}

static int
clear_encoder(LineEncoder *encoder)
{
    Py_CLEAR(encoder->event_type);
    Py_CLEAR(encoder->origin_type);
    Py_CLEAR(encoder->ambient_type);
    Py_CLEAR(encoder->mapping_type);
    Py_CLEAR(encoder->other_types);
    Py_CLEAR(encoder->levels);
    Py_CLEAR(encoder->shared);
    Py_CLEAR(encoder->identity);
    Py_CLEAR(encoder->number);
    Py_CLEAR(encoder->other);
    clear_known_names(encoder->keys);
    return 0;
}

static void
free_encoder(LineEncoder *encoder)
{
    PyObject_GC_UnTrack(encoder);
    clear_encoder(encoder);
    Py_TYPE(encoder)->tp_free(encoder);
}

static PyTypeObject LineEncoderType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "fapilog._accelerator.LineEncoder",
    .tp_doc = "Writes items as JSON lines, and asks the function *line* for those of which it does not know how.",
    .tp_basicsize = sizeof(LineEncoder),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = new_encoder,
    .tp_call = (ternaryfunc)encode,
    .tp_traverse = (traverseproc)traverse_encoder,
    .tp_clear = (inquiry)clear_encoder,
    .tp_dealloc = (destructor)free_encoder,
};

int
add_lines(PyObject *module)
{
    return add_fragments(module) < 0 ? -1 : PyModule_AddType(module, &LineEncoderType);
}
