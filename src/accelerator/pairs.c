/* PairEncoder: ``interleaved`` in formats/_quick_lines.py, which writes the ``key=value`` pairs of many events.

   Keys, and texts that are not shown as they are, are looked up where the PairWriter in Python remembers them, and which
   asks its functions for a new one. That may run any code, so that what is looked at afterwards is held by a reference.
   With a value that is no text, number, bool or None, all that is asked for at once is left to Python. */

#include "numbers.h"

enum { MOST_FIELDS = 64 };

/* The bytes of a line that there is room for at first. */
enum { USUAL_LINE = 512 };

typedef struct {
    PyObject_HEAD
    PyObject *names;
    PyObject *texts;
    PyTypeObject *mapping_type;
    PyObject *not_quick;
    Py_ssize_t most;
    /* By code, whether a text of such characters is shown as it is. */
    char plain[128];
} PairEncoder;

static Outcome
put_utf8(Buffer *buffer, PyObject *text)
{
    Py_ssize_t size;
    const char *data = PyUnicode_AsUTF8AndSize(text, &size);
    return data == NULL ? FAILED : put(buffer, data, size);
}

/* Write what *remembered* has, or finds, for *text*. */
static Outcome
put_remembered(Buffer *buffer, PyObject *remembered, PyObject *text)
{
    PyObject *found = Py_XNewRef(PyDict_GetItemWithError(remembered, text));
    if (found == NULL && !PyErr_Occurred()) {
        found = PyObject_GetItem(remembered, text);
    }
    if (found == NULL) {
        return FAILED;
    }
    Outcome outcome = PyUnicode_Check(found) ? put_utf8(buffer, found) : LEFT;
    Py_DECREF(found);
    return outcome;
}

static Outcome
put_text(PairEncoder *encoder, Buffer *buffer, PyObject *text)
{
    if (PyUnicode_IS_ASCII(text)) {
        Py_ssize_t length = PyUnicode_GET_LENGTH(text), index = 0;
        Outcome outcome = length > encoder->most ? LEFT : reserve(buffer, length);
        if (outcome != WRITTEN) {
            return outcome;
        }
        const char *data = PyUnicode_DATA(text);
        while (index < length && encoder->plain[(unsigned char)data[index]]) {
            buffer->position[index] = data[index];
            index++;
        }
        if (index == length && length > 0) {
            buffer->position += length;
            return WRITTEN;
        }
    }
    return put_remembered(buffer, encoder->texts, text);
}

/* Write a float as ``repr`` has it. */
static Outcome
put_float(Buffer *buffer, double value)
{
    Outcome outcome = reserve(buffer, MOST_DECIMAL);
    if (outcome != WRITTEN) {
        return outcome;
    }
    char *end = fill_decimal(buffer->position, value);
    if (end != NULL) {
        buffer->position = end;
        return WRITTEN;
    }
    char *text = PyOS_double_to_string(value, 'r', 0, Py_DTSF_ADD_DOT_0, NULL);
    if (text == NULL) {
        return FAILED;
    }
    outcome = put(buffer, text, (Py_ssize_t)strlen(text));
    PyMem_Free(text);
    return outcome;
}

static Outcome
put_value(PairEncoder *encoder, Buffer *buffer, PyObject *value)
{
    if (PyUnicode_CheckExact(value)) {
        return put_text(encoder, buffer, value);
    }
    if (PyLong_CheckExact(value)) {
        return put_integer(buffer, value);
    }
    if (PyFloat_CheckExact(value)) {
        return put_float(buffer, PyFloat_AS_DOUBLE(value));
    }
    if (value == Py_None) {
        return PUT_LITERAL(buffer, "null");
    }
    if (value == Py_True) {
        return PUT_LITERAL(buffer, "true");
    }
    return value == Py_False ? PUT_LITERAL(buffer, "false") : LEFT;
}

static Outcome
put_pair(PairEncoder *encoder, Buffer *buffer, PyObject *key, PyObject *value, PyObject *others)
{
    if (!PyUnicode_CheckExact(key)) {
        return LEFT;
    }
    int taken = PySet_Contains(others, key);
    if (taken != 0) {
        return taken < 0 ? FAILED : LEFT;
    }
    Outcome outcome = put_remembered(buffer, encoder->names, key);
    return outcome == WRITTEN ? put_value(encoder, buffer, value) : outcome;
}

/* Write the names and values of a call, which the caller holds. */
static Outcome
put_unpacked(PairEncoder *encoder, Buffer *buffer, PyObject *fields, PyObject *others)
{
    Py_ssize_t count = PyTuple_GET_SIZE(fields) - 1;
    PyObject *names = count < 0 ? NULL : PyTuple_GET_ITEM(fields, 0);
    if (names == NULL || !PyTuple_CheckExact(names) || PyTuple_GET_SIZE(names) != count || count > MOST_FIELDS) {
        return LEFT;
    }
    begin_piece(buffer);
    Outcome outcome = WRITTEN;
    for (Py_ssize_t index = 0; outcome == WRITTEN && index < count; index++) {
        outcome = put_pair(encoder, buffer, PyTuple_GET_ITEM(names, index), PyTuple_GET_ITEM(fields, index + 1), others);
    }
    return outcome == WRITTEN ? end_piece(buffer) : outcome;
}

/* Write the entries of *mapping*, which the caller holds. */
static Outcome
put_pairs(PairEncoder *encoder, Buffer *buffer, PyObject *mapping, PyObject *others)
{
    if ((!PyDict_CheckExact(mapping) && !Py_IS_TYPE(mapping, encoder->mapping_type))
        || PyDict_GET_SIZE(mapping) > MOST_FIELDS) {
        return LEFT;
    }
    begin_piece(buffer);
    Py_ssize_t next = 0;
    PyObject *key, *value;
    while (PyDict_Next(mapping, &next, &key, &value)) {
        Py_INCREF(key);
        Py_INCREF(value);
        Outcome outcome = put_pair(encoder, buffer, key, value, others);
        Py_DECREF(key);
        Py_DECREF(value);
        if (outcome != WRITTEN) {
            return outcome;
        }
    }
    return end_piece(buffer);
}

static PyObject *
encode(PairEncoder *encoder, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"starts", "mappings", "end", "others", NULL};
    PyObject *starts, *mappings, *end, *others;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O!O!UO!", names, &PyList_Type, &starts, &PyList_Type,
                                     &mappings, &end, &PySet_Type, &others)) {
        return NULL;
    }
    Py_ssize_t count = PyList_GET_SIZE(starts);
    if (count != PyList_GET_SIZE(mappings)) {
        return PyErr_Format(PyExc_ValueError, "each mapping has its start");
    }
    Buffer buffer;
    if (begin_buffer(&buffer, (count + 1) * USUAL_LINE, encoder->most) < 0) {
        return NULL;
    }
    Outcome outcome = WRITTEN;
    /* A list may be changed by what is looked up. */
    for (Py_ssize_t index = 0;
         outcome == WRITTEN && index < PyList_GET_SIZE(starts) && index < PyList_GET_SIZE(mappings); index++) {
        PyObject *start = PyList_GET_ITEM(starts, index);
        outcome = PyUnicode_Check(start) ? put_utf8(&buffer, start) : LEFT;
        if (outcome == WRITTEN) {
            PyObject *mapping = Py_NewRef(PyList_GET_ITEM(mappings, index));
            outcome = (PyTuple_CheckExact(mapping) ? put_unpacked : put_pairs)(encoder, &buffer, mapping, others);
            Py_DECREF(mapping);
        }
    }
    if (outcome == WRITTEN) {
        outcome = put_utf8(&buffer, end);
    }
    if (outcome == WRITTEN) {
        return end_buffer(&buffer);
    }
    Py_CLEAR(buffer.bytes);
    if (outcome == LEFT) {
        PyErr_SetNone(encoder->not_quick);
    }
    return NULL;
}

static PyObject *
new_encoder(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *parameters[] = {"names", "texts", "plain", "mapping_type", "not_quick", "most", NULL};
    PyObject *names, *texts, *mapping_type, *not_quick;
    const char *plain;
    Py_ssize_t plain_size, most;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O!O!y#O!O!n", parameters, &PyDict_Type, &names, &PyDict_Type,
                                     &texts, &plain, &plain_size, &PyType_Type, &mapping_type, &PyType_Type, &not_quick,
                                     &most)) {
        return NULL;
    }
    if (!PyType_IsSubtype((PyTypeObject *)mapping_type, &PyDict_Type)) {
        return PyErr_Format(PyExc_TypeError, "%R is no kind of dict", mapping_type);
    }
    if (!PyExceptionClass_Check(not_quick)) {
        return PyErr_Format(PyExc_TypeError, "%R is no exception", not_quick);
    }
    if (most < 0 || most > PY_SSIZE_T_MAX / 16) {
        return PyErr_Format(PyExc_ValueError, "no line has %zd bytes", most);
    }
    PairEncoder *encoder = (PairEncoder *)type->tp_alloc(type, 0);
    if (encoder == NULL) {
        return NULL;
    }
    encoder->names = Py_NewRef(names);
    encoder->texts = Py_NewRef(texts);
    encoder->mapping_type = (PyTypeObject *)Py_NewRef(mapping_type);
    encoder->not_quick = Py_NewRef(not_quick);
    encoder->most = most;
    for (Py_ssize_t index = 0; index < plain_size; index++) {
        if ((unsigned char)plain[index] < sizeof(encoder->plain)) {
            encoder->plain[(unsigned char)plain[index]] = 1;
        }
    }
    return (PyObject *)encoder;
}

static int
traverse_encoder(PairEncoder *encoder, visitproc visit, void *arg)
{
    Py_VISIT(encoder->names);
    Py_VISIT(encoder->texts);
    Py_VISIT(encoder->mapping_type);
    Py_VISIT(encoder->not_quick);
    return 0;
}

static int
clear_encoder(PairEncoder *encoder)
{
    Py_CLEAR(encoder->names);
    Py_CLEAR(encoder->texts);
    Py_CLEAR(encoder->mapping_type);
    Py_CLEAR(encoder->not_quick);
    return 0;
}

static void
free_encoder(PairEncoder *encoder)
{
    PyObject_GC_UnTrack(encoder);
    clear_encoder(encoder);
    Py_TYPE(encoder)->tp_free(encoder);
}

static PyTypeObject PairEncoderType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "fapilog._accelerator.PairEncoder",
    .tp_doc = "Writes texts and, between them, mappings or the fields of calls as pairs; raises *not_quick* if one of "
              "these needs care.",
    .tp_basicsize = sizeof(PairEncoder),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = new_encoder,
    .tp_call = (ternaryfunc)encode,
    .tp_traverse = (traverseproc)traverse_encoder,
    .tp_clear = (inquiry)clear_encoder,
    .tp_dealloc = (destructor)free_encoder,
};

int
add_pairs(PyObject *module)
{
    return PyModule_AddType(module, &PairEncoderType);
}
