/* Which texts may hold something sensitive.

   A text is clean if it has none of the signs that redactors/_signs.py describes, and nothing that stands between a
   name and its value. What is not clean so may be so all the same: that is for Python to say. */

#include "redaction.h"

#include <string.h>

enum { DIGIT = 1, LETTER = 2, GAP = 4, LOOK = 8, MARKED = 16, SPECIAL = 32, IN_RANDOM = 64 };
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
mark_classes(unsigned char *classes, const char *characters, int class)
{
    for (; *characters != '\0'; characters++) {
        classes[(unsigned char)*characters] |= (unsigned char)class;
    }
}

/* Add the marks of *given*, a tuple of bytes; return -1 with an exception if one is none. */
static int
add_marks(TextScreen *screen, PyObject *given, int any_case)
{
    for (Py_ssize_t index = 0; index < PyTuple_GET_SIZE(given); index++) {
        PyObject *bytes = PyTuple_GET_ITEM(given, index);
        if (!PyBytes_CheckExact(bytes) || PyBytes_GET_SIZE(bytes) == 0 || PyBytes_GET_SIZE(bytes) > LONGEST_MARK
            || screen->mark_count == MOST_MARKS) {
            PyErr_SetString(PyExc_ValueError, "a mark is a few bytes, and there are not many");
            return -1;
        }
        Mark *mark = &screen->marks[screen->mark_count];
        mark->size = (unsigned char)PyBytes_GET_SIZE(bytes);
        mark->any_case = any_case;
        memcpy(mark->text, PyBytes_AS_STRING(bytes), mark->size);
        unsigned char first = (unsigned char)mark->text[0];
        if (first >= 128) {
            PyErr_SetString(PyExc_ValueError, "a mark is in ASCII");
            return -1;
        }
        /* Chained by their first character, in either case where that does not matter. */
        mark->next = screen->first_mark[first];
        screen->first_mark[first] = (short)++screen->mark_count;
        screen->classes[first] |= MARKED;
        if (any_case && first >= 'a' && first <= 'z') {
            if (screen->mark_count == MOST_MARKS) {
                PyErr_SetString(PyExc_ValueError, "there are too many marks");
                return -1;
            }
            Mark *upper = &screen->marks[screen->mark_count];
            *upper = *mark;
            unsigned char capital = (unsigned char)(first & ~0x20);
            upper->next = screen->first_mark[capital];
            screen->first_mark[capital] = (short)++screen->mark_count;
            screen->classes[capital] |= MARKED;
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
    screen->shapes = shapes;
    Py_INCREF(numbered);
    screen->numbered = numbered;
    return add_marks(screen, words, 1) < 0 || add_marks(screen, prefixes, 0) < 0 ? -1 : 0;
}

/* Return whether the *size* bytes at *data* begin with *mark*. */
static int
begins_with(const unsigned char *data, Py_ssize_t size, const Mark *mark)
{
    if (size < mark->size) {
        return 0;
    }
    if (!mark->any_case) {
        return memcmp(data, mark->text, mark->size) == 0;
    }
    for (int index = 1; index < mark->size; index++) {
        if (lower(data[index]) != (unsigned char)mark->text[index]) {
            return 0;
        }
    }
    return 1;
}

/* Return whether a word that says what a number is stands anywhere. */
static int
has_numbered(const TextScreen *screen, const unsigned char *data, Py_ssize_t size)
{
    for (Py_ssize_t index = 0; index < PyTuple_GET_SIZE(screen->numbered); index++) {
        PyObject *bytes = PyTuple_GET_ITEM(screen->numbered, index);
        const unsigned char *word = (const unsigned char *)PyBytes_AS_STRING(bytes);
        Py_ssize_t length = PyBytes_GET_SIZE(bytes);
        for (Py_ssize_t start = 0; start + length <= size; start++) {
            Py_ssize_t same = 0;
            while (same < length && lower(data[start + same]) == word[same]) {
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
    const unsigned char *classes = screen->classes;
    Py_ssize_t end = position;
    if (end > 0 && memchr(" .-+", data[end - 1], 4) != NULL) {
        end--;
    }
    return end >= 2 && (classes[data[end - 1]] & LETTER) && (classes[data[end - 2]] & LETTER)
           && (end == 2 || !(classes[data[end - 3]] & (LETTER | DIGIT)));
}

/* Return whether *character* alone, with what is beside it, makes the text worth a look. */
static int
is_special(const TextScreen *screen, const unsigned char *data, Py_ssize_t size, Py_ssize_t position, int only_digits)
{
    unsigned char next = position + 1 < size ? data[position + 1] : 0;
    unsigned char before = position > 0 ? data[position - 1] : 0;
    switch (data[position]) {
    case ':':
        /* Not in a time of day, or a ratio. */
        return !(only_digits && next >= '0' && next <= '9') || (screen->shapes & COLONS);
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

int
is_worth_a_look(const TextScreen *screen, const unsigned char *data, Py_ssize_t size)
{
    const unsigned char *classes = screen->classes;
    const int shapes = screen->shapes;
    int total = 0, digits = 0, groups = 0, side_by_side = 0, gap = 0, dots = 0, random = 0;
    int few = 0, lettered = 0;
    int only_digits = 0; /* whether the word that is being read is a number */
    unsigned char before = 0;
    for (Py_ssize_t position = 0; position < size; position++) {
        unsigned char character = data[position];
        if (character >= 128) {
            return 1;
        }
        int class = classes[character];
        if (class & LOOK) {
            return 1;
        }
        if ((class & SPECIAL) && is_special(screen, data, size, position, only_digits)) {
            return 1;
        }
        if (class & MARKED) {
            for (int index = screen->first_mark[character]; index != 0; index = screen->marks[index - 1].next) {
                const Mark *mark = &screen->marks[index - 1];
                if ((mark->any_case || !(classes[before] & (LETTER | DIGIT)))
                    && begins_with(data + position, size - position, mark)) {
                    return 1;
                }
            }
        }
        if (class & DIGIT) {
            total++;
            digits++;
            if (classes[before] & DIGIT) {
                side_by_side++;
            }
            else {
                side_by_side = 1;
                groups++;
                only_digits = !(classes[before] & LETTER) && before != '_';
                if ((shapes & LETTERED) && is_lettered(screen, data, position)) {
                    lettered = 1;
                }
            }
            gap = 0;
            if (((shapes & GROUPED) && digits >= LEAST_GROUPED && groups > 1)
                || ((shapes & CARD) && side_by_side >= LEAST_CARD)) {
                return 1;
            }
            few |= digits >= LEAST_NUMBERED;
        }
        else {
            only_digits = 0;
            if ((class & GAP) && ++gap <= LONGEST_GAP) {
                if (character == '.' && digits > 0 && ++dots >= LEAST_DOTS && (shapes & DOTTED)) {
                    return 1;
                }
            }
            else {
                digits = groups = dots = gap = 0;
            }
        }
        random = class & IN_RANDOM ? random + 1 : 0;
        if (random >= LEAST_RANDOM && (shapes & RANDOM)) {
            return 1;
        }
        before = character;
    }
    return (lettered && total >= LEAST_DIGITS) || (few && has_numbered(screen, data, size));
}
