/* TextScreen: whether a text has signs of anything sensitive, in one pass, as ``screen_in_python`` in _signs.py.

   Most texts have none: what each character costs is what matters. So a character is looked up in a table, it and the two
   before it in another, and only few go on to be compared with the words. */

#include "text_screen.h"

enum { LETTER = 1, DIGIT = 2, GAP = 4, WORD_CHARACTER = 8, RANDOM_CHARACTER = 16, SEPARATOR = 32, ALONE = 64 };

/* As the members of ``Shape``. */
enum { CARD = 1, GROUPED = 2, PLUS = 4, LETTERED = 8, DOTTED = 16, COLONS = 32, RANDOM = 64 };

enum { LEAST_WORD = 16, LEAST_DIGITS = 6, LEAST_RANDOM = 20, MOST_GAP = 3, ASCII = 128, FOLDED_CODES = 0x20000 };

/* In the table of look-alikes: a character that is read as nothing. All others but ASCII are 0x80. */
enum { INVISIBLE = 0xff, OTHER = 0x80 };

typedef enum { WORD, NAME, NUMBERED, PREFIX } Kind;

/* What may begin with three characters: literals that stand anywhere, or at the start of a word only. */
enum { ANYWHERE = 1, AT_WORD_START = 2 };

typedef struct {
    const char *characters;
    Py_ssize_t length;
    Kind kind;
} Literal;

/* Three characters as one number, in which each new one pushes out the oldest; the same for both cases of a letter. */
enum { THREE = 0x7fff };

static inline unsigned int
pushed(unsigned int three, int character)
{
    return three << 5 ^ (unsigned int)(character | 0x20); /* of which the lower 15 bits count */
}

struct TextScreen {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    PyObject *texts;  /* what the literals point into */
    PyObject *folded; /* what each code below 0x20000 is read as */
    Literal *literals;
    Py_ssize_t number;
    Py_ssize_t first[ASCII + 1]; /* where in the literals those begin that begin with a character, in lower case */
    unsigned char classes[256];
    unsigned char begins[THREE + 1]; /* for each three characters, which kinds of literals may begin with them */
    int shapes;
};

static inline int
lower(int character)
{
    return character >= 'A' && character <= 'Z' ? character | 0x20 : character;
}

/* -- one text */

typedef struct {
    const unsigned char *characters;
    Py_ssize_t length;
    int named, numbered, separated, lettered; /* whether there was a name, a word beside numbers, and so on */
    Py_ssize_t digits, longest_chain;
} Reading;

static int
begins_with(const Reading *reading, Py_ssize_t index, const Literal *literal)
{
    if (literal->length > reading->length - index) {
        return 0;
    }
    const unsigned char *text = reading->characters + index;
    if (literal->kind == PREFIX) {
        return memcmp(text, literal->characters, (size_t)literal->length) == 0;
    }
    for (Py_ssize_t offset = 0; offset < literal->length; offset++) {
        if (lower(text[offset]) != literal->characters[offset]) {
            return 0;
        }
    }
    return 1;
}

/* Return whether a word of 16 characters begins here. */
static int
is_long_word(const TextScreen *screen, const Reading *reading, Py_ssize_t index)
{
    if (reading->length - index < LEAST_WORD) {
        return 0;
    }
    for (Py_ssize_t offset = 0; offset < LEAST_WORD; offset++) {
        if (!(screen->classes[reading->characters[index + offset]] & WORD_CHARACTER)) {
            return 0;
        }
    }
    return 1;
}

/* Look at what begins at *index*; return whether it is a sign by itself. */
static int
meets_literal(const TextScreen *screen, Reading *reading, Py_ssize_t index)
{
    int character = lower(reading->characters[index]);
    if (character >= ASCII) {
        return 0;
    }
    int at_word_start = index == 0 || !(screen->classes[reading->characters[index - 1]] & (LETTER | DIGIT));
    for (Py_ssize_t next = screen->first[character]; next < screen->first[character + 1]; next++) {
        const Literal *literal = &screen->literals[next];
        if ((literal->kind == PREFIX && !at_word_start) || !begins_with(reading, index, literal)) {
            continue;
        }
        if (literal->kind == WORD || (literal->kind == PREFIX && is_long_word(screen, reading, index))) {
            return 1;
        }
        reading->named |= literal->kind == NAME;
        reading->numbered |= literal->kind == NUMBERED;
    }
    return 0;
}

static inline int
class_at(const TextScreen *screen, const Reading *reading, Py_ssize_t index)
{
    return index >= 0 && index < reading->length ? screen->classes[reading->characters[index]] : 0;
}

/* Return whether the digit here is the first of two, after two letters that begin a word and at most one separator. */
static int
is_lettered(const TextScreen *screen, const Reading *reading, Py_ssize_t index)
{
    const unsigned char *text = reading->characters;
    Py_ssize_t last_letter = index - 1, digit = index;
    if (index < 2) {
        return 0;
    }
    int separator = text[index - 1];
    if (separator == ' ' || separator == '.' || separator == '-' || separator == '+') {
        last_letter--;
    }
    else if (separator == '%' && reading->length - index >= 4 && text[index] == '2' && text[index + 1] == '0') {
        last_letter--;
        digit += 2;
    }
    return last_letter >= 1 && (class_at(screen, reading, digit) & class_at(screen, reading, digit + 1) & DIGIT)
           && (class_at(screen, reading, last_letter) & class_at(screen, reading, last_letter - 1) & LETTER)
           && !(class_at(screen, reading, last_letter - 2) & (LETTER | DIGIT));
}

/* A chain of digits as far as it has been read. */
typedef struct {
    Py_ssize_t digits, side_by_side, first_of_run, last, dots;
    int gaps, plus;
} Chain;

/* Take the digit at *index*; return whether the chain is a sign. */
static int
take_digit(const TextScreen *screen, Reading *reading, Chain *chain, Py_ssize_t index, Py_ssize_t last_break)
{
    const unsigned char *text = reading->characters;
    Py_ssize_t gap = index - chain->last - 1;
    reading->digits++;
    if (chain->digits == 0 || last_break > chain->last || gap > MOST_GAP) {
        chain->digits = chain->side_by_side = 0;
        chain->gaps = 0;
        chain->plus = index > 0
                      && (text[index - 1] == '+' || (text[index - 1] == '(' && index > 1 && text[index - 2] == '+'));
        gap = 0;
        chain->first_of_run = index;
    }
    if (gap > 0) {
        chain->gaps = 1;
        chain->side_by_side = 0;
        chain->first_of_run = index;
    }
    chain->digits++;
    chain->side_by_side++;
    chain->last = index;
    if (chain->digits > reading->longest_chain) {
        reading->longest_chain = chain->digits;
    }
    int shapes = screen->shapes;
    return ((shapes & GROUPED) && chain->gaps && chain->digits >= 9)
           || ((shapes & PLUS) && chain->plus && chain->digits >= 8)
           || ((shapes & DOTTED) && chain->dots == 3);
}

/* Return whether digits side by side that have ended may be a card number. */
static inline int
is_card(const Reading *reading, const Chain *chain)
{
    return chain->side_by_side >= 13 && chain->side_by_side <= 19 && reading->characters[chain->first_of_run] >= '2';
}

static int
has_signs(const TextScreen *screen, const unsigned char *text, Py_ssize_t length)
{
    Reading reading = {.characters = text, .length = length};
    Chain chain = {.last = -1};
    const unsigned char *classes = screen->classes;
    int shapes = screen->shapes;
    Py_ssize_t last_break = -1, last_ordered = -1, colons = 0;
    const unsigned char *begin = screen->begins;
    unsigned int three = 0, history = 0; /* the last three characters, and the classes of the last four */
    for (Py_ssize_t index = 0; index < length; index++) {
        int character = text[index], class = classes[character];
        three = pushed(three, character);
        int before = (int)(history & 0xff);
        int begins = begin[three & THREE] & (history >> 16 & (LETTER | DIGIT) ? ANYWHERE : ANYWHERE | AT_WORD_START);
        history = history << 8 | (unsigned int)class;
        if (begins && index >= 2 && meets_literal(screen, &reading, index - 2)) {
            return 1;
        }
        if (class & before & LETTER) {
            continue;
        }
        if (class & ALONE) {
            return 1;
        }
        if (class & DIGIT) {
            if ((shapes & LETTERED) && !(before & DIGIT) && !reading.lettered) {
                reading.lettered = is_lettered(screen, &reading, index);
            }
            if (take_digit(screen, &reading, &chain, index, last_break)) {
                return 1;
            }
        }
        else {
            if ((before & DIGIT) && (shapes & CARD) && is_card(&reading, &chain)) {
                return 1;
            }
            if (character == '.' && (before & DIGIT)) {
                chain.dots = chain.dots > 0 && index - chain.first_of_run <= 3 ? chain.dots + 1 : 1;
            }
            else {
                chain.dots = 0;
            }
            if (!(class & GAP)) {
                last_break = index;
            }
            if (class & SEPARATOR) {
                int again = index + 1 < length && text[index + 1] == character;
                reading.separated |= character != '-' || again;
                if (character == ':' && (shapes & COLONS) && (++colons >= 7 || again)) {
                    return 1;
                }
            }
        }
        if (!(class & RANDOM_CHARACTER)) {
            if ((shapes & RANDOM) && index - last_ordered > LEAST_RANDOM) {
                return 1;
            }
            last_ordered = index;
        }
    }
    int before = (int)(history & 0xff);
    /* Of the last two characters, no three have been looked at that begin with them. */
    for (Py_ssize_t index = length < 2 ? 0 : length - 2; index < length; index++) {
        if (meets_literal(screen, &reading, index)) {
            return 1;
        }
    }
    return ((before & DIGIT) && (shapes & CARD) && is_card(&reading, &chain)) || (reading.named && reading.separated)
           || (reading.numbered && reading.longest_chain >= 7) || (reading.lettered && reading.digits >= LEAST_DIGITS)
           || ((shapes & RANDOM) && length - last_ordered > LEAST_RANDOM);
}

/* Fill *buffer* with how *text* is read, and return its length. */
static Py_ssize_t
fold(const TextScreen *screen, PyObject *text, unsigned char *buffer)
{
    const unsigned char *folded = (const unsigned char *)PyBytes_AS_STRING(screen->folded);
    int kind = (int)PyUnicode_KIND(text);
    const void *data = PyUnicode_DATA(text);
    Py_ssize_t length = PyUnicode_GET_LENGTH(text), filled = 0;
    for (Py_ssize_t index = 0; index < length; index++) {
        Py_UCS4 code = PyUnicode_READ(kind, data, index);
        unsigned char character = code < FOLDED_CODES ? folded[code] : OTHER;
        if (character != INVISIBLE) {
            buffer[filled++] = character;
        }
    }
    return filled;
}

int
text_may_hold(const TextScreen *screen, PyObject *text)
{
    enum { ROOM = 512 };
    unsigned char room[ROOM], *buffer = room;
#if PY_VERSION_HEX < 0x030C0000
    if (!PyUnicode_IS_READY(text)) {
        return 1;
    }
#endif
    Py_ssize_t length = PyUnicode_GET_LENGTH(text);
    if (PyUnicode_IS_ASCII(text)) {
        return has_signs(screen, PyUnicode_DATA(text), length);
    }
    if (length > ROOM && (buffer = PyMem_Malloc((size_t)length)) == NULL) {
        return 1;
    }
    int result = has_signs(screen, buffer, fold(screen, text, buffer));
    if (buffer != room) {
        PyMem_Free(buffer);
    }
    return result;
}

static PyObject *
call(PyObject *screen, PyObject *const *arguments, size_t flags, PyObject *names)
{
    if (PyVectorcall_NARGS(flags) != 1 || names != NULL || !PyUnicode_Check(arguments[0])) {
        PyErr_SetString(PyExc_TypeError, "a screen takes one text");
        return NULL;
    }
    return PyBool_FromLong(text_may_hold((TextScreen *)screen, arguments[0]));
}

/* Append to *starts* where one of the prefixes begins; return -1 with an exception if that cannot be. */
static int
append_starts(const TextScreen *screen, const unsigned char *text, Py_ssize_t length, PyObject *starts)
{
    Reading reading = {.characters = text, .length = length};
    unsigned int three = 0;
    for (Py_ssize_t index = 0; index < length; index++) {
        three = pushed(three, text[index]);
        Py_ssize_t start = index - 2;
        if (start < 0 || !(screen->begins[three & THREE] & AT_WORD_START) || !meets_literal(screen, &reading, start)) {
            continue;
        }
        PyObject *position = PyLong_FromSsize_t(start);
        int failed = position == NULL || PyList_Append(starts, position) < 0;
        Py_XDECREF(position);
        if (failed) {
            return -1;
        }
    }
    return 0;
}

static PyObject *
get_starts(TextScreen *screen, PyObject *text)
{
    if (!PyUnicode_Check(text)) {
        PyErr_SetString(PyExc_TypeError, "it takes one text");
        return NULL;
    }
#if PY_VERSION_HEX < 0x030C0000
    if (PyUnicode_READY(text) < 0) {
        return NULL;
    }
#endif
    Py_ssize_t length = PyUnicode_GET_LENGTH(text);
    PyObject *starts = PyList_New(0);
    int failed = starts == NULL;
    if (!failed && PyUnicode_IS_ASCII(text)) {
        failed = append_starts(screen, PyUnicode_DATA(text), length, starts) < 0;
    }
    else if (!failed) {
        unsigned char *buffer = PyMem_Malloc((size_t)length);
        if (buffer == NULL) {
            PyErr_NoMemory();
        }
        else if (fold(screen, text, buffer) != length) {
            PyErr_SetString(PyExc_ValueError, "the text has characters without a width");
        }
        failed = PyErr_Occurred() || append_starts(screen, buffer, length, starts) < 0;
        PyMem_Free(buffer);
    }
    if (failed) {
        Py_CLEAR(starts);
    }
    return starts;
}

static PyMethodDef methods[] = {
    {"starts", (PyCFunction)get_starts, METH_O,
     "Return where in a folded text prefixes begin, at the start of 16 characters of a word, if the screen has no more."},
    {NULL, NULL, 0, NULL},
};

/* -- making one */

static void
set_classes(unsigned char *classes)
{
    for (int character = 0; character < ASCII; character++) {
        int is_letter = lower(character) >= 'a' && lower(character) <= 'z';
        int is_digit = character >= '0' && character <= '9';
        int class = is_letter ? LETTER : is_digit ? DIGIT : 0;
        if (is_letter || is_digit || (character && strchr("_.-/+=$", character))) {
            class |= WORD_CHARACTER;
        }
        if (is_letter || is_digit || (character && strchr("+/=_-", character))) {
            class |= RANDOM_CHARACTER;
        }
        if (character && strchr(" -./_+()%\t", character)) {
            class |= GAP;
        }
        if (character && strchr("=:>%\"'`-", character)) {
            class |= SEPARATOR;
        }
        classes[character] = (unsigned char)class;
    }
}

static int
compare_literals(const void *one, const void *other)
{
    return lower(((const Literal *)one)->characters[0]) - lower(((const Literal *)other)->characters[0]);
}

static int
add_literals(TextScreen *screen, PyObject *texts, Kind kind)
{
    for (Py_ssize_t index = 0; index < PyTuple_GET_SIZE(texts); index++) {
        Literal *literal = &screen->literals[screen->number];
        PyObject *text = PyTuple_GET_ITEM(texts, index);
        if (!PyUnicode_Check(text) || !PyUnicode_IS_ASCII(text) || PyUnicode_GET_LENGTH(text) == 0) {
            PyErr_SetString(PyExc_ValueError, "a sign is one ASCII character or more");
            return -1;
        }
        const char *characters = PyUnicode_AsUTF8AndSize(text, &literal->length);
        if (characters == NULL) {
            return -1;
        }
        if (literal->length == 1) {
            if (kind != WORD) {
                PyErr_SetString(PyExc_ValueError, "only a word may be one character");
                return -1;
            }
            int is_letter = screen->classes[(int)characters[0]] & LETTER;
            screen->classes[(int)characters[0]] = ALONE;
            screen->classes[is_letter ? characters[0] ^ 0x20 : characters[0]] = ALONE;
            continue;
        }
        unsigned int two = pushed(pushed(0, characters[0]), characters[1]);
        for (int third = 0; third < 256; third++) {
            if (literal->length == 2 || third == characters[2]) {
                screen->begins[pushed(two, third) & THREE] |= kind == PREFIX ? AT_WORD_START : ANYWHERE;
            }
        }
        literal->characters = characters;
        literal->kind = kind;
        screen->number++;
    }
    return 0;
}

static PyObject *
make(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    PyObject *texts[4], *folded;
    int shapes;
    static char *names[] = {"words", "names", "numbered", "prefixes", "shapes", "folded", NULL};
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O!O!O!O!iS", names, &PyTuple_Type, &texts[WORD],
                                     &PyTuple_Type, &texts[NAME], &PyTuple_Type, &texts[NUMBERED], &PyTuple_Type,
                                     &texts[PREFIX], &shapes, &folded)) {
        return NULL;
    }
    if (PyBytes_GET_SIZE(folded) != FOLDED_CODES) {
        PyErr_Format(PyExc_ValueError, "the table of look-alikes has %d bytes", (int)FOLDED_CODES);
        return NULL;
    }
    TextScreen *screen = (TextScreen *)type->tp_alloc(type, 0);
    if (screen == NULL) {
        return NULL;
    }
    screen->vectorcall = call;
    screen->shapes = shapes;
    screen->folded = Py_NewRef(folded);
    screen->texts = Py_NewRef(arguments);
    set_classes(screen->classes);
    Py_ssize_t number = 1;
    for (int kind = 0; kind < 4; kind++) {
        number += PyTuple_GET_SIZE(texts[kind]);
    }
    screen->literals = PyMem_Calloc((size_t)number, sizeof(Literal));
    if (screen->literals == NULL) {
        Py_DECREF(screen);
        return PyErr_NoMemory();
    }
    for (int kind = 0; kind < 4; kind++) {
        if (add_literals(screen, texts[kind], (Kind)kind) < 0) {
            Py_DECREF(screen);
            return NULL;
        }
    }
    qsort(screen->literals, (size_t)screen->number, sizeof(Literal), compare_literals);
    Py_ssize_t next = 0;
    for (int character = 0; character <= ASCII; character++) {
        while (next < screen->number && lower(screen->literals[next].characters[0]) < character) {
            next++;
        }
        screen->first[character] = next;
    }
    return (PyObject *)screen;
}

static void
dealloc(TextScreen *screen)
{
    Py_XDECREF(screen->texts);
    Py_XDECREF(screen->folded);
    PyMem_Free(screen->literals);
    Py_TYPE(screen)->tp_free(screen);
}

PyTypeObject TextScreenType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "fapilog._accelerator.TextScreen",
    .tp_doc = "Says whether a text has any of the signs it was made with.",
    .tp_basicsize = sizeof(TextScreen),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL,
    .tp_new = make,
    .tp_dealloc = (destructor)dealloc,
    .tp_call = PyVectorcall_Call,
    .tp_vectorcall_offset = offsetof(TextScreen, vectorcall),
    .tp_methods = methods,
};

int
add_text_screens(PyObject *module)
{
    return PyModule_AddType(module, &TextScreenType);
}
