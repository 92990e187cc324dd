/* Whether a thread has room for more frames, which Python can only find out by trying. */

#include "accelerator.h"

long
frames_left(void)
{
    PyThreadState *thread = PyThreadState_Get();
#if PY_VERSION_HEX < 0x030C0000
    return thread->recursion_remaining;
#else
    return thread->py_recursion_remaining;
#endif
}

static PyObject *
need_frames(PyObject *Py_UNUSED(module), PyObject *number)
{
    long needed = PyLong_AsLong(number);
    if (needed == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (frames_left() < needed) {
        PyErr_SetString(PyExc_RecursionError, "not enough frames are left to wake the workers");
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"need_frames", need_frames, METH_O, "Raise a RecursionError unless the thread has room for so many frames."},
    {NULL},
};

int
add_frames(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
