/* What the parts of LineEncoder share.

   What is asked from Python may run any code: a time zone's, for one. Everything that is looked at after such a call is
   therefore held by a reference of its own, or is part of a tuple that is. */

#ifndef FAPILOG_LINES_H
#define FAPILOG_LINES_H

#include "buffer.h"
#include "known_names.h"
#include "timestamps.h"

typedef struct {
    PyObject_HEAD
    PyTypeObject *event_type;
    PyTypeObject *origin_type;
    PyTypeObject *ambient_type;
    PyTypeObject *mapping_type;
    PyObject *other_types;
    PyObject *levels;
    PyObject *shared;
    PyObject *identity;
    PyObject *number;
    PyObject *other;
    Py_ssize_t most;
    Py_ssize_t usual_line;
    Py_ssize_t event_record, event_context, event_sequence, event_sink_sequence;
    Py_ssize_t origin_bound, origin_cache, ambient_values, ambient_correlation_id;
    /* What stands before each value of a call with these names. */
    KnownNames keys[KNOWN_NAMES];
} LineEncoder;

/* What lines have in common, as it was written last: for these three objects, and no others. It is bytes that were
   asked from Python, or else stands in the buffer. */
typedef struct {
    PyObject *ask;
    int with_context;
    PyObject *origin;
    PyObject *ambient;
    PyObject *task;
    PyObject *encoded;
    Py_ssize_t offset;
    Py_ssize_t size;
} Fragment;

/* The lines of one batch while they are written. */
typedef struct {
    Buffer buffer;
    LineEncoder *encoder;
    Fragment shared;
    Fragment identity;
    Timestamp timestamp;
} Lines;

/* json_texts.c: write a text as JSON; one with a surrogate, or longer than a line, is left to Python. */
Outcome put_json_text(Buffer *buffer, PyObject *text);

/* timestamps.c: write a time in nanoseconds as RFC 3339 text; one outside the years 1 to 9999 is left to Python. */
Outcome put_timestamp(Buffer *buffer, Timestamp *timestamp, PyObject *time_ns);

/* json_values.c: write *layers*, which the caller holds, as one mapping: a key has its place from the first layer that
   has it, and its value from the last one, as in ``{**one, **two}``. It stands inside of *depth* containers. */
Outcome write_mapping(Lines *lines, PyObject *const *layers, int count, int depth);

/* Write the names and values of a call, which the caller holds, as a mapping. There is at least one. */
Outcome write_unpacked(Lines *lines, PyObject *fields);

/* fragments.c: see to what it needs, once. */
int add_fragments(PyObject *module);

/* Write the members that a record has in common with others, with its context or without. */
Outcome put_fragment(Lines *lines, Fragment *fragment, PyObject *record);

/* Forget a fragment that stands in the piece which is given up. */
void forget_fragment_in_piece(Lines *lines, Fragment *fragment);

void clear_fragment(Fragment *fragment);

/* lines.c: write the lines of *items*; *line* is the function in Python that makes those left to it. */
Outcome write_lines(Lines *lines, PyObject *items, PyObject *first_sequence, PyObject *line);

/* Return whether *value* is a mapping of one of the two classes that events hold. */
static inline int
is_mapping(LineEncoder *encoder, PyObject *value)
{
    return PyDict_CheckExact(value) || Py_IS_TYPE(value, encoder->mapping_type);
}

#endif
