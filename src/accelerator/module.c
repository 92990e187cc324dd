/* fapilog._accelerator: the plain case of the log call and of most lines, in C. */

#include "accelerator.h"

int
find_slot(PyObject *type, const char *name, Py_ssize_t *offset)
{
    PyObject *descriptor = PyObject_GetAttrString(type, name);
    if (descriptor == NULL) {
        return -1;
    }
    int found = Py_IS_TYPE(descriptor, &PyMemberDescr_Type);
    if (found) {
        PyMemberDef *member = ((PyMemberDescrObject *)descriptor)->d_member;
        found = member->type == T_OBJECT_EX;
        *offset = member->offset;
    }
    Py_DECREF(descriptor);
    if (!found) {
        PyErr_Format(PyExc_TypeError, "%R has no slot %s", type, name);
        return -1;
    }
    return 0;
}

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "fapilog._accelerator",
    .m_doc = "The plain case of the log call and of most lines, in C.",
    .m_size = -1,
};

PyMODINIT_FUNC
PyInit__accelerator(void)
{
    PyObject *module = PyModule_Create(&definition);
    if (module != NULL
        && (add_methods(module) < 0 || add_calls(module) < 0 || add_cards(module) < 0 || add_contexts(module) < 0
            || add_events(module) < 0 || add_frames(module) < 0 || add_ibans(module) < 0 || add_lines(module) < 0
            || add_name_runs(module) < 0 || add_pairs(module) < 0 || add_redaction(module) < 0 || add_spans(module) < 0
            || add_text_screens(module) < 0 || add_unquoting(module) < 0 || add_values(module) < 0
            || add_writes(module) < 0)) {
        Py_CLEAR(module);
    }
    return module;
}
