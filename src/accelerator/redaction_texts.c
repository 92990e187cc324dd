/* Which texts may hold something sensitive.

   A text is clean if it has none of the signs that redactors/_signs.py describes, and nothing that stands between a
   name and its value. What is not clean so may be so all the same: that is for Python to say. */

#include "redaction.h"

#include <string.h>

enum { DIGIT = 1, LETTER = 2, GAP = 4, LOOK = 8, IN_WORD = 16, BEGINS_WORD = 32, SPECIAL = 64, IN_RANDOM = 128, IN_NAME = 256, BEGINS_NUMBERED = 512 };
enum { CARD = 1, GROUPED = 2, PLUS = 4, LETTERED = 8, DOTTED = 16, COLONS = 32, RANDOM = 64 };
enum {
    LONGEST_GAP = 3,
    LEAST_CARD = 13,
    LEAST_GROUPED = 9,
    LEAST_NUMBERED = 7,
    LEAST_DIGITS = 6,
    LEAST_DOTS = 3,
    LEAST_RANDOM = 20
};

static inline unsigned char
lower(unsigned char character)
{
    return character >= 'A' && character <= 'Z' ? (unsigned char)(character | 0x20) : character;
}

static void
mark_classes(unsigned short *classes, const char *characters, int class)
{
    for (; *characters != '\0'; characters++) {
        classes[(unsigned char)*characters] |= (unsigned short)class;
    }
}

/* Chain *mark* to those that begin with *first*, which is in its own case or in the other one. */
static void
chain_mark(TextScreen *screen, const Mark *mark, unsigned char first)
{
    Mark *chained = &screen->marks[screen->mark_count];
    *chained = *mark;
    chained->next = screen->first_mark[first];
    screen->first_mark[first] = (short)++screen->mark_count;
    screen->classes[first] |= mark->any_case ? IN_WORD : BEGINS_WORD;
    unsigned char second = (unsigned char)mark->text[1];
    screen->seconds[first][second >> 3] |= (unsigned char)(1 << (second & 7));
    if (mark->any_case && second >= 'a' && second <= 'z') {
        second &= (unsigned char)~0x20;
        screen->seconds[first][second >> 3] |= (unsigned char)(1 << (second & 7));
    }
}

/* Add the marks of *given*, a tuple of bytes; return -1 with an exception if one is none. */
static int
add_marks(TextScreen *screen, PyObject *given, int any_case)
{
    for (Py_ssize_t index = 0; index < PyTuple_GET_SIZE(given); index++) {
        PyObject *bytes = PyTuple_GET_ITEM(given, index);
        if (!PyBytes_CheckExact(bytes) || PyBytes_GET_SIZE(bytes) == 0 || PyBytes_GET_SIZE(bytes) > LONGEST_MARK
            || screen->mark_count + 2 > MOST_MARKS) {
            PyErr_SetString(PyExc_ValueError, "a mark is a few bytes, and there are not many");
            return -1;
        }
        Mark mark = {.size = (unsigned char)PyBytes_GET_SIZE(bytes), .any_case = any_case};
        memcpy(mark.text, PyBytes_AS_STRING(bytes), mark.size);
        for (int position = 0; position < mark.size; position++) {
            if ((unsigned char)mark.text[position] >= 128) {
                PyErr_SetString(PyExc_ValueError, "a mark is in ASCII");
                return -1;
            }
        }
        unsigned char first = (unsigned char)mark.text[0];
        if (mark.size == 1) {
            screen->classes[first] |= LOOK;
            continue;
        }
        chain_mark(screen, &mark, first);
        if (any_case && first >= 'a' && first <= 'z') {
            chain_mark(screen, &mark, (unsigned char)(first & ~0x20));
        }
    }
    return 0;
}

int
begin_text_screen(TextScreen *screen, PyObject *words, PyObject *prefixes, PyObject *numbered, int shapes)
{
    for (int character = '0'; character <= '9'; character++) {
        screen->classes[character] |= DIGIT | IN_RANDOM;
    }
    for (int character = 'a'; character <= 'z'; character++) {
        screen->classes[character] |= LETTER | IN_RANDOM;
        screen->classes[character & ~0x20] |= LETTER | IN_RANDOM;
    }
    mark_classes(screen->classes, "+/=_-", IN_RANDOM);
    mark_classes(screen->classes, " -./_+()%", GAP);
    /* Between a name and its value, or around either; and what begins JSON. */
    mark_classes(screen->classes, "=<\"`{[", LOOK);
    mark_classes(screen->classes, ":'-%+.", SPECIAL);
    mark_classes(screen->classes, "_.-%]", IN_NAME);
    screen->shapes = shapes;
    screen->numbered = Py_NewRef(numbered);
    for (Py_ssize_t index = 0; index < PyTuple_GET_SIZE(numbered); index++) {
        char first[] = {PyBytes_AS_STRING(PyTuple_GET_ITEM(numbered, index))[0], '\0'};
        mark_classes(screen->classes, first, BEGINS_NUMBERED);
        first[0] = (char)(first[0] & ~0x20);
        mark_classes(screen->classes, first, BEGINS_NUMBERED);
    }
    return add_marks(screen, words, 1) < 0 || add_marks(screen, prefixes, 0) < 0 ? -1 : 0;
}

/* Return whether a mark stands at the beginning of *data*, which has at least two bytes. */
static int
has_mark(const TextScreen *screen, const unsigned char *data, Py_ssize_t size, int begins_word)
{
    unsigned char first = data[0], second = data[1];
    if (second >= 128 || !(screen->seconds[first][second >> 3] & (1 << (second & 7)))) {
        return 0;
    }
    for (int index = screen->first_mark[first]; index != 0; index = screen->marks[index - 1].next) {
        const Mark *mark = &screen->marks[index - 1];
        if (mark->size > size || !(mark->any_case || begins_word)) {
            continue;
        }
        int same = 1;
        while (same < mark->size
               && (mark->any_case ? lower(data[same]) : data[same]) == (unsigned char)mark->text[same]) {
            same++;
        }
        if (same == mark->size) {
            return 1;
        }
    }
    return 0;
}

/* Return whether a word that says what a number is stands anywhere. */
static int
has_numbered(const TextScreen *screen, const unsigned char *data, Py_ssize_t size)
{
    for (Py_ssize_t start = 0; start < size; start++) {
        if (!(screen->classes[data[start]] & BEGINS_NUMBERED)) {
            continue;
        }
        for (Py_ssize_t index = 0; index < PyTuple_GET_SIZE(screen->numbered); index++) {
            PyObject *bytes = PyTuple_GET_ITEM(screen->numbered, index);
            const unsigned char *word = (const unsigned char *)PyBytes_AS_STRING(bytes);
            Py_ssize_t length = PyBytes_GET_SIZE(bytes), same = 0;
            while (same < length && start + same < size && lower(data[start + same]) == word[same]) {
                same++;
            }
            if (same == length) {
                return 1;
            }
        }
    }
    return 0;
}

static inline int
is_hexadecimal(unsigned char character)
{
    character = lower(character);
    return (character >= '0' && character <= '9') || (character >= 'a' && character <= 'f');
}

/* Return whether two letters that begin a word end before *position*, where two digits do; one character may stand
   between. */
static int
is_lettered(const TextScreen *screen, const unsigned char *data, Py_ssize_t position)
{
    const unsigned short *classes = screen->classes;
    Py_ssize_t end = position;
    if (end > 0 && memchr(" .-+", data[end - 1], 4) != NULL) {
        end--;
    }
    return end >= 2 && (classes[data[end - 1]] & LETTER) && (classes[data[end - 2]] & LETTER)
           && (end == 2 || !(classes[data[end - 3]] & (LETTER | DIGIT)));
}

/* Return whether *character* alone, with what is beside it, makes the text worth a look. */
static int
is_special(const TextScreen *screen, const unsigned char *data, Py_ssize_t size, Py_ssize_t position, int letters)
{
    unsigned char next = position + 1 < size ? data[position + 1] : 0;
    unsigned char before = position > 0 ? data[position - 1] : 0;
    switch (data[position]) {
    case ':':
        /* Not in a time of day, or a ratio: what is before it is no name. */
        return letters > 1 || !(screen->classes[before] & screen->classes[next] & DIGIT)
               || (screen->shapes & COLONS);
    case '\'':
        /* Not an apostrophe. */
        return !((screen->classes[before] & LETTER) && (screen->classes[next] & LETTER));
    case '-':
        return next == '-';
    case '%':
        return is_hexadecimal(next);
    case '+':
        return (screen->shapes & PLUS) && (next == '(' || (next >= '0' && next <= '9'));
    default:
        return 0;
    }
}

/* The digits that have been read, in a chain with a few characters between them at most. */
typedef struct {
    int total;
    int digits;
    int groups;
    int side_by_side;
    int gap;
    int dots;
    int few;         /* whether there was a chain that needs a word to say what it is */
    int lettered;    /* whether digits followed two letters */
} Digits;

static inline void
end_chain(Digits *digits)
{
    digits->digits = digits->groups = digits->gap = digits->dots = 0;
}

/* Take in the digit at *position*; return whether the text is worth a look for it. */
static int
add_digit(const TextScreen *screen, Digits *digits, const unsigned char *data, Py_ssize_t position)
{
    unsigned char before = position > 0 ? data[position - 1] : 0;
    digits->total++;
    digits->digits++;
    digits->gap = 0;
    if (screen->classes[before] & DIGIT) {
        digits->side_by_side++;
    }
    else {
        digits->side_by_side = 1;
        digits->groups++;
        digits->lettered |= (screen->shapes & LETTERED) && is_lettered(screen, data, position);
    }
    digits->few |= digits->digits >= LEAST_NUMBERED;
    return ((screen->shapes & GROUPED) && digits->digits >= LEAST_GROUPED && digits->groups > 1)
           || ((screen->shapes & CARD) && digits->side_by_side >= LEAST_CARD);
}

/* Take in what is neither a digit nor a letter; return whether the text is worth a look for it. */
static int
add_gap(const TextScreen *screen, Digits *digits, unsigned char character)
{
    if (!(screen->classes[character] & GAP) || ++digits->gap > LONGEST_GAP) {
        end_chain(digits);
        return 0;
    }
    return character == '.' && ++digits->dots >= LEAST_DOTS && (screen->shapes & DOTTED);
}

/* Return whether so many characters of random words stand side by side. */
static int
has_random(const TextScreen *screen, const unsigned char *data, Py_ssize_t size)
{
    int random = 0;
    for (Py_ssize_t position = 0; position < size; position++) {
        random = screen->classes[data[position]] & IN_RANDOM ? random + 1 : 0;
        if (random >= LEAST_RANDOM) {
            return 1;
        }
    }
    return 0;
}

int
is_worth_a_look(const TextScreen *screen, const unsigned char *data, Py_ssize_t size)
{
    const unsigned short *classes = screen->classes;
    Digits digits = {0};
    int before = 0;
    int letters = 0; /* of the name that is being read */
    for (Py_ssize_t position = 0; position < size; position++) {
        unsigned char character = data[position];
        int class = classes[character];
        if (class & (LOOK | SPECIAL | IN_WORD | BEGINS_WORD)) {
            if ((class & LOOK)
                || ((class & SPECIAL) && is_special(screen, data, size, position, letters))) {
                return 1;
            }
            int begins_word = !(before & (LETTER | DIGIT));
            if (((class & IN_WORD) || begins_word) && position + 1 < size
                && has_mark(screen, data + position, size - position, begins_word)) {
                return 1;
            }
        }
        if (class & DIGIT) {
            if (add_digit(screen, &digits, data, position)) {
                return 1;
            }
        }
        else if (class & LETTER) {
            letters++;
            end_chain(&digits);
        }
        else {
            if (!(class & IN_NAME)) {
                letters = 0;
            }
            if (digits.digits > 0 && add_gap(screen, &digits, character)) {
                return 1;
            }
        }
        before = class;
    }
    return (digits.lettered && digits.total >= LEAST_DIGITS) || (digits.few && has_numbered(screen, data, size))
           || ((screen->shapes & RANDOM) && has_random(screen, data, size));
}
