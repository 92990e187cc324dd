/* Added: the block of ``log.context(...)``, as the class of that name in context.py; and the method that returns it.

   It is entered for each request of a server. Fields that need no freezing are put over the context here; for all
   others, and for a context of its own correlation id, ``extended`` is asked. */

#include "contexts.h"
#include "methods.h"
#include "values.h"

typedef struct {
    PyObject_HEAD
    Contexts *contexts;
    PyObject *variable;
    PyObject *fields;
    PyObject *token;
} Added;

static PyTypeObject AddedType;

/* -- the context inside */

PyObject *
new_mapping(Contexts *contexts, PyObject *values)
{
    PyObject *mapping = contexts->mapping_type->tp_new(contexts->mapping_type, contexts->nothing, NULL);
    if (mapping != NULL && PyDict_GET_SIZE(values) > 0 && PyDict_Update(mapping, values) < 0) {
        Py_CLEAR(mapping);
    }
    return mapping;
}

PyObject *
new_ambient(Contexts *contexts, PyObject *values, PyObject *correlation_id, PyObject *scope)
{
    PyObject *cache = values == NULL ? NULL : PyDict_New();
    PyObject *ambient = cache == NULL ? NULL : contexts->ambient_type->tp_alloc(contexts->ambient_type, 0);
    if (ambient == NULL) {
        Py_XDECREF(values);
        Py_XDECREF(cache);
        return NULL;
    }
    SLOT(ambient, contexts->ambient_values) = values;
    SLOT(ambient, contexts->ambient_correlation_id) = Py_NewRef(correlation_id);
    SLOT(ambient, contexts->ambient_scope) = Py_NewRef(scope);
    SLOT(ambient, contexts->ambient_cache) = cache;
    if (scope == Py_None) {
        /* As its records in calls.c: what it holds is frozen or, as what is kept in the cache, leads to nothing that
           holds it. */
        PyObject_GC_UnTrack(values);
        PyObject_GC_UnTrack(ambient);
    }
    return ambient;
}

/* Return an ambient context with *fields* over *values*. */
static PyObject *
make_ambient(Contexts *contexts, PyObject *values, PyObject *fields, PyObject *correlation_id, PyObject *scope)
{
    PyObject *mapping = new_mapping(contexts, values);
    if (mapping != NULL && PyDict_Update(mapping, fields) < 0) {
        Py_CLEAR(mapping);
    }
    return new_ambient(contexts, mapping, correlation_id, scope);
}

/* Return what ``extended`` makes of a context, by *fields* that need a closer look. */
static PyObject *
ask_for_extended(Contexts *contexts, PyObject *current, PyObject *fields)
{
    /* A mapping of the frozen class would be taken to be frozen. */
    PyObject *unfrozen = PyDict_Copy(fields);
    PyObject *extended = NULL;
    if (unfrozen != NULL) {
        extended = PyObject_CallFunctionObjArgs(contexts->extended, current, unfrozen, NULL);
        Py_DECREF(unfrozen);
    }
    return extended;
}

/* Return *current* with *fields* over it, which nobody changes any more. */
static PyObject *
extend(Contexts *contexts, PyObject *current, PyObject *fields)
{
    if (current == contexts->inside_plugin) {
        return Py_NewRef(current);
    }
    PyObject *values = NULL, *correlation_id = NULL, *scope = NULL;
    int plain = Py_IS_TYPE(current, contexts->ambient_type) && PyDict_GET_SIZE(fields) > 0;
    if (plain) {
        values = SLOT(current, contexts->ambient_values);
        correlation_id = SLOT(current, contexts->ambient_correlation_id);
        scope = SLOT(current, contexts->ambient_scope);
        plain = values != NULL && correlation_id != NULL && scope != NULL && Py_IS_TYPE(values, contexts->mapping_type)
                && needs_no_freezing(fields, (PyObject *)contexts->mapping_type);
    }
    /* The keys are texts: comparing them runs nothing. */
    int has_own = plain ? PyDict_Contains(fields, contexts->correlation_id) : 0;
    if (has_own < 0) {
        return NULL;
    }
    if (!plain || has_own) {
        return ask_for_extended(contexts, current, fields);
    }
    if (Py_IS_TYPE(fields, contexts->mapping_type) && PyDict_GET_SIZE(values) == 0) {
        return new_ambient(contexts, Py_NewRef(fields), correlation_id, scope);
    }
    return make_ambient(contexts, values, fields, correlation_id, scope);
}

/* -- the block */

static PyObject *
enter(Added *added, PyObject *Py_UNUSED(none))
{
    if (added->token != NULL) {
        PyErr_SetString(PyExc_RuntimeError, "a context can be entered once only; call 'context' again");
        return NULL;
    }
    PyObject *current;
    if (PyContextVar_Get(added->variable, NULL, &current) < 0) {
        return NULL;
    }
    if (current == NULL) {
        PyErr_SetObject(PyExc_LookupError, added->variable);
        return NULL;
    }
    PyObject *inside = extend(added->contexts, current, added->fields);
    Py_DECREF(current);
    if (inside == NULL) {
        return NULL;
    }
    PyObject *token = PyContextVar_Set(added->variable, inside);
    Py_DECREF(inside);
    if (token == NULL) {
        return NULL;
    }
    Py_XSETREF(added->token, token);
    Py_RETURN_NONE;
}

static PyObject *
leave(Added *added, PyObject *const *Py_UNUSED(error), Py_ssize_t Py_UNUSED(count))
{
    if (added->token == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "a context has to be entered before it is left");
        return NULL;
    }
    if (PyContextVar_Reset(added->variable, added->token) < 0) {
        if (!PyErr_ExceptionMatches(PyExc_ValueError)) {
            return NULL;
        }
        PyErr_Clear(); /* left in another context than entered, as generators do; that context keeps its own value */
    }
    Py_RETURN_NONE;
}

static int
traverse_added(Added *added, visitproc visit, void *arg)
{
    Py_VISIT(added->contexts);
    Py_VISIT(added->variable);
    Py_VISIT(added->fields);
    Py_VISIT(added->token);
    return 0;
}

static int
clear_added(Added *added)
{
    Py_CLEAR(added->contexts);
    Py_CLEAR(added->variable);
    Py_CLEAR(added->fields);
    Py_CLEAR(added->token);
    return 0;
}

static void
free_added(Added *added)
{
    PyObject_GC_UnTrack(added);
    clear_added(added);
    Py_TYPE(added)->tp_free(added);
}

static PyMethodDef added_methods[] = {
    {"__enter__", (PyCFunction)enter, METH_NOARGS, NULL},
    {"__exit__", (PyCFunction)(void (*)(void))leave, METH_FASTCALL, NULL},
    {NULL},
};

static PyTypeObject AddedType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "fapilog._accelerator.Added",
    .tp_doc = "Fields over the ambient context inside a block; see fapilog.context.Added.",
    .tp_basicsize = sizeof(Added),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_methods = added_methods,
    .tp_traverse = (traverseproc)traverse_added,
    .tp_clear = (inquiry)clear_added,
    .tp_dealloc = (destructor)free_added,
};

/* -- what makes blocks */

/* Takes the reference to *fields*. */
static PyObject *
new_added(Contexts *contexts, PyObject *variable, PyObject *fields)
{
    Added *added = (Added *)AddedType.tp_alloc(&AddedType, 0);
    if (added == NULL) {
        Py_DECREF(fields);
        return NULL;
    }
    added->contexts = (Contexts *)Py_NewRef(contexts);
    added->variable = Py_NewRef(variable);
    added->fields = fields;
    return (PyObject *)added;
}

static PyObject *
make_added(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    if (count != 2 || !PyContextVar_CheckExact(arguments[0]) || !PyDict_CheckExact(arguments[1])) {
        PyErr_SetString(PyExc_TypeError, "a block takes a context variable and a dict of fields");
        return NULL;
    }
    return new_added((Contexts *)self, arguments[0], Py_NewRef(arguments[1]));
}

/* ``context`` of loggers: its keywords are fields, but for *option*, with which it is called in Python. */
typedef struct {
    Method method;
    Contexts *contexts;
    PyTypeObject *logger_type;
    PyObject *option;
    Py_ssize_t logger_variable;
} AddingMethod;

static PyTypeObject AddingMethodType;

static int
are_fields(PyObject *names, PyObject *option)
{
    for (Py_ssize_t index = 0; index < PyTuple_GET_SIZE(names); index++) {
        PyObject *name = PyTuple_GET_ITEM(names, index);
        /* Interned names are the same object if they are equal. Those in a program's text are interned. */
        if (name == option || !PyUnicode_CheckExact(name) || !PyUnicode_CHECK_INTERNED(name)) {
            return 0;
        }
    }
    return 1;
}

static PyObject *
add_fields(PyObject *self, PyObject *const *arguments, size_t flags, PyObject *names)
{
    AddingMethod *method = (AddingMethod *)self;
    Contexts *contexts = method->contexts;
    if (PyVectorcall_NARGS(flags) != 1 || !PyObject_TypeCheck(arguments[0], method->logger_type) || names == NULL
        || !are_fields(names, method->option)) {
        return PyObject_Vectorcall(method->method.python, arguments, flags, names);
    }
    PyObject *variable = SLOT(arguments[0], method->logger_variable);
    if (variable == NULL || !PyContextVar_CheckExact(variable)) {
        return PyObject_Vectorcall(method->method.python, arguments, flags, names);
    }
    PyObject *fields = contexts->mapping_type->tp_new(contexts->mapping_type, contexts->nothing, NULL);
    for (Py_ssize_t index = 0; fields != NULL && index < PyTuple_GET_SIZE(names); index++) {
        if (PyDict_SetItem(fields, PyTuple_GET_ITEM(names, index), arguments[1 + index]) < 0) {
            Py_CLEAR(fields);
        }
    }
    return fields == NULL ? NULL : new_added(contexts, variable, fields);
}

static int
traverse_adding(AddingMethod *method, visitproc visit, void *arg)
{
    Py_VISIT(method->contexts);
    Py_VISIT(method->logger_type);
    return MethodType.tp_traverse((PyObject *)method, visit, arg);
}

static int
clear_adding(AddingMethod *method)
{
    Py_CLEAR(method->contexts);
    Py_CLEAR(method->logger_type);
    Py_CLEAR(method->option);
    return MethodType.tp_clear((PyObject *)method);
}

static void
free_adding(AddingMethod *method)
{
    PyObject_GC_UnTrack(method);
    clear_adding(method);
    Py_TYPE(method)->tp_free(method);
}

static PyTypeObject AddingMethodType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "fapilog._accelerator.AddingMethod",
    .tp_base = &MethodType,
    .tp_getset = method_getset,
    .tp_basicsize = sizeof(AddingMethod),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_traverse = (traverseproc)traverse_adding,
    .tp_clear = (inquiry)clear_adding,
    .tp_dealloc = (destructor)free_adding,
};

static PyObject *
adding(Contexts *contexts, PyObject *arguments)
{
    PyObject *python, *logger_type, *option;
    Py_ssize_t logger_variable;
    if (!PyArg_ParseTuple(arguments, "OO!U", &python, &PyType_Type, &logger_type, &option)
        || find_slot(logger_type, "_variable", &logger_variable) < 0) {
        return NULL;
    }
    AddingMethod *method = PyObject_GC_New(AddingMethod, &AddingMethodType);
    if (method == NULL) {
        return NULL;
    }
    method->method.call = add_fields;
    method->method.python = Py_NewRef(python);
    method->contexts = (Contexts *)Py_NewRef(contexts);
    method->logger_type = (PyTypeObject *)Py_NewRef(logger_type);
    method->option = Py_NewRef(option);
    PyUnicode_InternInPlace(&method->option);
    method->logger_variable = logger_variable;
    PyObject_GC_Track(method);
    return (PyObject *)method;
}

/* Give the dicts among *fields* the frozen class; each value is replaced by one that is equal. */
static int
freeze_dicts(Contexts *contexts, PyObject *fields)
{
    PyObject *name, *value;
    Py_ssize_t position = 0;
    while (PyDict_Next(fields, &position, &name, &value)) {
        if (!PyDict_CheckExact(value)) {
            continue;
        }
        PyObject *frozen = PyObject_CallNoArgs((PyObject *)contexts->mapping_type);
        /* The number of fields stays, so that the next one is found. */
        int failed = frozen == NULL || PyDict_Update(frozen, value) < 0 || PyDict_SetItem(fields, name, frozen) < 0;
        Py_XDECREF(frozen);
        if (failed) {
            return -1;
        }
    }
    return 0;
}

/* Return the first argument with the fields of the second over it and the third as its scope. */
static PyObject *
over(Contexts *contexts, PyObject *const *arguments, Py_ssize_t count)
{
    if (count != 3 || !Py_IS_TYPE(arguments[0], contexts->ambient_type) || !PyDict_Check(arguments[1])) {
        PyErr_SetString(PyExc_TypeError, "an ambient context, a dict of fields and a scope are asked for");
        return NULL;
    }
    PyObject *values = SLOT(arguments[0], contexts->ambient_values);
    PyObject *correlation_id = SLOT(arguments[0], contexts->ambient_correlation_id);
    if (values == NULL || correlation_id == NULL || !PyDict_Check(values)) {
        PyErr_SetString(PyExc_TypeError, "the ambient context is not complete");
        return NULL;
    }
    if (freeze_dicts(contexts, arguments[1]) < 0) {
        return NULL;
    }
    return make_ambient(contexts, values, arguments[1], correlation_id, arguments[2]);
}

static PyMethodDef make_added_method = {
    "added",
    (PyCFunction)(void (*)(void))make_added,
    METH_FASTCALL,
    "Return a block with these fields over the value of this context variable.",
};

static int
traverse_contexts(Contexts *contexts, visitproc visit, void *arg)
{
    Py_VISIT(contexts->ambient_type);
    Py_VISIT(contexts->mapping_type);
    Py_VISIT(contexts->inside_plugin);
    Py_VISIT(contexts->extended);
    Py_VISIT(contexts->correlation_id);
    Py_VISIT(contexts->nothing);
    return 0;
}

static int
clear_contexts(Contexts *contexts)
{
    Py_CLEAR(contexts->ambient_type);
    Py_CLEAR(contexts->mapping_type);
    Py_CLEAR(contexts->inside_plugin);
    Py_CLEAR(contexts->extended);
    Py_CLEAR(contexts->correlation_id);
    Py_CLEAR(contexts->nothing);
    return 0;
}

static void
free_contexts(Contexts *contexts)
{
    PyObject_GC_UnTrack(contexts);
    clear_contexts(contexts);
    Py_TYPE(contexts)->tp_free(contexts);
}

static PyMethodDef contexts_methods[] = {
    {"adding", (PyCFunction)adding, METH_VARARGS,
     "Return ``context`` of loggers, with *python* for a call that has *option* or is not plain."},
    {NULL},
};

PyTypeObject ContextsType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "fapilog._accelerator.Contexts",
    .tp_doc = "What the blocks of ``log.context(...)`` have in common.",
    .tp_methods = contexts_methods,
    .tp_basicsize = sizeof(Contexts),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_traverse = (traverseproc)traverse_contexts,
    .tp_clear = (inquiry)clear_contexts,
    .tp_dealloc = (destructor)free_contexts,
};

static PyMethodDef over_method = {
    "over",
    (PyCFunction)(void (*)(void))over,
    METH_FASTCALL,
    "Return an ambient context with frozen fields over it and another scope.",
};

static PyObject *
contexts_for(PyObject *Py_UNUSED(module), PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"ambient_type", "mapping_type", "inside_plugin", "extended", NULL};
    PyObject *ambient_type, *mapping_type, *inside_plugin, *extended;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O!O!OO", names, &PyType_Type, &ambient_type, &PyType_Type,
                                     &mapping_type, &inside_plugin, &extended)) {
        return NULL;
    }
    if (!PyType_IsSubtype((PyTypeObject *)mapping_type, &PyDict_Type)) {
        return PyErr_Format(PyExc_TypeError, "%R is no kind of dict", mapping_type);
    }
    Contexts *contexts = (Contexts *)ContextsType.tp_alloc(&ContextsType, 0);
    if (contexts == NULL) {
        return NULL;
    }
    contexts->ambient_type = (PyTypeObject *)Py_NewRef(ambient_type);
    contexts->mapping_type = (PyTypeObject *)Py_NewRef(mapping_type);
    contexts->inside_plugin = Py_NewRef(inside_plugin);
    contexts->extended = Py_NewRef(extended);
    contexts->correlation_id = PyUnicode_InternFromString("correlation_id");
    contexts->nothing = PyTuple_New(0);
    PyObject *added = NULL, *over = NULL;
    if (contexts->correlation_id != NULL && contexts->nothing != NULL && find_slot(ambient_type, "values", &contexts->ambient_values) == 0
        && find_slot(ambient_type, "correlation_id", &contexts->ambient_correlation_id) == 0
        && find_slot(ambient_type, "scope", &contexts->ambient_scope) == 0
        && find_slot(ambient_type, "cache", &contexts->ambient_cache) == 0) {
        added = PyCFunction_New(&make_added_method, (PyObject *)contexts);
        over = PyCFunction_New(&over_method, (PyObject *)contexts);
    }
    PyObject *made = added != NULL && over != NULL ? PyTuple_Pack(3, added, over, contexts) : NULL;
    Py_DECREF(contexts);
    Py_XDECREF(added);
    Py_XDECREF(over);
    return made;
}

static PyMethodDef methods[] = {
    {"contexts_for", (PyCFunction)(void (*)(void))contexts_for, METH_VARARGS | METH_KEYWORDS,
     "Return ``added(variable, fields)``, which makes blocks of ``log.context(...)``, ``over(ambient, fields, scope)``, "
     "and what both know."},
    {NULL},
};

int
add_contexts(PyObject *module)
{
    if (PyType_Ready(&AddedType) < 0 || PyType_Ready(&AddingMethodType) < 0 || PyType_Ready(&ContextsType) < 0) {
        return -1;
    }
    return PyModule_AddFunctions(module, methods);
}
