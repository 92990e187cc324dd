/* NameRuns: where in a text names begin that may be those of secrets, as redactors/_name_runs.py finds them.

   A name's letters and digits are read one after another, in lower case, whatever stands between them. Where three of them
   may be the end of a form that is looked for, the form is compared. */

#include "finder.h"

enum { LETTER_OR_DIGIT = 1, IN_RUN = 2, BESIDE = 4, FOLLOWS = 8, PLAIN_LETTER = 16 };
enum { ASCII = 128, ROOM = 256, LONGEST_FORM = 64, MOST_BESIDE = 16, MOST_WORDS = 2, LONGEST_WORD = 24 };

/* Three characters as one number, in which each new one pushes out the oldest. */
enum { THREE = 0x7fff };

typedef struct {
    const char *end;
    Py_ssize_t length;
} Form;

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    PyObject *forms; /* a tuple of str */
    Form *ends; /* the forms, by their last character */
    Py_ssize_t first[ASCII + 1];
    unsigned char classes[ASCII];
    unsigned char ends_with[THREE + 1];
    int at_end, pairs;
} NameRuns;

/* The letters and digits of a name, as far as they are read. */
typedef struct {
    char characters[ROOM];
    Py_ssize_t length;
    unsigned int three;
} Joined;

static inline unsigned int
code_of(int character)
{
    return character >= 'a' ? (unsigned int)(character - 'a' + 1) : 27 + (unsigned int)(character - '0') % 5;
}

static inline int
lower(int character)
{
    return character >= 'A' && character <= 'Z' ? character | 0x20 : character;
}

static void
push(Joined *joined, int character)
{
    if (joined->length == ROOM) {
        memmove(joined->characters, joined->characters + ROOM - LONGEST_FORM, LONGEST_FORM);
        joined->length = LONGEST_FORM;
    }
    joined->characters[joined->length++] = (char)lower(character);
    joined->three = (joined->three << 5 | code_of(lower(character))) & THREE;
}

static int
ends_with_form(const NameRuns *runs, const Joined *joined)
{
    if (joined->length == 0 || !runs->ends_with[joined->three]) {
        return 0;
    }
    int last = joined->characters[joined->length - 1];
    const char *end = joined->characters + joined->length;
    for (Py_ssize_t next = runs->first[last]; next < runs->first[last + 1]; next++) {
        const Form *form = &runs->ends[next];
        if (form->length <= joined->length
            && memcmp(end - form->length, form->end - form->length, (size_t)form->length) == 0) {
            return 1;
        }
    }
    return 0;
}

static inline int
class_of(const NameRuns *runs, Py_UCS4 character)
{
    return character < ASCII ? runs->classes[character] : Py_UNICODE_ISALNUM(character) ? IN_RUN : 0;
}

static int
hexadecimal(const Text *text, Py_ssize_t index, int digits)
{
    int value = 0;
    for (int position = 0; position < digits; position++) {
        Py_UCS4 character = read_at(text, index + position);
        int digit = character >= '0' && character <= '9'   ? (int)character - '0'
                    : character >= 'a' && character <= 'f' ? (int)character - 'a' + 10
                    : character >= 'A' && character <= 'F' ? (int)character - 'A' + 10
                                                           : -1;
        if (digit < 0) {
            return -1;
        }
        value = value << 4 | digit;
    }
    return value;
}

/* Read the words before a name that begins at *start*, at most two, each with one space behind it. */
static void
read_words_before(const NameRuns *runs, const Text *text, Py_ssize_t start, Joined *joined)
{
    Py_ssize_t begin = start;
    for (int word = 0; word < MOST_WORDS && read_at(text, begin - 1) == ' '; word++) {
        Py_ssize_t letter = begin - 2;
        while (letter >= 0 && begin - 2 - letter < LONGEST_WORD
               && (class_of(runs, read_at(text, letter)) & PLAIN_LETTER)) {
            letter--;
        }
        if (letter == begin - 2) {
            break;
        }
        begin = letter + 1;
    }
    for (; begin < start; begin++) {
        if (read_at(text, begin) != ' ') {
            push(joined, (int)read_at(text, begin));
        }
    }
}

/* Return whether a separator may follow the name that ends at *end*. */
static int
is_followed(const NameRuns *runs, const Text *text, Py_ssize_t end)
{
    Py_ssize_t index = end;
    while (index - end < MOST_BESIDE && (class_of(runs, read_at(text, index)) & BESIDE)) {
        index++;
    }
    return (class_of(runs, read_at(text, index)) & FOLLOWS)
           || (read_at(text, index) == '-' && read_at(text, index + 1) == '>');
}

/* Return how many characters an escape, such as ``\u0070`` has that begins at *index*, and what it stands for; 0 if none. */
static int
escape_at(const Text *text, Py_ssize_t index, int *value)
{
    int backslashes = read_at(text, index + 1) == '\\' ? 2 : 1;
    if (read_at(text, index) != '\\' || read_at(text, index + backslashes) != 'u') {
        return 0;
    }
    *value = hexadecimal(text, index + backslashes + 1, 4);
    return *value < 0 ? 0 : backslashes + 5;
}

/* Read the name that begins at *start*; return where it ends, and whether it may be one that is looked for. */
static Py_ssize_t
read_run(const NameRuns *runs, const Text *text, Py_ssize_t start, int *may_be)
{
    Joined joined;
    joined.length = 0;
    joined.three = 0;
    int has_form = 0, odd = 0;
    Py_ssize_t index = start;
    read_words_before(runs, text, start, &joined);
    while (index < text->length) {
        Py_UCS4 character = read_at(text, index);
        int class = class_of(runs, character), value = -1, taken = 1;
        if (runs->pairs && character == '\\' && (taken = escape_at(text, index, &value)) > 0) {
            class = IN_RUN;
        }
        else if (!(class & IN_RUN)) {
            break;
        }
        else if (runs->pairs && character == '%' && (value = hexadecimal(text, index + 1, 2)) >= 0) {
            taken = 3;
        }
        if (value >= 0) {
            character = (Py_UCS4)value;
            class = character < ASCII ? runs->classes[character] : 0;
        }
        if (character >= ASCII) {
            odd = 1;
        }
        else if (class & LETTER_OR_DIGIT) {
            push(&joined, (int)character);
            if (!runs->at_end && !has_form) {
                has_form = ends_with_form(runs, &joined);
            }
        }
        index += taken;
    }
    if (runs->at_end) {
        has_form = ends_with_form(runs, &joined);
    }
    *may_be = (has_form || (odd && !runs->at_end)) && (!runs->pairs || is_followed(runs, text, index));
    return index;
}

static PyObject *
call(PyObject *self, PyObject *const *arguments, size_t flags, PyObject *names)
{
    const NameRuns *runs = (NameRuns *)self;
    Text text;
    if (take_text(arguments, flags, names, &text) < 0) {
        return NULL;
    }
    PyObject *starts = PyList_New(0);
    if (starts == NULL) {
        return NULL;
    }
    Py_ssize_t index = 0;
    while (index < text.length) {
        Py_UCS4 character = read_at(&text, index);
        int value, may_be;
        if (!(class_of(runs, character) & IN_RUN)
            && !(runs->pairs && character == '\\' && escape_at(&text, index, &value))) {
            index++;
            continue;
        }
        Py_ssize_t end = read_run(runs, &text, index, &may_be);
        if (may_be && append_found(starts, PyLong_FromSsize_t(index)) < 0) {
            Py_DECREF(starts);
            return NULL;
        }
        index = end;
    }
    return starts;
}

/* -- making one */

static int
compare_forms(const void *one, const void *other)
{
    return ((const Form *)one)->end[-1] - ((const Form *)other)->end[-1];
}

static int
add_forms(NameRuns *runs)
{
    Py_ssize_t number = PyTuple_GET_SIZE(runs->forms);
    runs->ends = PyMem_Calloc((size_t)number + 1, sizeof(Form));
    if (runs->ends == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t index = 0; index < number; index++) {
        Py_ssize_t length;
        PyObject *form = PyTuple_GET_ITEM(runs->forms, index);
        const char *characters = NULL;
        if (PyUnicode_Check(form) && PyUnicode_IS_ASCII(form)) {
            characters = PyUnicode_AsUTF8AndSize(form, &length);
        }
        if (characters == NULL || length < 2 || length > LONGEST_FORM) {
            if (!PyErr_Occurred()) {
                PyErr_SetString(PyExc_ValueError, "a form has 2 to 64 letters and digits");
            }
            return -1;
        }
        for (Py_ssize_t position = 0; position < length; position++) {
            int character = characters[position];
            if (!(character >= 'a' && character <= 'z') && !(character >= '0' && character <= '9')) {
                PyErr_SetString(PyExc_ValueError, "a form has small letters and digits");
                return -1;
            }
        }
        runs->ends[index] = (Form){characters + length, length};
        unsigned int two = code_of(characters[length - 2]) << 5 | code_of(characters[length - 1]);
        for (unsigned int before = 0; before < 32; before++) {
            if (length == 2 || before == code_of(characters[length - 3])) {
                runs->ends_with[before << 10 | two] = 1;
            }
        }
    }
    qsort(runs->ends, (size_t)number, sizeof(Form), compare_forms);
    Py_ssize_t next = 0;
    for (int character = 0; character <= ASCII; character++) {
        while (next < number && runs->ends[next].end[-1] < character) {
            next++;
        }
        runs->first[character] = next;
    }
    return 0;
}

static PyObject *
make(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    PyObject *forms;
    const char *characters;
    int at_end, pairs;
    static char *names[] = {"forms", "characters", "at_end", "pairs", NULL};
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O!spp", names, &PyTuple_Type, &forms, &characters, &at_end,
                                     &pairs)) {
        return NULL;
    }
    NameRuns *runs = (NameRuns *)type->tp_alloc(type, 0);
    if (runs == NULL) {
        return NULL;
    }
    runs->vectorcall = call;
    runs->forms = Py_NewRef(forms);
    runs->at_end = at_end;
    runs->pairs = pairs;
    for (int character = 1; character < ASCII; character++) {
        int is_letter = lower(character) >= 'a' && lower(character) <= 'z';
        int is_digit = character >= '0' && character <= '9';
        int class = is_letter ? LETTER_OR_DIGIT | PLAIN_LETTER : is_digit ? LETTER_OR_DIGIT : 0;
        if (is_letter || is_digit || character == '_' || strchr(characters, character)) {
            class |= IN_RUN;
        }
        if (strchr("\\\"'` \t", character)) {
            class |= BESIDE;
        }
        if (strchr("=:(", character)) {
            class |= FOLLOWS;
        }
        runs->classes[character] = (unsigned char)class;
    }
    if (add_forms(runs) < 0) {
        Py_DECREF(runs);
        return NULL;
    }
    return (PyObject *)runs;
}

static void
dealloc(NameRuns *runs)
{
    Py_XDECREF(runs->forms);
    PyMem_Free(runs->ends);
    Py_TYPE(runs)->tp_free(runs);
}

static PyTypeObject NameRunsType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "fapilog._accelerator.NameRuns",
    .tp_doc = "Finds where in a text names begin that may be those it was made with.",
    .tp_basicsize = sizeof(NameRuns),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL,
    .tp_new = make,
    .tp_dealloc = (destructor)dealloc,
    .tp_call = PyVectorcall_Call,
    .tp_vectorcall_offset = offsetof(NameRuns, vectorcall),
};

int
add_name_runs(PyObject *module)
{
    return PyModule_AddType(module, &NameRunsType);
}
