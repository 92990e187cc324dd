/* Fragments: what the lines of one logger, context and task have in common.

   A small one is written where it is needed, and copied from there for the next line. A large one, and one that needs
   any care, is asked from Python, which keeps it. */

#include "lines.h"

/* Fields of a context that are written as quickly as what Python keeps is found. */
enum { FEW = 16 };

static PyObject *place_key;

int
add_fragments(PyObject *Py_UNUSED(module))
{
    /* Where ``_place_json`` in formats/json.py keeps what it makes. */
    place_key = PyUnicode_InternFromString("json place");
    return place_key == NULL ? -1 : 0;
}

void
clear_fragment(Fragment *fragment)
{
    Py_CLEAR(fragment->origin);
    Py_CLEAR(fragment->ambient);
    Py_CLEAR(fragment->task);
    Py_CLEAR(fragment->encoded);
}

void
forget_fragment_in_piece(Lines *lines, Fragment *fragment)
{
    Py_ssize_t piece = lines->buffer.piece - PyBytes_AS_STRING(lines->buffer.bytes);
    if (fragment->encoded == NULL && fragment->offset >= piece) {
        clear_fragment(fragment);
    }
}

static void
remember(Fragment *fragment, PyObject *record, PyObject *encoded)
{
    Py_XSETREF(fragment->origin, Py_NewRef(PyTuple_GET_ITEM(record, ORIGIN)));
    Py_XSETREF(fragment->ambient, Py_NewRef(PyTuple_GET_ITEM(record, AMBIENT)));
    Py_XSETREF(fragment->task, Py_NewRef(PyTuple_GET_ITEM(record, TASK)));
    Py_XSETREF(fragment->encoded, encoded);
}

static Outcome
put_text_member(Buffer *buffer, const char *name, Py_ssize_t size, PyObject *text)
{
    if (PyUnicode_GET_LENGTH(text) == 0) {
        return WRITTEN;
    }
    Outcome outcome = put(buffer, name, size);
    return outcome == WRITTEN ? put_json_text(buffer, text) : outcome;
}

#define PUT_TEXT_MEMBER(buffer, literal, text) put_text_member(buffer, literal, sizeof(literal) - 1, text)

/* Write the members from the container to the context, if they are small and need no care. */
static Outcome
write_fragment(Lines *lines, int with_context, PyObject *origin, PyObject *ambient, PyObject *task)
{
    LineEncoder *encoder = lines->encoder;
    Buffer *buffer = &lines->buffer;
    if (!Py_IS_TYPE(origin, encoder->origin_type) || !Py_IS_TYPE(ambient, encoder->ambient_type)
        || !PyUnicode_CheckExact(task)) {
        return LEFT;
    }
    PyObject *values = SLOT(ambient, encoder->ambient_values), *bound = SLOT(origin, encoder->origin_bound);
    PyObject *correlation_id = SLOT(ambient, encoder->ambient_correlation_id);
    PyObject *cache = SLOT(origin, encoder->origin_cache);
    if (values == NULL || bound == NULL || !is_mapping(encoder, values) || !is_mapping(encoder, bound)
        || correlation_id == NULL || !PyUnicode_CheckExact(correlation_id) || cache == NULL || !PyDict_CheckExact(cache)
        || PyDict_GET_SIZE(values) + PyDict_GET_SIZE(bound) > FEW) {
        return LEFT;
    }
    PyObject *place = PyDict_GetItemWithError(cache, place_key);
    if (place == NULL || !PyBytes_CheckExact(place)) {
        return PyErr_Occurred() ? leave_error() : LEFT;
    }
    Outcome outcome = put(buffer, PyBytes_AS_STRING(place), PyBytes_GET_SIZE(place));
    if (outcome == WRITTEN) {
        outcome = PUT_TEXT_MEMBER(buffer, ",\"task\":", task);
    }
    if (outcome == WRITTEN) {
        outcome = PUT_TEXT_MEMBER(buffer, ",\"correlation_id\":", correlation_id);
    }
    if (outcome != WRITTEN || !with_context || PyDict_GET_SIZE(values) + PyDict_GET_SIZE(bound) == 0) {
        return outcome;
    }
    PyObject *layers[] = {Py_NewRef(values), Py_NewRef(bound)};
    outcome = PUT_LITERAL(buffer, ",\"context\":");
    if (outcome == WRITTEN) {
        outcome = PyDict_GET_SIZE(bound) == 0 ? write_mapping(lines, layers, 1, 0) : write_mapping(lines, layers, 2, 0);
    }
    Py_DECREF(values);
    Py_DECREF(bound);
    return outcome;
}

/* Write what Python has for these. */
static Outcome
put_asked(Lines *lines, Fragment *fragment, PyObject *record)
{
    PyObject *arguments[] = {PyTuple_GET_ITEM(record, ORIGIN), PyTuple_GET_ITEM(record, AMBIENT),
                             PyTuple_GET_ITEM(record, TASK)};
    PyObject *encoded = PyObject_Vectorcall(fragment->ask, arguments, 3, NULL);
    if (encoded == NULL) {
        return leave_error();
    }
    if (!PyBytes_CheckExact(encoded)) {
        Py_DECREF(encoded);
        return LEFT;
    }
    remember(fragment, record, encoded);
    return put(&lines->buffer, PyBytes_AS_STRING(encoded), PyBytes_GET_SIZE(encoded));
}

Outcome
put_fragment(Lines *lines, Fragment *fragment, PyObject *record)
{
    Buffer *buffer = &lines->buffer;
    PyObject *origin = PyTuple_GET_ITEM(record, ORIGIN), *ambient = PyTuple_GET_ITEM(record, AMBIENT);
    PyObject *task = PyTuple_GET_ITEM(record, TASK);
    if (origin == fragment->origin && ambient == fragment->ambient && task == fragment->task) {
        if (fragment->encoded != NULL) {
            return put(buffer, PyBytes_AS_STRING(fragment->encoded), PyBytes_GET_SIZE(fragment->encoded));
        }
        Outcome outcome = reserve(buffer, fragment->size); /* which may move it */
        return outcome == WRITTEN
                   ? put(buffer, PyBytes_AS_STRING(buffer->bytes) + fragment->offset, fragment->size)
                   : outcome;
    }
    Py_ssize_t offset = buffer->position - PyBytes_AS_STRING(buffer->bytes);
    Outcome outcome = write_fragment(lines, fragment->with_context, origin, ambient, task);
    if (outcome == LEFT) {
        buffer->position = PyBytes_AS_STRING(buffer->bytes) + offset;
        return put_asked(lines, fragment, record);
    }
    if (outcome == WRITTEN) {
        remember(fragment, record, NULL);
        fragment->offset = offset;
        fragment->size = buffer->position - PyBytes_AS_STRING(buffer->bytes) - offset;
    }
    return outcome;
}
