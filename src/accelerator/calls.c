/* LogMethod: ``info`` and its siblings for a plain call; Decided: what such a call returns.

   A plain call is made on the event loop's thread with a text and values that pass as they are, and finds room in the
   open chunk. It does here what ``log_method`` in calls.py does, in the same order. Every other call goes to that
   function as it came. */

#include "calls.h"
#include "methods.h"

#include <time.h>

typedef struct {
    Method method;
    Calls *calls;
    PyObject *submit;
    PyObject *accepted;
    PyObject *refused;
    PyObject *level;
    long number;
    int quick;
    int awaited;
} LogMethod;

static PyTypeObject LogMethodType;

/* -- a plain call */

static int
passes(Calls *calls, PyObject *value)
{
    PyTypeObject *type = Py_TYPE(value);
    if (type == &PyUnicode_Type || type == &PyLong_Type || type == &PyFloat_Type || type == &PyBool_Type
        || value == Py_None) {
        return 1;
    }
    for (Py_ssize_t index = 0; index < PyTuple_GET_SIZE(calls->passing); index++) {
        if ((PyObject *)type == PyTuple_GET_ITEM(calls->passing, index)) {
            return 1;
        }
    }
    return 0;
}

/* Characters of a call that are kept without a look at their size; as LONGEST_TEXT in _frozen.py. */
enum { LONGEST_TEXT = 65536 };

/* Return whether all *names* are those of fields, and none has a meaning of its own. */
static int
are_fields(Calls *calls, PyObject *names)
{
    if (find_known_names(calls->fields, names) != NULL) {
        return 1;
    }
    for (Py_ssize_t index = 0; index < PyTuple_GET_SIZE(names); index++) {
        PyObject *name = PyTuple_GET_ITEM(names, index);
        /* Interned names are the same object if they are equal. Those in a program's text are interned. */
        if (!PyUnicode_CheckExact(name) || !PyUnicode_CHECK_INTERNED(name)) {
            return 0;
        }
        for (Py_ssize_t own = 0; own < PyTuple_GET_SIZE(calls->own); own++) {
            if (name == PyTuple_GET_ITEM(calls->own, own)) {
                return 0;
            }
        }
    }
    /* The garbage collector has soon given up on those in a program's text. */
    if (!PyObject_GC_IsTracked(names) && has_place_for_names(calls->fields, names)) {
        keep_known_names(calls->fields, names, NULL);
    }
    return 1;
}

int
are_plain(Calls *calls, PyObject *message, PyObject *const *values, PyObject *names)
{
    Py_ssize_t characters = PyUnicode_GET_LENGTH(message);
    if (names != NULL && !are_fields(calls, names)) {
        return 0;
    }
    for (Py_ssize_t index = 0; names != NULL && index < PyTuple_GET_SIZE(names); index++) {
        if (!passes(calls, values[index])) {
            return 0;
        }
        if (PyUnicode_CheckExact(values[index])) {
            characters += PyUnicode_GET_LENGTH(values[index]);
        }
    }
    return characters <= LONGEST_TEXT;
}

/* Return the names with the values behind them; nothing if there are none. */
static PyObject *
unpacked_fields(PyObject *const *values, PyObject *names)
{
    Py_ssize_t count = names == NULL ? 0 : PyTuple_GET_SIZE(names);
    PyObject *fields = PyTuple_New(count == 0 ? 0 : count + 1);
    if (fields != NULL && count > 0) {
        PyTuple_SET_ITEM(fields, 0, Py_NewRef(names));
        for (Py_ssize_t index = 0; index < count; index++) {
            PyTuple_SET_ITEM(fields, index + 1, Py_NewRef(values[index]));
        }
        PyObject_GC_UnTrack(fields); /* nothing in it leads back to it */
    }
    return fields;
}

PyObject *
fields_of(PyObject *const *values, PyObject *names, PyObject *type)
{
    if (type == (PyObject *)&PyTuple_Type) {
        return unpacked_fields(values, names);
    }
    PyObject *fields = type == NULL || type == (PyObject *)&PyDict_Type ? PyDict_New() : PyObject_CallNoArgs(type);
    if (fields == NULL || names == NULL) {
        return fields;
    }
    for (Py_ssize_t index = 0; index < PyTuple_GET_SIZE(names); index++) {
        if (PyDict_SetItem(fields, PyTuple_GET_ITEM(names, index), values[index]) < 0) {
            Py_DECREF(fields);
            return NULL;
        }
    }
    return fields;
}

/* Return the name of a task of Trio's. To read it where it stands takes a quarter of what to look it up by name does. */
static PyObject *
name_of_trio_task(Calls *calls, PyObject *task)
{
    PyTypeObject *type = Py_TYPE(task);
    if (type != calls->task_type) {
        Py_XSETREF(calls->task_type, (PyTypeObject *)Py_NewRef(type));
        if (find_slot((PyObject *)type, "name", &calls->task_type_name) < 0) {
            PyErr_Clear();
            calls->task_type_name = -1;
        }
    }
    PyObject *name = calls->task_type_name < 0 ? NULL : SLOT(task, calls->task_type_name);
    return name != NULL ? Py_NewRef(name) : PyObject_GetAttr(task, calls->name);
}

PyObject *
task_name(Calls *calls, PyObject *intake)
{
    PyObject *running = SLOT(intake, calls->intake_running);
    PyObject *loop = SLOT(intake, calls->intake_loop);
    PyObject *run_context = SLOT(intake, calls->intake_run_context);
    PyObject *task, *name = NULL;
    if (running != NULL && running != Py_None && loop != NULL) {
        task = PyObject_CallOneArg(running, loop);
        if (task != NULL) {
            name = task == Py_None ? Py_NewRef(calls->no_name) : PyObject_CallMethodNoArgs(task, calls->get_name);
        }
    }
    else {
        task = run_context == NULL ? NULL : PyObject_GetItem(run_context, calls->task);
        if (task != NULL) {
            name = name_of_trio_task(calls, task);
        }
    }
    Py_XDECREF(task);
    if (name == NULL
        && (!PyErr_Occurred() || PyErr_ExceptionMatches(PyExc_LookupError) || PyErr_ExceptionMatches(PyExc_AttributeError))) {
        PyErr_Clear();
        name = Py_NewRef(calls->no_name);
    }
    return name;
}

PyObject *
time_ns(void)
{
    struct timespec now;
    if (timespec_get(&now, TIME_UTC) == 0) {
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    return PyLong_FromLongLong((long long)now.tv_sec * 1000000000 + now.tv_nsec);
}

/* Return the record of a plain call. */
static PyObject *
record_of(LogMethod *method, PyObject *origin, PyObject *intake, PyObject *ambient, PyObject *const *arguments,
          PyObject *names)
{
    PyObject *record = NULL;
    PyObject *fields = fields_of(arguments + 2, names, SLOT(intake, method->calls->intake_fields_type));
    PyObject *task = fields == NULL ? NULL : task_name(method->calls, intake);
    PyObject *now = task == NULL ? NULL : time_ns();
    if (now != NULL) {
        record = PyTuple_New(RECORD_SIZE);
    }
    if (record == NULL) {
        Py_XDECREF(fields);
        Py_XDECREF(task);
        Py_XDECREF(now);
        return NULL;
    }
    PyTuple_SET_ITEM(record, TIME_NS, now);
    PyTuple_SET_ITEM(record, LEVEL, Py_NewRef(method->level));
    PyTuple_SET_ITEM(record, MESSAGE, Py_NewRef(arguments[1]));
    PyTuple_SET_ITEM(record, FIELDS, fields);
    PyTuple_SET_ITEM(record, ORIGIN, Py_NewRef(origin));
    PyTuple_SET_ITEM(record, AMBIENT, Py_NewRef(ambient));
    PyTuple_SET_ITEM(record, TASK, task);
    PyTuple_SET_ITEM(record, EXTRAS, Py_NewRef(Py_None));
    return record;
}

/* Return whether the events logged in a context are at most to be counted, and put the scope that counts them, or NULL,
   into *scope*. */
static int
has_plain_scope(Calls *calls, PyObject *ambient, PyObject **scope)
{
    *scope = NULL;
    if (!Py_IS_TYPE(ambient, calls->ambient_type)) {
        return 0;
    }
    PyObject *found = SLOT(ambient, calls->ambient_scope);
    if (found == Py_None) {
        return 1;
    }
    if (found == NULL || !PyObject_TypeCheck(found, calls->scope_type) || SLOT(found, calls->scope_plain) != Py_True) {
        return 0;
    }
    *scope = found;
    return 1;
}

/* Count one event more. Returns -1 with an exception set if that fails. */
static int
count_event(Calls *calls, PyObject *scope)
{
    PyObject *events = PyLong_FromSsize_t(integer(SLOT(scope, calls->scope_events), 0) + 1);
    if (events == NULL) {
        return -1;
    }
    Py_XSETREF(SLOT(scope, calls->scope_events), events);
    return 0;
}

/* As _FRAMES_TO_WAKE in intake.py. */
enum { FRAMES_TO_WAKE = 16 };

int
enter_chunk(Calls *calls, PyObject *intake, PyObject *record)
{
    PyObject *chunk = SLOT(intake, calls->intake_chunk);
    if (chunk == NULL || !PyList_Check(chunk)) {
        return 0;
    }
    Py_ssize_t size = PyList_GET_SIZE(chunk), limit = integer(SLOT(intake, calls->intake_limit), 0);
    if (size < limit) {
        return PyList_Append(chunk, record) < 0 ? -1 : 1;
    }
    PyObject *task = PyTuple_GET_ITEM(record, TASK);
    if (limit == 0 || size >= integer(SLOT(intake, calls->intake_room), 0) || !PyUnicode_CheckExact(task)
        || PyUnicode_GET_LENGTH(task) == 0 || frames_left() < FRAMES_TO_WAKE) {
        return 0;
    }
    if (PyList_Append(chunk, record) < 0) {
        return -1;
    }
    PyObject *followed = PyObject_CallMethodNoArgs(intake, calls->went_beyond);
    if (followed == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_RecursionError)) {
            return -1;
        }
        PyErr_Clear(); /* the event is in the queue, and a later call wakes the workers */
    }
    Py_XDECREF(followed);
    return 1;
}

static PyObject *
log_call(PyObject *callable, PyObject *const *arguments, size_t flags, PyObject *names)
{
    LogMethod *method = (LogMethod *)callable;
    Calls *calls = method->calls;
    if (PyVectorcall_NARGS(flags) != 2) {
        goto python;
    }
    PyObject *logger = arguments[0];
    if (!PyObject_TypeCheck(logger, calls->logger_type)) {
        goto python;
    }
    PyObject *threshold = SLOT(logger, calls->logger_threshold);
    PyObject *intake = SLOT(logger, calls->logger_intake);
    PyObject *variable = SLOT(logger, calls->logger_variable);
    PyObject *origin = SLOT(logger, calls->logger_origin);
    if (threshold == NULL || !Py_IS_TYPE(threshold, calls->threshold_type) || intake == NULL
        || !Py_IS_TYPE(intake, calls->intake_type) || variable == NULL || !PyContextVar_CheckExact(variable)
        || origin == NULL) {
        goto python;
    }
    if (integer(SLOT(threshold, calls->threshold_level), 0) > method->number) {
        PyObject *refused = method->refused != Py_None ? method->refused : SLOT(intake, calls->intake_refused);
        if (refused == NULL) {
            goto python;
        }
        return Py_NewRef(refused);
    }
    if (integer(SLOT(threshold, calls->threshold_own), 0) > method->number) {
        goto python;
    }
    if (!method->quick || !is_this_thread(SLOT(intake, calls->intake_quick_thread)) || !PyUnicode_CheckExact(arguments[1]) || !are_plain(calls, arguments[1], arguments + 2, names)) {
        goto python;
    }
    PyObject *ambient;
    if (PyContextVar_Get(variable, NULL, &ambient) < 0) {
        return NULL;
    }
    if (ambient == NULL || ambient == calls->inside_plugin) {
        Py_XDECREF(ambient);
        goto python;
    }
    PyObject *scope;
    if (!has_plain_scope(calls, ambient, &scope)) {
        Py_DECREF(ambient);
        goto python;
    }
    PyObject *refuse = SLOT(intake, method->awaited ? calls->intake_refuse_await : calls->intake_refuse_nowait);
    if (refuse != NULL && refuse != Py_None) {
        Py_DECREF(ambient);
        Py_INCREF(refuse);
        PyObject *refusal = PyObject_CallNoArgs(refuse);
        Py_DECREF(refuse);
        return refusal;
    }
    /* What is called from here on may run anything, finalizers among it. */
    Py_INCREF(origin);
    Py_INCREF(intake);
    PyObject *record = record_of(method, origin, intake, ambient, arguments, names);
    if (record != NULL && scope == NULL) {
        /* Nothing leads from it to what holds it, as a span does. So it is no garbage while it waits in the queue, and
           the garbage collector need not look through it at each of its passes. */
        PyObject_GC_UnTrack(record);
    }
    else if (record != NULL && count_event(calls, scope) < 0) {
        Py_CLEAR(record);
    }
    Py_DECREF(origin);
    Py_DECREF(ambient);
    if (record == NULL) {
        Py_DECREF(intake);
        return NULL;
    }
    /* Looked up only now: building the record may have run a finalizer that logs. */
    int entered = enter_chunk(calls, intake, record);
    PyObject *result = NULL;
    if (entered == 0) {
        result = PyObject_CallFunctionObjArgs(method->submit, logger, record, NULL);
    }
    else if (entered > 0) {
        result = method->accepted != Py_None ? method->accepted : SLOT(intake, calls->intake_accepted);
        if (result == NULL) {
            PyErr_SetString(PyExc_AttributeError, "accepted");
        }
        Py_XINCREF(result);
    }
    Py_DECREF(record);
    Py_DECREF(intake);
    return result;

python:
    return PyObject_Vectorcall(method->method.python, arguments, flags, names);
}

/* -- LogMethod */

static int
traverse_method(LogMethod *method, visitproc visit, void *arg)
{
    Py_VISIT(method->calls);
    Py_VISIT(method->method.python);
    Py_VISIT(method->submit);
    Py_VISIT(method->accepted);
    Py_VISIT(method->refused);
    return 0;
}

static int
clear_method(LogMethod *method)
{
    Py_CLEAR(method->calls);
    Py_CLEAR(method->method.python);
    Py_CLEAR(method->submit);
    Py_CLEAR(method->accepted);
    Py_CLEAR(method->refused);
    Py_CLEAR(method->level);
    return 0;
}

static void
free_method(LogMethod *method)
{
    PyObject_GC_UnTrack(method);
    clear_method(method);
    Py_TYPE(method)->tp_free(method);
}

static PyTypeObject LogMethodType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "fapilog._accelerator.LogMethod",
    .tp_basicsize = sizeof(LogMethod),
    .tp_base = &MethodType,
    .tp_getset = method_getset,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_traverse = (traverseproc)traverse_method,
    .tp_clear = (inquiry)clear_method,
    .tp_dealloc = (destructor)free_method,
};

/* -- Calls */

static PyObject *
new_calls(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"logger_type", "threshold_type", "ambient_type", "scope_type",
                            "inside_plugin", "own", "passing", NULL};
    PyObject *logger_type, *threshold_type, *ambient_type, *scope_type, *inside_plugin, *own, *passing;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O!O!O!O!OO!O!", names, &PyType_Type, &logger_type,
                                     &PyType_Type, &threshold_type, &PyType_Type, &ambient_type, &PyType_Type,
                                     &scope_type, &inside_plugin, &PyTuple_Type, &own, &PyTuple_Type, &passing)) {
        return NULL;
    }
    Calls *calls = (Calls *)type->tp_alloc(type, 0);
    if (calls == NULL) {
        return NULL;
    }
    calls->logger_type = (PyTypeObject *)Py_NewRef(logger_type);
    calls->threshold_type = (PyTypeObject *)Py_NewRef(threshold_type);
    calls->ambient_type = (PyTypeObject *)Py_NewRef(ambient_type);
    calls->scope_type = (PyTypeObject *)Py_NewRef(scope_type);
    calls->inside_plugin = Py_NewRef(inside_plugin);
    calls->passing = Py_NewRef(passing);
    calls->own = PyTuple_New(PyTuple_GET_SIZE(own));
    for (Py_ssize_t index = 0; calls->own != NULL && index < PyTuple_GET_SIZE(own); index++) {
        PyObject *name = Py_NewRef(PyTuple_GET_ITEM(own, index));
        PyUnicode_InternInPlace(&name);
        PyTuple_SET_ITEM(calls->own, index, name);
    }
    calls->no_name = PyUnicode_FromString("");
    calls->get_name = PyUnicode_InternFromString("get_name");
    calls->went_beyond = PyUnicode_InternFromString("went_beyond");
    calls->task = PyUnicode_InternFromString("task");
    calls->name = PyUnicode_InternFromString("name");
    if (calls->own == NULL || calls->no_name == NULL || calls->get_name == NULL || calls->went_beyond == NULL || calls->task == NULL
        || calls->name == NULL || find_slot(logger_type, "_threshold", &calls->logger_threshold) < 0
        || find_slot(logger_type, "_intake", &calls->logger_intake) < 0
        || find_slot(logger_type, "_variable", &calls->logger_variable) < 0
        || find_slot(logger_type, "_origin", &calls->logger_origin) < 0
        || find_slot(threshold_type, "level", &calls->threshold_level) < 0
        || find_slot(threshold_type, "own", &calls->threshold_own) < 0
        || find_slot(ambient_type, "scope", &calls->ambient_scope) < 0
        || find_slot(scope_type, "plain", &calls->scope_plain) < 0
        || find_slot(scope_type, "events", &calls->scope_events) < 0) {
        Py_DECREF(calls);
        return NULL;
    }
    return (PyObject *)calls;
}

static int
traverse_calls(Calls *calls, visitproc visit, void *arg)
{
    Py_VISIT(calls->logger_type);
    Py_VISIT(calls->intake_type);
    Py_VISIT(calls->threshold_type);
    Py_VISIT(calls->ambient_type);
    Py_VISIT(calls->scope_type);
    Py_VISIT(calls->inside_plugin);
    Py_VISIT(calls->passing);
    Py_VISIT(calls->task_type);
    return 0;
}

static int
clear_calls(Calls *calls)
{
    Py_CLEAR(calls->logger_type);
    Py_CLEAR(calls->intake_type);
    Py_CLEAR(calls->threshold_type);
    Py_CLEAR(calls->ambient_type);
    Py_CLEAR(calls->scope_type);
    Py_CLEAR(calls->inside_plugin);
    Py_CLEAR(calls->own);
    Py_CLEAR(calls->passing);
    Py_CLEAR(calls->no_name);
    Py_CLEAR(calls->get_name);
    Py_CLEAR(calls->went_beyond);
    Py_CLEAR(calls->task);
    Py_CLEAR(calls->name);
    Py_CLEAR(calls->task_type);
    clear_known_names(calls->fields);
    return 0;
}

static void
free_calls(Calls *calls)
{
    PyObject_GC_UnTrack(calls);
    clear_calls(calls);
    Py_TYPE(calls)->tp_free(calls);
}

static PyObject *
make_method(Calls *calls, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"python", "submit", "level", "quick", "awaited", "accepted", "refused", NULL};
    PyObject *python, *submit, *level, *accepted, *refused;
    int quick, awaited;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OOO!ppOO", names, &python, &submit, &PyLong_Type, &level,
                                     &quick, &awaited, &accepted, &refused)) {
        return NULL;
    }
    long number = PyLong_AsLong(level);
    if (number == -1 && PyErr_Occurred()) {
        return NULL;
    }
    LogMethod *method = PyObject_GC_New(LogMethod, &LogMethodType);
    if (method == NULL) {
        return NULL;
    }
    method->method.call = log_call;
    method->calls = (Calls *)Py_NewRef(calls);
    method->method.python = Py_NewRef(python);
    method->submit = Py_NewRef(submit);
    method->level = Py_NewRef(level);
    method->accepted = Py_NewRef(accepted);
    method->refused = Py_NewRef(refused);
    method->number = number;
    method->quick = quick;
    method->awaited = awaited;
    PyObject_GC_Track(method);
    return (PyObject *)method;
}

/* The intake's class is known later than the others: with the first container. */
static PyObject *
meet_intake(Calls *calls, PyObject *intake_type)
{
    if (!PyType_Check(intake_type)) {
        return PyErr_Format(PyExc_TypeError, "%R is no class", intake_type);
    }
    if (intake_type == (PyObject *)calls->intake_type) {
        Py_RETURN_NONE;
    }
    Py_CLEAR(calls->intake_type);
    if (find_slot(intake_type, "accepted", &calls->intake_accepted) < 0
        || find_slot(intake_type, "backend", &calls->intake_backend) < 0
        || find_slot(intake_type, "chunk", &calls->intake_chunk) < 0
        || find_slot(intake_type, "fields_type", &calls->intake_fields_type) < 0
        || find_slot(intake_type, "limit", &calls->intake_limit) < 0
        || find_slot(intake_type, "loop", &calls->intake_loop) < 0
        || find_slot(intake_type, "quick_thread", &calls->intake_quick_thread) < 0
        || find_slot(intake_type, "refuse_await", &calls->intake_refuse_await) < 0
        || find_slot(intake_type, "refuse_nowait", &calls->intake_refuse_nowait) < 0
        || find_slot(intake_type, "refused", &calls->intake_refused) < 0
        || find_slot(intake_type, "room", &calls->intake_room) < 0
        || find_slot(intake_type, "run_context", &calls->intake_run_context) < 0
        || find_slot(intake_type, "running", &calls->intake_running) < 0
        || find_slot(intake_type, "thread", &calls->intake_thread) < 0) {
        return NULL;
    }
    calls->intake_type = (PyTypeObject *)Py_NewRef(intake_type);
    Py_RETURN_NONE;
}

static PyMethodDef calls_methods[] = {
    {"meet_intake", (PyCFunction)meet_intake, METH_O, "Take note of the class of the intakes to come."},
    {"method", (PyCFunction)(void (*)(void))make_method, METH_VARARGS | METH_KEYWORDS,
     "Return a method that makes plain calls itself and leaves all others to the function *python*."},
    {NULL},
};

PyTypeObject CallsType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "fapilog._accelerator.Calls",
    .tp_doc = "Where a log call finds what it needs in loggers, thresholds and intakes.",
    .tp_basicsize = sizeof(Calls),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = new_calls,
    .tp_traverse = (traverseproc)traverse_calls,
    .tp_clear = (inquiry)clear_calls,
    .tp_dealloc = (destructor)free_calls,
    .tp_methods = calls_methods,
};

/* -- Decided */

typedef struct {
    PyObject_HEAD
    PyObject *accepted;
} Decided;

static PyObject *
new_decided(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"accepted", NULL};
    PyObject *accepted;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O!", names, &PyBool_Type, &accepted)) {
        return NULL;
    }
    Decided *decided = (Decided *)type->tp_alloc(type, 0);
    if (decided != NULL) {
        decided->accepted = Py_NewRef(accepted);
    }
    return (PyObject *)decided;
}

static void
free_decided(Decided *decided)
{
    Py_CLEAR(decided->accepted);
    Py_TYPE(decided)->tp_free(decided);
}

/* It is its own iterator: it has no state, so that one serves all who await it. */
static PyObject *
stop(Decided *decided)
{
    PyErr_SetObject(PyExc_StopIteration, decided->accepted);
    return NULL;
}

static PySendResult
send(PyObject *decided, PyObject *Py_UNUSED(value), PyObject **result)
{
    *result = Py_NewRef(((Decided *)decided)->accepted);
    return PYGEN_RETURN;
}

static PyAsyncMethods decided_async = {.am_await = PyObject_SelfIter, .am_send = send};

static PyTypeObject DecidedType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "fapilog._accelerator.Decided",
    .tp_doc = "The outcome is known and nothing waits; no checkpoint. One object serves every call.",
    .tp_basicsize = sizeof(Decided),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = new_decided,
    .tp_dealloc = (destructor)free_decided,
    .tp_as_async = &decided_async,
    .tp_iter = PyObject_SelfIter,
    .tp_iternext = (iternextfunc)stop,
};

int
add_calls(PyObject *module)
{
    if (PyType_Ready(&LogMethodType) < 0) {
        return -1;
    }
    return PyModule_AddType(module, &CallsType) < 0 || PyModule_AddType(module, &DecidedType) < 0 ? -1 : 0;
}
