/* Values as JSON has them: mappings, tuples, and what is in them. */

#include "lines.h"
#include "numbers.h"

#include <math.h>
#include <string.h>

/* Containers inside each other that are written here. Each takes some of the C stack. */
enum { MOST_DEEP = 32 };

static Outcome write_value(Lines *lines, PyObject *value, int depth);

/* Write what *encode* makes of *value*, which the caller holds. */
static Outcome
write_by(Lines *lines, PyObject *encode, PyObject *value)
{
    PyObject *encoded = PyObject_CallOneArg(encode, value);
    if (encoded == NULL) {
        return leave_error();
    }
    Outcome outcome = LEFT;
    if (PyBytes_CheckExact(encoded)) {
        outcome = put(&lines->buffer, PyBytes_AS_STRING(encoded), PyBytes_GET_SIZE(encoded));
    }
    Py_DECREF(encoded);
    return outcome;
}

/* Write a number below 0.0001 that is a whole number of millionths, as short durations are; NULL for any other. */
static char *
fill_millionths(char *position, double value)
{
    double magnitude = fabs(value);
    unsigned int millionths = magnitude < 1e-4 ? (unsigned int)(magnitude * 1e6 + 0.5) : 0;
    if (millionths == 0 || millionths / 1e6 != magnitude) {
        return NULL;
    }
    if (value < 0) {
        *position++ = '-';
    }
    if (millionths < 10) {
        *position++ = (char)('0' + millionths);
        memcpy(position, "e-6", 3);
        return position + 3;
    }
    memcpy(position, "0.0000", 6);
    position[6] = (char)('0' + millionths / 10);
    position[7] = (char)('0' + millionths % 10);
    return position + (millionths % 10 == 0 ? 7 : 8);
}

/* Write a float; *number* is asked for one with more digits than are quickly found. */
static Outcome
write_float(Lines *lines, PyObject *value)
{
    Outcome outcome = reserve(&lines->buffer, MOST_DECIMAL);
    if (outcome == WRITTEN) {
        char *end = fill_decimal(lines->buffer.position, PyFloat_AS_DOUBLE(value));
        if (end == NULL) {
            end = fill_millionths(lines->buffer.position, PyFloat_AS_DOUBLE(value));
        }
        if (end == NULL) {
            return write_by(lines, lines->encoder->number, value);
        }
        lines->buffer.position = end;
    }
    return outcome;
}

/* Return whether one of *layers* has *key*; -1 with an exception if that cannot be said. */
static int
any_has(PyObject *const *layers, int count, PyObject *key)
{
    int has = 0;
    for (int layer = 0; layer < count && has == 0; layer++) {
        has = PyDict_Contains(layers[layer], key);
    }
    return has;
}

/* Put what the last of *layers* that has *key* has for it in the place of the reference *value*, if one has it. */
static int
replace_by_last(PyObject *const *layers, int count, PyObject *key, PyObject **value)
{
    for (int layer = count - 1; layer >= 0; layer--) {
        PyObject *found = PyDict_GetItemWithError(layers[layer], key);
        if (found != NULL) {
            Py_INCREF(found);
            Py_SETREF(*value, found);
            return 0;
        }
        if (PyErr_Occurred()) {
            return -1;
        }
    }
    return 0;
}

/* Write one member of the layer with the number *layer*, unless an earlier one had its key.

   *value* is a reference of the caller's, which may become one to another object. */
static Outcome
write_member(Lines *lines, PyObject *const *layers, int count, int layer, PyObject *key, PyObject **value, int depth,
             char *separator)
{
    if (!PyUnicode_CheckExact(key)) {
        return LEFT;
    }
    if (count > 1) {
        int written = any_has(layers, layer, key);
        if (written > 0) {
            return WRITTEN;
        }
        if (written < 0 || replace_by_last(layers + layer + 1, count - layer - 1, key, value) < 0) {
            return leave_error();
        }
    }
    Outcome outcome = put_character(&lines->buffer, *separator);
    *separator = ',';
    if (outcome == WRITTEN && (outcome = put_json_text(&lines->buffer, key)) == WRITTEN
        && (outcome = put_character(&lines->buffer, ':')) == WRITTEN) {
        outcome = write_value(lines, *value, depth);
    }
    return outcome;
}

Outcome
write_mapping(Lines *lines, PyObject *const *layers, int count, int depth)
{
    char separator = '{';
    for (int layer = 0; layer < count; layer++) {
        Py_ssize_t next = 0;
        PyObject *key, *value;
        while (PyDict_Next(layers[layer], &next, &key, &value)) {
            Py_INCREF(key);
            Py_INCREF(value);
            Outcome outcome = write_member(lines, layers, count, layer, key, &value, depth, &separator);
            Py_DECREF(key);
            Py_DECREF(value);
            if (outcome != WRITTEN) {
                return outcome;
            }
        }
    }
    return separator == '{' ? PUT_LITERAL(&lines->buffer, "{}") : put_character(&lines->buffer, '}');
}

/* Bytes of what stands before the values of one call, at most, if it is kept. */
enum { MOST_KEYS = 1024 };

/* Return what stands before the value with that name in a call; NULL if it is not written here, or with an exception. */
static PyObject *
encode_key(PyObject *name, int is_first)
{
    Buffer buffer;
    if (!PyUnicode_CheckExact(name) || begin_buffer(&buffer, MOST_KEYS / 8, MOST_KEYS) < 0) {
        return NULL;
    }
    Outcome outcome = put_character(&buffer, is_first ? '{' : ',');
    if (outcome == WRITTEN && (outcome = put_json_text(&buffer, name)) == WRITTEN) {
        outcome = put_character(&buffer, ':');
    }
    if (outcome != WRITTEN) {
        Py_CLEAR(buffer.bytes);
        return NULL;
    }
    return end_buffer(&buffer);
}

/* Return what stands before each of a call's values; NULL if that is not to be kept, or with an exception. */
static PyObject *
encode_keys(PyObject *names)
{
    Py_ssize_t size = 0;
    PyObject *keys = PyTuple_New(PyTuple_GET_SIZE(names));
    for (Py_ssize_t index = 0; keys != NULL && index < PyTuple_GET_SIZE(names); index++) {
        PyObject *key = encode_key(PyTuple_GET_ITEM(names, index), index == 0);
        PyTuple_SET_ITEM(keys, index, key);
        if (key == NULL || (size += PyBytes_GET_SIZE(key)) > MOST_KEYS) {
            Py_CLEAR(keys);
        }
    }
    return keys;
}

/* Return the same if it is known, or is worth being known from now on. */
static PyObject *
keys_of(LineEncoder *encoder, PyObject *names)
{
    KnownNames *known = find_known_names(encoder->keys, names);
    if (known != NULL) {
        return Py_NewRef(known->knowledge);
    }
    /* Those in a program's text are held by it as well. */
    int is_lasting = Py_REFCNT(names) > 1;
    PyObject *keys = is_lasting && has_place_for_names(encoder->keys, names) ? encode_keys(names) : NULL;
    if (keys != NULL) {
        keep_known_names(encoder->keys, names, Py_NewRef(keys));
    }
    return keys;
}

Outcome
write_unpacked(Lines *lines, PyObject *fields)
{
    PyObject *names = PyTuple_GET_ITEM(fields, 0);
    if (!PyTuple_CheckExact(names) || PyTuple_GET_SIZE(names) != PyTuple_GET_SIZE(fields) - 1) {
        return LEFT;
    }
    PyObject *keys = keys_of(lines->encoder, names);
    if (keys == NULL && PyErr_Occurred()) {
        return FAILED;
    }
    Outcome outcome = WRITTEN;
    char separator = '{';
    for (Py_ssize_t index = 0; outcome == WRITTEN && index < PyTuple_GET_SIZE(names); index++) {
        PyObject *value = PyTuple_GET_ITEM(fields, index + 1);
        if (keys == NULL) {
            outcome = write_member(lines, NULL, 1, 0, PyTuple_GET_ITEM(names, index), &value, 0, &separator);
            continue;
        }
        PyObject *key = PyTuple_GET_ITEM(keys, index);
        outcome = put(&lines->buffer, PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key));
        outcome = outcome == WRITTEN ? write_value(lines, value, 0) : outcome;
    }
    Py_XDECREF(keys);
    return outcome == WRITTEN ? put_character(&lines->buffer, '}') : outcome;
}

static Outcome
write_tuple(Lines *lines, PyObject *items, int depth)
{
    Outcome outcome = put_character(&lines->buffer, '[');
    for (Py_ssize_t index = 0; outcome == WRITTEN && index < PyTuple_GET_SIZE(items); index++) {
        if (index > 0) {
            outcome = put_character(&lines->buffer, ',');
        }
        if (outcome == WRITTEN) {
            outcome = write_value(lines, PyTuple_GET_ITEM(items, index), depth);
        }
    }
    return outcome == WRITTEN ? put_character(&lines->buffer, ']') : outcome;
}

/* Write *value*, which the caller holds, inside of *depth* containers. */
static Outcome
write_value(Lines *lines, PyObject *value, int depth)
{
    LineEncoder *encoder = lines->encoder;
    PyTypeObject *type = Py_TYPE(value);
    if (type == &PyUnicode_Type) {
        return put_json_text(&lines->buffer, value);
    }
    if (type == &PyLong_Type) {
        return put_integer(&lines->buffer, value);
    }
    if (type == &PyFloat_Type) {
        return write_float(lines, value);
    }
    if (value == Py_None) {
        return PUT_LITERAL(&lines->buffer, "null");
    }
    if (value == Py_True) {
        return PUT_LITERAL(&lines->buffer, "true");
    }
    if (value == Py_False) {
        return PUT_LITERAL(&lines->buffer, "false");
    }
    if (depth < MOST_DEEP) {
        if (type == &PyTuple_Type) {
            return write_tuple(lines, value, depth + 1);
        }
        if (is_mapping(encoder, value)) {
            return write_mapping(lines, &value, 1, depth + 1);
        }
    }
    for (Py_ssize_t index = 0; index < PyTuple_GET_SIZE(encoder->other_types); index++) {
        if ((PyObject *)type == PyTuple_GET_ITEM(encoder->other_types, index)) {
            return write_by(lines, encoder->other, value);
        }
    }
    return LEFT;
}
