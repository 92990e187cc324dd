/* RedactionScreen: which events hold something sensitive, as ``Screen`` in redactors/_screen.py finds it.

   What is asked from Python may run any code. What is looked at after such a call is held by a reference of its own,
   or is part of a record that is, and whose mappings nobody changes. */

#include "redaction.h"
#include "text_screen.h"

enum { NAMES_ANOTHER = 1, NAMED_BY_ANOTHER = 2, KEPT = 4 };
enum { DEEPEST = 16, LONGEST_NAME = 64 };

typedef struct {
    PyObject_HEAD
    PyTypeObject *event_type, *origin_type, *ambient_type, *extras_type, *mapping_type;
    PyObject *other_types;
    PyObject *verdicts;
    PyObject *clean;
    PyObject *holds;
    TextScreen *texts; /* NULL if every text is worth a look */
    int cards;
    Py_ssize_t longest;
    Py_ssize_t event_record, event_context;
    Py_ssize_t origin_logger, origin_source, origin_bound;
    Py_ssize_t ambient_values, ambient_correlation_id;
    Py_ssize_t extras_tags, extras_metrics, extras_context, extras_exception, extras_correlation_id;
} RedactionScreen;

enum { MOST_RECENT = 32 };

/* Texts that were found clean in this batch, each at a place that its address gives; they are held. Most are of the
   program's own code, and come again with each event. */
typedef struct {
    PyObject *texts[MOST_RECENT];
    PyObject *keys[MOST_RECENT];
} Recent;

/* One batch while it is screened. */
typedef struct {
    RedactionScreen *screen;
    PyObject *origin; /* what the event before shared, and is clean; held */
    PyObject *ambient;
    Recent recent;
} Batch;

static inline PyObject **
place_of(PyObject **places, PyObject *text)
{
    return &places[((size_t)text >> 4) % MOST_RECENT];
}

static inline void
remember(PyObject **place, PyObject *text)
{
    Py_INCREF(text);
    Py_XSETREF(*place, text);
}

static int is_value_suspicious(Batch *batch, PyObject *value, int depth);

/* Return whether a text, which the caller holds, holds something sensitive; -1 with an exception. */
static int
find_out(RedactionScreen *screen, PyObject *text)
{
    if (screen->texts != NULL && PyUnicode_GET_LENGTH(text) <= screen->longest && !has_separator(text)
        && !text_may_hold(screen->texts, text)) {
        return 0;
    }
    int known = PyDict_Contains(screen->clean, text);
    if (known != 0) {
        return known < 0 ? -1 : 0;
    }
    PyObject *answer = PyObject_CallOneArg(screen->holds, text);
    if (answer == NULL) {
        return -1;
    }
    int suspicious = PyObject_IsTrue(answer);
    Py_DECREF(answer);
    return suspicious;
}

static int
is_text_suspicious(Batch *batch, PyObject *text)
{
    PyObject **place = place_of(batch->recent.texts, text);
    if (*place == text) {
        return 0;
    }
    int suspicious = find_out(batch->screen, text);
    if (suspicious == 0) {
        remember(place, text);
    }
    return suspicious;
}

/* Return what is known of a key: a number, or -1 if it is sensitive or unknown; -2 with an exception. */
static long
verdict_on(Batch *batch, PyObject *key)
{
    PyObject **place = place_of(batch->recent.keys, key);
    if (*place == key) {
        return 0;
    }
    PyObject *verdict = PyDict_GetItemWithError(batch->screen->verdicts, key);
    if (verdict == NULL) {
        return PyErr_Occurred() ? -2 : -1;
    }
    if (!PyLong_CheckExact(verdict)) {
        return -1;
    }
    long number = PyLong_AsLong(verdict);
    if (number == 0) {
        remember(place, key);
    }
    return number;
}

static int
is_mapping_suspicious(Batch *batch, PyObject *mapping, int depth)
{
    if (mapping == NULL || depth > DEEPEST
        || !(PyDict_CheckExact(mapping) || Py_IS_TYPE(mapping, batch->screen->mapping_type))) {
        return 1;
    }
    PyObject *key, *value;
    Py_ssize_t position = 0;
    long seen = 0;
    int suspicious = 0;
    Py_INCREF(mapping);
    while (!suspicious && PyDict_Next(mapping, &position, &key, &value)) {
        if (!PyUnicode_CheckExact(key)) {
            suspicious = 1;
            break;
        }
        long verdict = verdict_on(batch, key);
        if (verdict < 0) {
            suspicious = verdict == -2 ? -1 : 1;
            break;
        }
        seen |= verdict;
        if ((verdict & KEPT)
            && (PyUnicode_CheckExact(value) || PyLong_CheckExact(value) || PyFloat_CheckExact(value))) {
            continue;
        }
        Py_INCREF(value);
        suspicious = is_value_suspicious(batch, value, depth);
        Py_DECREF(value);
    }
    Py_DECREF(mapping);
    return suspicious != 0 ? suspicious : (seen & (NAMES_ANOTHER | NAMED_BY_ANOTHER)) == 3;
}

/* Return whether *text* looks like a name, which most texts do not. */
static int
may_be_name(PyObject *text)
{
    Py_ssize_t length = PyUnicode_GET_LENGTH(text);
    if (length == 0 || length > LONGEST_NAME) {
        return 0;
    }
    int digits = 0;
    for (Py_ssize_t index = 0; index < length; index++) {
        Py_UCS4 character = PyUnicode_READ_CHAR(text, index);
        if (character >= '0' && character <= '9') {
            digits++;
        }
        else if (!((character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z')
                   || character == '_' || character == '.' || character == ':' || character == '-'
                   || character >= 0x80)) {
            return 0;
        }
    }
    return digits <= 2;
}

static int
is_sequence_suspicious(Batch *batch, PyObject *values, int depth)
{
    if (depth > DEEPEST) {
        return 1;
    }
    Py_ssize_t size = PyTuple_GET_SIZE(values);
    for (Py_ssize_t index = 0; index < size; index++) {
        PyObject *value = PyTuple_GET_ITEM(values, index);
        /* It may be the name of the one behind it. */
        if (index % 2 == 0 && size > 1 && PyUnicode_CheckExact(value) && may_be_name(value)) {
            long verdict = verdict_on(batch, value);
            if (verdict < 0) {
                return verdict == -2 ? -1 : 1;
            }
        }
        int suspicious = is_value_suspicious(batch, value, depth);
        if (suspicious != 0) {
            return suspicious;
        }
    }
    return 0;
}

/* Return whether a number has the digits of a payment card: 13 to 19, with a right check digit. */
static int
is_card_number(PyObject *value)
{
    int overflow;
    long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (overflow != 0) {
        /* Of those beyond 63 bits only some have 19 digits; one more digit makes no card. */
        return overflow > 0 && PyLong_AsUnsignedLongLong(value) < 10000000000000000000ULL;
    }
    if (number < 1000000000000LL) {
        return 0;
    }
    int total = 0, twice = 0;
    for (; number > 0; number /= 10, twice = !twice) {
        int digit = (int)(number % 10);
        total += !twice ? digit : digit > 4 ? digit * 2 - 9 : digit * 2;
    }
    return total % 10 == 0;
}

static int
is_float_suspicious(double value)
{
    return value >= 1e12 && value < 1e19 && value == (double)(unsigned long long)value;
}

/* Return whether a value, which the caller holds, holds something sensitive; -1 with an exception. */
static int
is_value_suspicious(Batch *batch, PyObject *value, int depth)
{
    if (value == NULL) {
        return 1;
    }
    if (PyUnicode_CheckExact(value)) {
        return is_text_suspicious(batch, value);
    }
    if (PyLong_CheckExact(value)) {
        if (!batch->screen->cards) {
            return 0;
        }
        int suspicious = is_card_number(value);
        if (PyErr_Occurred()) { /* it is larger than any card's */
            PyErr_Clear();
            return 0;
        }
        return suspicious;
    }
    if (value == Py_None || PyBool_Check(value)) {
        return 0;
    }
    if (PyFloat_CheckExact(value)) {
        return batch->screen->cards && is_float_suspicious(PyFloat_AS_DOUBLE(value));
    }
    if (PyDict_CheckExact(value) || Py_IS_TYPE(value, batch->screen->mapping_type)) {
        return is_mapping_suspicious(batch, value, depth + 1);
    }
    if (PyTuple_CheckExact(value)) {
        return is_sequence_suspicious(batch, value, depth + 1);
    }
    for (Py_ssize_t index = 0; index < PyTuple_GET_SIZE(batch->screen->other_types); index++) {
        if ((PyObject *)Py_TYPE(value) == PyTuple_GET_ITEM(batch->screen->other_types, index)) {
            return 0;
        }
    }
    return 1;
}

/* The same, of what a slot holds. */
static int
is_slot_suspicious(Batch *batch, PyObject *object, Py_ssize_t offset)
{
    PyObject *value = SLOT(object, offset);
    Py_XINCREF(value);
    int suspicious = is_value_suspicious(batch, value, 0);
    Py_XDECREF(value);
    return suspicious;
}

static int
is_extras_suspicious(Batch *batch, PyObject *extras)
{
    if (!Py_IS_TYPE(extras, batch->screen->extras_type) || SLOT(extras, batch->screen->extras_exception) != Py_None) {
        return 1;
    }
    int suspicious = is_slot_suspicious(batch, extras, batch->screen->extras_correlation_id);
    if (suspicious == 0) {
        suspicious = is_mapping_suspicious(batch, SLOT(extras, batch->screen->extras_tags), 0);
    }
    if (suspicious == 0) {
        suspicious = is_mapping_suspicious(batch, SLOT(extras, batch->screen->extras_metrics), 0);
    }
    if (suspicious == 0) {
        suspicious = is_mapping_suspicious(batch, SLOT(extras, batch->screen->extras_context), 0);
    }
    return suspicious;
}

/* Return whether what events share holds something sensitive. */
static int
is_shared_suspicious(Batch *batch, PyObject *origin, PyObject *ambient)
{
    if (!Py_IS_TYPE(origin, batch->screen->origin_type) || !Py_IS_TYPE(ambient, batch->screen->ambient_type)) {
        return 1;
    }
    int suspicious = is_slot_suspicious(batch, origin, batch->screen->origin_logger);
    if (suspicious == 0) {
        suspicious = is_slot_suspicious(batch, origin, batch->screen->origin_source);
    }
    if (suspicious == 0) {
        suspicious = is_slot_suspicious(batch, ambient, batch->screen->ambient_correlation_id);
    }
    if (suspicious == 0) {
        suspicious = is_mapping_suspicious(batch, SLOT(origin, batch->screen->origin_bound), 0);
    }
    if (suspicious == 0) {
        suspicious = is_mapping_suspicious(batch, SLOT(ambient, batch->screen->ambient_values), 0);
    }
    return suspicious;
}

static int
is_record_suspicious(Batch *batch, PyObject *record)
{
    PyObject *message = PyTuple_GET_ITEM(record, MESSAGE), *task = PyTuple_GET_ITEM(record, TASK);
    PyObject *extras = PyTuple_GET_ITEM(record, EXTRAS);
    if (!PyUnicode_CheckExact(message) || !PyUnicode_CheckExact(task)) {
        return 1;
    }
    int suspicious = is_text_suspicious(batch, message);
    if (suspicious == 0) {
        suspicious = is_text_suspicious(batch, task);
    }
    if (suspicious == 0) {
        suspicious = is_mapping_suspicious(batch, PyTuple_GET_ITEM(record, FIELDS), 0);
    }
    if (suspicious == 0 && extras != Py_None) {
        suspicious = is_extras_suspicious(batch, extras);
    }
    return suspicious;
}

static int
is_item_suspicious(Batch *batch, PyObject *item)
{
    PyObject *record = item, *context = NULL;
    if (Py_IS_TYPE(item, batch->screen->event_type)) {
        record = SLOT(item, batch->screen->event_record);
        context = SLOT(item, batch->screen->event_context);
        if (context == NULL) {
            return 1;
        }
    }
    if (record == NULL || !PyTuple_CheckExact(record) || PyTuple_GET_SIZE(record) != RECORD_SIZE) {
        return 1;
    }
    Py_INCREF(record);
    Py_XINCREF(context);
    PyObject *origin = PyTuple_GET_ITEM(record, ORIGIN), *ambient = PyTuple_GET_ITEM(record, AMBIENT);
    int suspicious = 0;
    if (origin != batch->origin || ambient != batch->ambient) {
        suspicious = is_shared_suspicious(batch, origin, ambient);
        if (suspicious == 0) {
            Py_INCREF(origin);
            Py_XSETREF(batch->origin, origin);
            Py_INCREF(ambient);
            Py_XSETREF(batch->ambient, ambient);
        }
    }
    if (suspicious == 0) {
        suspicious = is_record_suspicious(batch, record);
    }
    if (suspicious == 0 && context != NULL && context != Py_None) {
        suspicious = is_mapping_suspicious(batch, context, 0);
    }
    Py_XDECREF(context);
    Py_DECREF(record);
    return suspicious;
}

static void
end_batch(Batch *batch)
{
    Py_XDECREF(batch->origin);
    Py_XDECREF(batch->ambient);
    for (int index = 0; index < MOST_RECENT; index++) {
        Py_XDECREF(batch->recent.texts[index]);
        Py_XDECREF(batch->recent.keys[index]);
    }
}

static PyObject *
screen_items(RedactionScreen *screen, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"items", NULL};
    PyObject *given;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O", names, &given)) {
        return NULL;
    }
    PyObject *items = PySequence_Fast(given, "items are a sequence");
    PyObject *found = items == NULL ? NULL : PyList_New(0);
    Batch batch = {.screen = screen};
    for (Py_ssize_t index = 0; found != NULL && index < PySequence_Fast_GET_SIZE(items); index++) {
        PyObject *item = Py_NewRef(PySequence_Fast_GET_ITEM(items, index));
        int suspicious = is_item_suspicious(&batch, item);
        Py_DECREF(item);
        if (suspicious != 0) {
            PyObject *position = suspicious < 0 ? NULL : PyLong_FromSsize_t(index);
            if (position == NULL || PyList_Append(found, position) < 0) {
                Py_CLEAR(found);
            }
            Py_XDECREF(position);
        }
    }
    end_batch(&batch);
    Py_XDECREF(items);
    return found;
}

static PyObject *
screen_text(RedactionScreen *screen, PyObject *text)
{
    if (!PyUnicode_CheckExact(text)) {
        PyErr_Format(PyExc_TypeError, "a text is a str, not %R", Py_TYPE(text));
        return NULL;
    }
    int suspicious = find_out(screen, text);
    return suspicious < 0 ? NULL : PyBool_FromLong(suspicious);
}

static int
find_slots(RedactionScreen *screen)
{
    const struct {
        PyTypeObject *type;
        const char *name;
        Py_ssize_t *offset;
    } slots[] = {
        {screen->event_type, "_record", &screen->event_record},
        {screen->event_type, "_context", &screen->event_context},
        {screen->origin_type, "logger", &screen->origin_logger},
        {screen->origin_type, "source", &screen->origin_source},
        {screen->origin_type, "bound", &screen->origin_bound},
        {screen->ambient_type, "values", &screen->ambient_values},
        {screen->ambient_type, "correlation_id", &screen->ambient_correlation_id},
        {screen->extras_type, "tags", &screen->extras_tags},
        {screen->extras_type, "metrics", &screen->extras_metrics},
        {screen->extras_type, "context", &screen->extras_context},
        {screen->extras_type, "exception", &screen->extras_exception},
        {screen->extras_type, "correlation_id", &screen->extras_correlation_id},
    };
    for (size_t index = 0; index < sizeof(slots) / sizeof(slots[0]); index++) {
        if (find_slot((PyObject *)slots[index].type, slots[index].name, slots[index].offset) < 0) {
            return -1;
        }
    }
    return 0;
}

static PyObject *
new_screen(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"event_type", "origin_type", "ambient_type", "extras_type", "mapping_type", "other_types",
                            "verdicts", "clean", "holds", "texts", "cards", "longest", NULL};
    PyObject *event_type, *origin_type, *ambient_type, *extras_type, *mapping_type;
    PyObject *other_types, *verdicts, *clean, *holds, *texts;
    int cards;
    Py_ssize_t longest;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "$O!O!O!O!O!O!O!O!OOpn", names, &PyType_Type, &event_type,
                                     &PyType_Type, &origin_type, &PyType_Type, &ambient_type, &PyType_Type,
                                     &extras_type, &PyType_Type, &mapping_type, &PyTuple_Type, &other_types,
                                     &PyDict_Type, &verdicts, &PyDict_Type, &clean, &holds, &texts, &cards,
                                     &longest)) {
        return NULL;
    }
    if (texts != Py_None && !Py_IS_TYPE(texts, &TextScreenType)) {
        PyErr_Format(PyExc_TypeError, "texts is a TextScreen or None, not %R", Py_TYPE(texts));
        return NULL;
    }
    RedactionScreen *screen = (RedactionScreen *)type->tp_alloc(type, 0);
    if (screen == NULL) {
        return NULL;
    }
    screen->event_type = (PyTypeObject *)Py_NewRef(event_type);
    screen->origin_type = (PyTypeObject *)Py_NewRef(origin_type);
    screen->ambient_type = (PyTypeObject *)Py_NewRef(ambient_type);
    screen->extras_type = (PyTypeObject *)Py_NewRef(extras_type);
    screen->mapping_type = (PyTypeObject *)Py_NewRef(mapping_type);
    screen->other_types = Py_NewRef(other_types);
    screen->verdicts = Py_NewRef(verdicts);
    screen->clean = Py_NewRef(clean);
    screen->holds = Py_NewRef(holds);
    screen->texts = texts == Py_None ? NULL : (TextScreen *)Py_NewRef(texts);
    screen->cards = cards;
    screen->longest = longest;
    if (find_slots(screen) < 0) {
        Py_DECREF(screen);
        return NULL;
    }
    return (PyObject *)screen;
}

static int
traverse_screen(RedactionScreen *screen, visitproc visit, void *arg)
{
    Py_VISIT(screen->event_type);
    Py_VISIT(screen->origin_type);
    Py_VISIT(screen->ambient_type);
    Py_VISIT(screen->extras_type);
    Py_VISIT(screen->mapping_type);
    Py_VISIT(screen->other_types);
    Py_VISIT(screen->verdicts);
    Py_VISIT(screen->clean);
    Py_VISIT(screen->holds);
    Py_VISIT(screen->texts);
    return 0;
}

static int
clear_screen(RedactionScreen *screen)
{
    Py_CLEAR(screen->event_type);
    Py_CLEAR(screen->origin_type);
    Py_CLEAR(screen->ambient_type);
    Py_CLEAR(screen->extras_type);
    Py_CLEAR(screen->mapping_type);
    Py_CLEAR(screen->other_types);
    Py_CLEAR(screen->verdicts);
    Py_CLEAR(screen->clean);
    Py_CLEAR(screen->holds);
    Py_CLEAR(screen->texts);
    return 0;
}

static void
free_screen(RedactionScreen *screen)
{
    PyObject_GC_UnTrack(screen);
    clear_screen(screen);
    Py_TYPE(screen)->tp_free(screen);
}

static PyMethodDef screen_methods[] = {
    {"text", (PyCFunction)screen_text, METH_O, "Return whether a text holds something sensitive."},
    {NULL},
};

static PyTypeObject RedactionScreenType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "fapilog._accelerator.RedactionScreen",
    .tp_doc = "Returns the positions of the events that hold something sensitive.",
    .tp_basicsize = sizeof(RedactionScreen),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = new_screen,
    .tp_call = (ternaryfunc)screen_items,
    .tp_methods = screen_methods,
    .tp_traverse = (traverseproc)traverse_screen,
    .tp_clear = (inquiry)clear_screen,
    .tp_dealloc = (destructor)free_screen,
};

int
add_redaction(PyObject *module)
{
    return PyModule_AddType(module, &RedactionScreenType);
}
