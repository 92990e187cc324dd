/* Method: the base of methods that make plain calls themselves; see methods.h. */

#include "methods.h"

static PyObject *
bind(PyObject *method, PyObject *instance, PyObject *Py_UNUSED(type))
{
    return instance == NULL ? Py_NewRef(method) : PyMethod_New(method, instance);
}

static PyObject *
attribute_of_function(PyObject *method, void *name)
{
    return PyObject_GetAttrString(((Method *)method)->python, name);
}

PyGetSetDef method_getset[] = {
    {"__doc__", attribute_of_function, NULL, NULL, "__doc__"},
    {"__name__", attribute_of_function, NULL, NULL, "__name__"},
    {"__qualname__", attribute_of_function, NULL, NULL, "__qualname__"},
    {"__module__", attribute_of_function, NULL, NULL, "__module__"},
    {NULL},
};

static PyMemberDef members[] = {
    {"__wrapped__", T_OBJECT, offsetof(Method, python), READONLY, NULL},
    {NULL},
};

static PyObject *
show(PyObject *method)
{
    return PyObject_Repr(((Method *)method)->python);
}

static int
traverse(Method *method, visitproc visit, void *arg)
{
    Py_VISIT(method->python);
    return 0;
}

static int
clear(Method *method)
{
    Py_CLEAR(method->python);
    return 0;
}

static void
release(Method *method)
{
    PyObject_GC_UnTrack(method);
    clear(method);
    Py_TYPE(method)->tp_free(method);
}

PyTypeObject MethodType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "fapilog._accelerator.Method",
    .tp_basicsize = sizeof(Method),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_METHOD_DESCRIPTOR
                | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_vectorcall_offset = offsetof(Method, call),
    .tp_call = PyVectorcall_Call,
    .tp_descr_get = bind,
    .tp_traverse = (traverseproc)traverse,
    .tp_clear = (inquiry)clear,
    .tp_dealloc = (destructor)release,
    .tp_getset = method_getset,
    .tp_members = members,
    .tp_repr = show,
};

int
add_methods(PyObject *Py_UNUSED(module))
{
    return PyType_Ready(&MethodType);
}
