/* Writes: a thread's plain writes to a descriptor, which need the interpreter neither to begin nor to end.

   A thread that wants the interpreter from a busy event loop gets it when the loop waits, or after some milliseconds.
   Until then each system call of the loop that lets go of it wakes the thread in vain, and both pay for that: for a
   service that logs, more than for all the rest of its logging. So the thread stays in ``run``, without the
   interpreter, from one write to the next, and tells the loop through a descriptor. */

#include "accelerator.h"

#ifdef __linux__

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { IDLE, BEGUN, DONE };

typedef struct {
    PyObject_HEAD
    sem_t woken;       /* posted once for each write that was begun, and once for each interruption */
    atomic_int state;  /* between BEGUN and DONE, what follows belongs to the thread, but for the interruptions */
    atomic_int interruptions;
    int told;
    int descriptor;
    double patience;
    PyObject *payload;
    const char *bytes;
    Py_ssize_t position, end;
} Writes;

static double
monotonic(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Return whether the pipe takes *size* bytes without a wait, if nobody else writes into it at the same time. */
static int
has_room(int descriptor, Py_ssize_t size)
{
    int unread;
    if (size <= PIPE_BUF) {
        return 1; /* of so few, it takes all or none (pipe(7)) */
    }
    return ioctl(descriptor, FIONREAD, &unread) == 0 && unread == 0 && fcntl(descriptor, F_GETPIPE_SZ) >= size;
}

/* Not without the interpreter: to have it back from a busy thread would take longer than the write. */
static PyObject *
write_at_once(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    PyObject *payload;
    int descriptor;
    if (!PyArg_ParseTuple(arguments, "iS", &descriptor, &payload)) {
        return NULL;
    }
    Py_ssize_t size = PyBytes_GET_SIZE(payload);
    ssize_t written = has_room(descriptor, size) ? write(descriptor, PyBytes_AS_STRING(payload), (size_t)size) : 0;
    return PyLong_FromSsize_t(written > 0 ? written : 0);
}

/* Wait until a write can do something; return 0 if that was not in time, else 1, or -1 with errno. */
static int
wait_for_reader(int descriptor, double deadline)
{
    struct pollfd waited = {.fd = descriptor, .events = POLLOUT};
    for (;;) {
        double left = deadline - monotonic();
        int ready = poll(&waited, 1, left > 0.0 ? (int)(left * 1000.0) + 1 : 0);
        if (ready >= 0 || errno != EINTR) {
            return ready;
        }
    }
}

/* Write all that is left; return 0, or the errno of what stopped it: ETIMEDOUT if the reader did not read in time. */
static int
write_all(Writes *writes)
{
    double deadline = -1.0;
    while (writes->position < writes->end) {
        ssize_t written =
            write(writes->descriptor, writes->bytes + writes->position, (size_t)(writes->end - writes->position));
        if (written >= 0) {
            writes->position += written;
            continue;
        }
        if (errno == EINTR) {
            continue;
        }
        if (errno != EAGAIN && errno != EWOULDBLOCK) {
            return errno;
        }
        if (deadline < 0.0) {
            deadline = monotonic() + writes->patience;
        }
        int ready = wait_for_reader(writes->descriptor, deadline);
        if (ready <= 0) {
            return ready == 0 ? ETIMEDOUT : errno;
        }
    }
    return 0;
}

static void
tell_loop(Writes *writes)
{
    uint64_t one = 1;
    atomic_store(&writes->state, DONE);
    /* It fails only if the counter is full, and then the loop has been told. */
    ssize_t ignored = write(writes->told, &one, sizeof one);
    (void)ignored;
}

static PyObject *
run(Writes *writes, PyObject *Py_UNUSED(ignored))
{
    int error = 0;
    Py_BEGIN_ALLOW_THREADS
    for (;;) {
        while (sem_wait(&writes->woken) < 0) {
        }
        if (atomic_load(&writes->state) == BEGUN) {
            error = write_all(writes);
            if (error != 0) {
                break;
            }
            tell_loop(writes);
        }
        else if (atomic_load(&writes->interruptions) > 0) {
            atomic_fetch_sub(&writes->interruptions, 1);
            break;
        }
    }
    Py_END_ALLOW_THREADS
    if (error == 0) {
        Py_RETURN_NONE;
    }
    return Py_BuildValue("ni", writes->position, error);
}

static PyObject *
end(Writes *writes, PyObject *Py_UNUSED(ignored))
{
    tell_loop(writes);
    Py_RETURN_NONE;
}

static PyObject *
begin(Writes *writes, PyObject *arguments)
{
    PyObject *payload;
    int descriptor;
    double patience;
    if (!PyArg_ParseTuple(arguments, "iSd", &descriptor, &payload, &patience)) {
        return NULL;
    }
    if (atomic_load(&writes->state) != IDLE) {
        PyErr_SetString(PyExc_RuntimeError, "the write before it was not found done");
        return NULL;
    }
    Py_XSETREF(writes->payload, Py_NewRef(payload));
    writes->bytes = PyBytes_AS_STRING(payload);
    writes->position = 0;
    writes->end = PyBytes_GET_SIZE(payload);
    writes->descriptor = descriptor;
    writes->patience = patience;
    atomic_store(&writes->state, BEGUN);
    sem_post(&writes->woken);
    Py_RETURN_NONE;
}

static PyObject *
found_done(Writes *writes, PyObject *Py_UNUSED(ignored))
{
    if (atomic_load(&writes->state) != IDLE) {
        uint64_t times;
        /* In this order no word is lost: the thread sets the state, then tells. A word that comes between the two looks
           here ends the wait for the next write early, which then looks here again. */
        ssize_t ignored = read(writes->told, &times, sizeof times);
        (void)ignored;
        if (atomic_load(&writes->state) == DONE) {
            Py_CLEAR(writes->payload);
            atomic_store(&writes->state, IDLE);
        }
    }
    return PyBool_FromLong(atomic_load(&writes->state) == IDLE);
}

static PyObject *
interrupt(Writes *writes, PyObject *Py_UNUSED(ignored))
{
    atomic_fetch_add(&writes->interruptions, 1);
    sem_post(&writes->woken);
    Py_RETURN_NONE;
}

static PyObject *
number_of_told(Writes *writes, PyObject *Py_UNUSED(ignored))
{
    return PyLong_FromLong(writes->told);
}

static PyObject *
close_told(Writes *writes, PyObject *Py_UNUSED(ignored))
{
    if (writes->told >= 0) {
        close(writes->told);
        writes->told = -1;
    }
    Py_RETURN_NONE;
}

static PyObject *
new_writes(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {NULL};
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "", names)) {
        return NULL;
    }
    Writes *writes = (Writes *)type->tp_alloc(type, 0);
    if (writes == NULL) {
        return NULL;
    }
    sem_init(&writes->woken, 0, 0);
    writes->told = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (writes->told < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        Py_CLEAR(writes);
    }
    return (PyObject *)writes;
}

/* Not while the thread is in ``run``, which holds a reference. */
static void
free_writes(Writes *writes)
{
    Py_CLEAR(writes->payload);
    sem_destroy(&writes->woken);
    if (writes->told >= 0) {
        close(writes->told);
    }
    Py_TYPE(writes)->tp_free(writes);
}

static PyMethodDef methods[] = {
    {"run", (PyCFunction)run, METH_NOARGS,
     "Serve the writes that are begun; return None when interrupted, or the position and errno of one that failed."},
    {"end", (PyCFunction)end, METH_NOARGS, "Let the loop find a write done that failed; in the thread."},
    {"begin", (PyCFunction)begin, METH_VARARGS, "Have all of a payload written to a descriptor; on the loop."},
    {"found_done", (PyCFunction)found_done, METH_NOARGS, "Return whether no write is on its way; on the loop."},
    {"interrupt", (PyCFunction)interrupt, METH_NOARGS, "Let one ``run`` return, after the write on its way."},
    {"close", (PyCFunction)close_told, METH_NOARGS, "Give the descriptor back, once the thread has ended."},
    {"fileno", (PyCFunction)number_of_told, METH_NOARGS, "Return what becomes readable when a write is done."},
    {NULL},
};

static PyMethodDef functions[] = {
    {"write_at_once", write_at_once, METH_VARARGS,
     "Write to a pipe that was opened non-blocking if it has room for all; return the number of bytes written."},
    {NULL},
};

static PyTypeObject WritesType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "fapilog._accelerator.Writes",
    .tp_doc = "A thread's plain writes to a descriptor, one at a time.",
    .tp_basicsize = sizeof(Writes),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = new_writes,
    .tp_dealloc = (destructor)free_writes,
    .tp_methods = methods,
};

int
add_writes(PyObject *module)
{
    return PyModule_AddFunctions(module, functions) < 0 ? -1 : PyModule_AddType(module, &WritesType);
}

#else

int
add_writes(PyObject *module)
{
    (void)module;
    return 0;
}

#endif
