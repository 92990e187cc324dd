/* The lines of the format json.

   A line of a record whose values are of the usual kinds is written here, byte for byte as formats/json.py has it from
   orjson. A value of another kind that is one token in JSON is asked from Python by itself; any other line is left to
   Python whole, and so is a line that is too long, which has to be cut. */

#include "lines.h"
#include "numbers.h"

#include <limits.h>

/* Write the members up to the message. */
static Outcome
write_beginning(Lines *lines, PyObject *record)
{
    PyObject *time_ns = PyTuple_GET_ITEM(record, TIME_NS), *level = PyTuple_GET_ITEM(record, LEVEL);
    PyObject *message = PyTuple_GET_ITEM(record, MESSAGE);
    if (!PyLong_CheckExact(time_ns) || !PyLong_CheckExact(level) || !PyUnicode_CheckExact(message)) {
        return LEFT;
    }
    /* The encoder's own mapping, from ints to bytes: nothing runs, and what is found stays. */
    PyObject *encoded_level = PyDict_GetItemWithError(lines->encoder->levels, level);
    if (encoded_level == NULL) {
        return PyErr_Occurred() ? FAILED : LEFT;
    }
    Outcome outcome = PUT_LITERAL(&lines->buffer, "{\"timestamp\":\"");
    if (outcome == WRITTEN) {
        outcome = put_timestamp(&lines->buffer, &lines->timestamp, time_ns);
    }
    if (outcome == WRITTEN) {
        outcome = PUT_LITERAL(&lines->buffer, "\",\"level\":");
    }
    if (outcome == WRITTEN) {
        outcome = put(&lines->buffer, PyBytes_AS_STRING(encoded_level), PyBytes_GET_SIZE(encoded_level));
    }
    if (outcome == WRITTEN) {
        outcome = PUT_LITERAL(&lines->buffer, ",\"message\":");
    }
    return outcome == WRITTEN ? put_json_text(&lines->buffer, message) : outcome;
}

/* The numbers that an event has in its container's output, and in a sink's that gets only some events; else 0. */
typedef struct {
    long long sequence;
    long long sink_sequence;
} Numbers;

/* Return whether *object* is a number that fits. */
static int
read_number(PyObject *object, long long *number)
{
    int overflow = 1;
    if (object != NULL && PyLong_CheckExact(object)) {
        *number = PyLong_AsLongLongAndOverflow(object, &overflow);
    }
    return overflow == 0;
}

/* Write all of a line but its end. The caller holds the record. */
static Outcome
write_record(Lines *lines, PyObject *record, Fragment *fragment, Numbers numbers)
{
    PyObject *fields = PyTuple_GET_ITEM(record, FIELDS);
    int unpacked = PyTuple_CheckExact(fields);
    if (!unpacked && !is_mapping(lines->encoder, fields)) {
        return LEFT;
    }
    Outcome outcome = write_beginning(lines, record);
    if (outcome == WRITTEN && (unpacked ? PyTuple_GET_SIZE(fields) : PyDict_GET_SIZE(fields)) > 0) {
        outcome = PUT_LITERAL(&lines->buffer, ",\"fields\":");
        if (outcome == WRITTEN) {
            outcome = unpacked ? write_unpacked(lines, fields) : write_mapping(lines, &fields, 1, 0);
        }
    }
    if (outcome == WRITTEN) {
        outcome = PUT_LITERAL(&lines->buffer, ",\"sequence\":");
    }
    if (outcome == WRITTEN) {
        outcome = put_signed(&lines->buffer, numbers.sequence);
    }
    if (outcome == WRITTEN && numbers.sink_sequence != 0) {
        outcome = PUT_LITERAL(&lines->buffer, ",\"sink_sequence\":");
        if (outcome == WRITTEN) {
            outcome = put_signed(&lines->buffer, numbers.sink_sequence);
        }
    }
    if (outcome == WRITTEN) {
        outcome = PUT_LITERAL(&lines->buffer, ",\"container\":");
    }
    return outcome == WRITTEN ? put_fragment(lines, fragment, record) : outcome;
}

static Outcome
end_line(Lines *lines)
{
    Outcome outcome = PUT_LITERAL(&lines->buffer, "}\n");
    return outcome == WRITTEN ? end_piece(&lines->buffer) : outcome;
}

static inline int
is_plain_record(PyObject *record)
{
    return record != NULL && PyTuple_CheckExact(record) && PyTuple_GET_SIZE(record) == RECORD_SIZE
           && PyTuple_GET_ITEM(record, EXTRAS) == Py_None;
}

/* Write all of a line but its end, with *context* in place of the record's or, if it is a plain dict, added to that.
   The caller holds the record, but not the context. */
static Outcome
write_with_context(Lines *lines, PyObject *record, PyObject *context, Numbers numbers)
{
    LineEncoder *encoder = lines->encoder;
    PyObject *origin = PyTuple_GET_ITEM(record, ORIGIN), *ambient = PyTuple_GET_ITEM(record, AMBIENT);
    if (!Py_IS_TYPE(origin, encoder->origin_type) || !Py_IS_TYPE(ambient, encoder->ambient_type)) {
        return LEFT;
    }
    PyObject *values = SLOT(ambient, encoder->ambient_values), *bound = SLOT(origin, encoder->origin_bound);
    if (values == NULL || bound == NULL || !is_mapping(encoder, values) || !is_mapping(encoder, bound)) {
        return LEFT;
    }
    int added = PyDict_CheckExact(context);
    if (!added && context == values && PyDict_GET_SIZE(bound) == 0) {
        return write_record(lines, record, &lines->shared, numbers);
    }
    if (added && PyDict_GET_SIZE(context) == 0) {
        return LEFT;
    }
    /* What is empty does not have to be looked through. */
    PyObject *layers[3];
    int count = 0;
    if (added && PyDict_GET_SIZE(values) > 0) {
        layers[count++] = Py_NewRef(values);
    }
    if (added && PyDict_GET_SIZE(bound) > 0) {
        layers[count++] = Py_NewRef(bound);
    }
    if (PyDict_GET_SIZE(context) > 0) {
        layers[count++] = Py_NewRef(context);
    }
    Outcome outcome = write_record(lines, record, &lines->identity, numbers);
    if (outcome == WRITTEN && count > 0) {
        outcome = PUT_LITERAL(&lines->buffer, ",\"context\":");
        if (outcome == WRITTEN) {
            outcome = write_mapping(lines, layers, count, 0);
        }
    }
    while (count > 0) {
        Py_DECREF(layers[--count]);
    }
    return outcome;
}

/* Write the line of an event, which is the record that it was made of and what plugins have done to its context. */
static Outcome
write_event(Lines *lines, PyObject *event)
{
    LineEncoder *encoder = lines->encoder;
    PyObject *record = SLOT(event, encoder->event_record), *context = SLOT(event, encoder->event_context);
    Numbers numbers;
    if (!is_plain_record(record) || context == NULL
        || !read_number(SLOT(event, encoder->event_sequence), &numbers.sequence)
        || !read_number(SLOT(event, encoder->event_sink_sequence), &numbers.sink_sequence)
        || (context != Py_None && !is_mapping(encoder, context))) {
        return LEFT;
    }
    Py_INCREF(record);
    Outcome outcome = context == Py_None ? write_record(lines, record, &lines->shared, numbers)
                                         : write_with_context(lines, record, context, numbers);
    Py_DECREF(record);
    return outcome;
}

/* Write what the function *line* in Python makes of *item*. */
static Outcome
write_by_line(Lines *lines, PyObject *line, PyObject *item, PyObject *first_sequence, Py_ssize_t index)
{
    PyObject *position = PyLong_FromSsize_t(index);
    PyObject *sequence = position == NULL ? NULL : PyNumber_Add(first_sequence, position);
    Py_XDECREF(position);
    if (sequence == NULL) {
        return FAILED;
    }
    PyObject *arguments[] = {item, sequence};
    PyObject *encoded = PyObject_Vectorcall(line, arguments, 2, NULL);
    Py_DECREF(sequence);
    if (encoded == NULL) {
        return FAILED;
    }
    Outcome outcome = FAILED;
    if (PyBytes_CheckExact(encoded)) {
        outcome = put(&lines->buffer, PyBytes_AS_STRING(encoded), PyBytes_GET_SIZE(encoded));
    }
    else {
        PyErr_Format(PyExc_TypeError, "a line is bytes, not %R", Py_TYPE(encoded));
    }
    Py_DECREF(encoded);
    return outcome;
}

Outcome
write_lines(Lines *lines, PyObject *items, PyObject *first_sequence, PyObject *line)
{
    LineEncoder *encoder = lines->encoder;
    int overflow = 1;
    long long first = PyLong_CheckExact(first_sequence) ? PyLong_AsLongLongAndOverflow(first_sequence, &overflow) : 0;
    int numbered = overflow == 0 && first <= LLONG_MAX / 2;
    Outcome outcome = WRITTEN;
    /* A list may be changed by what is asked from Python. */
    for (Py_ssize_t index = 0; outcome == WRITTEN && index < PySequence_Fast_GET_SIZE(items); index++) {
        PyObject *item = Py_NewRef(PySequence_Fast_GET_ITEM(items, index));
        begin_piece(&lines->buffer);
        outcome = LEFT;
        if (Py_IS_TYPE(item, encoder->event_type)) {
            outcome = write_event(lines, item);
        }
        else if (numbered && is_plain_record(item)) {
            outcome = write_record(lines, item, &lines->shared, (Numbers){.sequence = first + index});
        }
        if (outcome == WRITTEN) {
            outcome = end_line(lines);
        }
        if (outcome == LEFT) {
            forget_fragment_in_piece(lines, &lines->shared);
            forget_fragment_in_piece(lines, &lines->identity);
            lines->buffer.position = lines->buffer.piece;
            outcome = write_by_line(lines, line, item, first_sequence, index);
        }
        Py_DECREF(item);
    }
    return outcome;
}
