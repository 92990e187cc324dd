/* What bytes are written into, of which nobody else knows before all of them are there. */

#ifndef FAPILOG_BUFFER_H
#define FAPILOG_BUFFER_H

#include "accelerator.h"

#include <string.h>

/* What became of an attempt to write: written; an exception is set; what was begun is left to Python. */
typedef enum { FAILED = -1, WRITTEN, LEFT } Outcome;

typedef struct {
    PyObject *bytes;
    char *position;
    char *end;
    /* Where the piece that is being written begins, and the most bytes of one; what is longer is left to Python. */
    char *piece;
    Py_ssize_t most;
} Buffer;

/* Begin a buffer with room for *size* bytes; return -1 with an exception if there is no memory for it. */
int begin_buffer(Buffer *buffer, Py_ssize_t size, Py_ssize_t most);

/* Return what was written, and give the rest of the room back. */
PyObject *end_buffer(Buffer *buffer);

/* Leave to Python what has raised an exception; one that is no Exception, such as KeyboardInterrupt, goes up. */
Outcome leave_error(void);

Outcome grow(Buffer *buffer, Py_ssize_t room);

/* See that *room* more bytes can be written. */
static inline Outcome
reserve(Buffer *buffer, Py_ssize_t room)
{
    return room <= buffer->end - buffer->position ? WRITTEN : grow(buffer, room);
}

static inline Outcome
put(Buffer *buffer, const char *data, Py_ssize_t size)
{
    Outcome outcome = reserve(buffer, size);
    if (outcome == WRITTEN) {
        memcpy(buffer->position, data, (size_t)size);
        buffer->position += size;
    }
    return outcome;
}

#define PUT_LITERAL(buffer, literal) put(buffer, literal, sizeof(literal) - 1)

static inline Outcome
put_character(Buffer *buffer, char character)
{
    Outcome outcome = reserve(buffer, 1);
    if (outcome == WRITTEN) {
        *buffer->position++ = character;
    }
    return outcome;
}

static inline void
begin_piece(Buffer *buffer)
{
    buffer->piece = buffer->position;
}

/* Return whether the piece that is now complete is short enough. */
static inline Outcome
end_piece(Buffer *buffer)
{
    return buffer->position - buffer->piece > buffer->most ? LEFT : WRITTEN;
}

#endif
