/* CardFinder: where a text has numbers of payment cards, as redactors/_cards.py finds them. */

#include "finder.h"

enum { SHORTEST = 13, LONGEST = 19, DIGITS_OF_ISSUER = 6, MOST_ISSUERS = 64, LONG_WORD = 32 };

/* Separators: a character, or one of these. */
enum { NONE = 0, TWO_SPACES = 256, QUOTED_SPACE = 257 };

typedef struct {
    int first, last, size;
    unsigned int lengths; /* a bit for each length */
} Issuer;

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    Issuer issuers[MOST_ISSUERS];
    int number;
} CardFinder;

typedef struct {
    Py_ssize_t start, size;
    int separator; /* what follows */
} Group;

static inline int
is_digit_at(const Text *text, Py_ssize_t index)
{
    Py_UCS4 character = read_at(text, index);
    return character >= '0' && character <= '9';
}

/* Return how long the separator at *index* is that another digit follows, and which one it is; 0 if there is none. */
static int
separator_at(const Text *text, Py_ssize_t index, int *which)
{
    Py_UCS4 character = read_at(text, index);
    int length = 1;
    *which = (int)character;
    switch (character) {
    case ' ':
        if (read_at(text, index + 1) == ' ') {
            *which = TWO_SPACES;
            length = 2;
        }
        break;
    case '%':
        if (read_at(text, index + 1) != '2' || read_at(text, index + 2) != '0') {
            return 0;
        }
        *which = QUOTED_SPACE;
        length = 3;
        break;
    case '.': case '-': case '/': case '_': case '+': case '\t':
        break;
    default:
        return 0;
    }
    return is_digit_at(text, index + length) ? length : 0;
}

/* Read the group that begins at *start*; return where the next one begins, or -1 if it is the last of its region. */
static Py_ssize_t
read_group(const Text *text, Py_ssize_t start, Group *group)
{
    Py_ssize_t end = start;
    while (is_digit_at(text, end)) {
        end++;
    }
    group->start = start;
    group->size = end - start;
    int length = separator_at(text, end, &group->separator);
    if (length == 0) {
        group->separator = NONE;
        return -1;
    }
    return end + length;
}

static unsigned int
card_lengths(const CardFinder *finder, const char *digits)
{
    for (int index = 0; index < finder->number; index++) {
        const Issuer *issuer = &finder->issuers[index];
        int begins = 0;
        for (int position = 0; position < issuer->size; position++) {
            begins = begins * 10 + digits[position];
        }
        if (begins >= issuer->first && begins <= issuer->last) {
            return issuer->lengths;
        }
    }
    return 0;
}

/* Return whether the last of *digits* is the check digit of the others (Luhn, ISO/IEC 7812-1). */
static int
has_check_digit(const char *digits, int length)
{
    int total = 0;
    for (int position = 0; position < length; position++) {
        int digit = digits[length - 1 - position];
        total += position % 2 == 0 ? digit : digit > 4 ? digit * 2 - 9 : digit * 2;
    }
    return total % 10 == 0;
}

static int
may_be_layout(const Py_ssize_t *sizes, int number)
{
    if (number >= 2 && sizes[0] == 4 && sizes[1] == 6) {
        return number == 2 || (number == 3 && (sizes[2] == 4 || sizes[2] == 5));
    }
    return sizes[number - 1] <= sizes[0] && (number < 3 || sizes[number - 2] == sizes[0]);
}

static int
is_part_of_more(const Text *text, Py_ssize_t start, Py_ssize_t end)
{
    if ((is_digit_at(text, start - 2) && read_at(text, start - 1) == '.')
        || (read_at(text, end) == '.' && Py_UNICODE_ISDIGIT(read_at(text, end + 1)))) {
        return 1;
    }
    Py_ssize_t left = start, right = end;
    while (left > 0 && end - left < LONG_WORD && Py_UNICODE_ISALNUM(read_at(text, left - 1))) {
        left--;
    }
    while (right < text->length && right - start < LONG_WORD && Py_UNICODE_ISALNUM(read_at(text, right))) {
        right++;
    }
    return right - left >= LONG_WORD;
}

/* Return how many of *groups* from *index* on are a card number. */
static Py_ssize_t
groups_of_card(const CardFinder *finder, const Text *text, const Group *groups, Py_ssize_t number, Py_ssize_t index)
{
    const Group *first = &groups[index];
    Py_ssize_t whole = first->size * number;
    if (first->size <= 2 && (index > 0 || whole < SHORTEST || whole > LONGEST + 1)) {
        return 0;
    }
    char digits[LONGEST];
    Py_ssize_t sizes[LONGEST];
    int count = 0, best = 0, length = 0, known = 0;
    unsigned int lengths = 0;
    while (count < LONGEST && index + count < number) {
        const Group *group = &groups[index + count];
        sizes[count++] = group->size;
        if (group->size > LONGEST - length || !may_be_layout(sizes, count)) {
            break;
        }
        for (Py_ssize_t position = 0; position < group->size; position++) {
            digits[length++] = (char)(read_at(text, group->start + position) - '0');
        }
        if (length >= DIGITS_OF_ISSUER) {
            if (!known) {
                lengths = card_lengths(finder, digits);
                known = 1;
            }
            if (lengths == 0) {
                break;
            }
            if ((lengths >> length & 1) && (first->size > 2 || count == number) && has_check_digit(digits, length)) {
                best = count;
            }
        }
        if (group->separator != first->separator) {
            break;
        }
    }
    return best == 1 && is_part_of_more(text, first->start, first->start + first->size) ? 0 : best;
}

/* Append the cards of the region of digits that begins at *start*; return where it ends, or -1 with an exception. */
static Py_ssize_t
find_in_region(const CardFinder *finder, const Text *text, Py_ssize_t start, PyObject *cards)
{
    Group group;
    Py_ssize_t number = 0, digits = 0, end = start;
    for (Py_ssize_t next = start; next >= 0; number++) {
        next = read_group(text, next, &group);
        digits += group.size;
        end = group.start + group.size;
    }
    if (digits < SHORTEST) {
        return end;
    }
    Group *groups = PyMem_New(Group, (size_t)number);
    if (groups == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    Py_ssize_t next = start;
    for (Py_ssize_t index = 0; index < number; index++) {
        next = read_group(text, next, &groups[index]);
    }
    for (Py_ssize_t index = 0; index < number;) {
        Py_ssize_t count = groups_of_card(finder, text, groups, number, index);
        if (count > 0) {
            const Group *last = &groups[index + count - 1];
            if (append_found(cards, Py_BuildValue("(nn)", groups[index].start, last->start + last->size)) < 0) {
                end = -1;
                break;
            }
        }
        index += count > 0 ? count : 1;
    }
    PyMem_Free(groups);
    return end;
}

static PyObject *
call(PyObject *self, PyObject *const *arguments, size_t flags, PyObject *names)
{
    Text text;
    if (take_text(arguments, flags, names, &text) < 0) {
        return NULL;
    }
    PyObject *cards = PyList_New(0);
    Py_ssize_t index = 0;
    while (cards != NULL && index < text.length) {
        if (!is_digit_at(&text, index)) {
            index++;
            continue;
        }
        index = find_in_region((CardFinder *)self, &text, index, cards);
        if (index < 0) {
            Py_CLEAR(cards);
        }
    }
    return cards;
}

static PyObject *
make(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    PyObject *issuers;
    static char *names[] = {"issuers", NULL};
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O!", names, &PyTuple_Type, &issuers)) {
        return NULL;
    }
    Py_ssize_t number = PyTuple_GET_SIZE(issuers);
    if (number > MOST_ISSUERS) {
        PyErr_Format(PyExc_ValueError, "at most %d issuers", MOST_ISSUERS);
        return NULL;
    }
    CardFinder *finder = (CardFinder *)type->tp_alloc(type, 0);
    if (finder == NULL) {
        return NULL;
    }
    finder->vectorcall = call;
    finder->number = (int)number;
    for (Py_ssize_t index = 0; index < number; index++) {
        Issuer *issuer = &finder->issuers[index];
        if (!PyArg_ParseTuple(PyTuple_GET_ITEM(issuers, index), "iiiI", &issuer->first, &issuer->last, &issuer->size,
                              &issuer->lengths)) {
            Py_DECREF(finder);
            return NULL;
        }
        if (issuer->size < 1 || issuer->size > DIGITS_OF_ISSUER) {
            PyErr_Format(PyExc_ValueError, "an issuer has 1 to %d digits", DIGITS_OF_ISSUER);
            Py_DECREF(finder);
            return NULL;
        }
    }
    return (PyObject *)finder;
}

static PyTypeObject CardFinderType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "fapilog._accelerator.CardFinder",
    .tp_doc = "Finds where a text has card numbers of the issuers it was made with.",
    .tp_basicsize = sizeof(CardFinder),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL,
    .tp_new = make,
    .tp_call = PyVectorcall_Call,
    .tp_vectorcall_offset = offsetof(CardFinder, vectorcall),
};

int
add_cards(PyObject *module)
{
    return PyModule_AddType(module, &CardFinderType);
}
