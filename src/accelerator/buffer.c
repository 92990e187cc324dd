/* The buffer where it begins, grows and ends. */

#include "buffer.h"

/* Room beyond what is asked for. */
enum { SPARE = 64 };

int
begin_buffer(Buffer *buffer, Py_ssize_t size, Py_ssize_t most)
{
    buffer->bytes = PyBytes_FromStringAndSize(NULL, size);
    if (buffer->bytes == NULL) {
        return -1;
    }
    buffer->position = buffer->piece = PyBytes_AS_STRING(buffer->bytes);
    buffer->end = buffer->position + size;
    buffer->most = most;
    return 0;
}

Outcome
grow(Buffer *buffer, Py_ssize_t room)
{
    char *start = PyBytes_AS_STRING(buffer->bytes);
    Py_ssize_t used = buffer->position - start, piece = buffer->piece - start;
    if (used - piece > buffer->most) {
        return LEFT;
    }
    if (room > PY_SSIZE_T_MAX / 4 - used) {
        PyErr_NoMemory();
        return FAILED;
    }
    Py_ssize_t size = used + (room > used ? room : used) + SPARE;
    if (_PyBytes_Resize(&buffer->bytes, size) < 0) {
        return FAILED;
    }
    start = PyBytes_AS_STRING(buffer->bytes);
    buffer->position = start + used;
    buffer->piece = start + piece;
    buffer->end = start + size;
    return WRITTEN;
}

PyObject *
end_buffer(Buffer *buffer)
{
    _PyBytes_Resize(&buffer->bytes, buffer->position - PyBytes_AS_STRING(buffer->bytes));
    return buffer->bytes;
}

Outcome
leave_error(void)
{
    if (!PyErr_ExceptionMatches(PyExc_Exception)) {
        return FAILED;
    }
    PyErr_Clear();
    return LEFT;
}
