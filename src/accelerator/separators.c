/* Whether a text has anything that may stand between a name and its value, or around either of them, as redactors/_pairs.py
   looks for it; or that JSON begins with. */

#include "redaction.h"

enum { DIGIT = 1, LETTER = 2, IN_NAME = 4, SEPARATES = 8, DEPENDS = 16 };
enum { ASCII = 128 };

static const unsigned char classes[ASCII] = {
    ['0'] = DIGIT, ['1'] = DIGIT, ['2'] = DIGIT, ['3'] = DIGIT, ['4'] = DIGIT, ['5'] = DIGIT, ['6'] = DIGIT,
    ['7'] = DIGIT, ['8'] = DIGIT, ['9'] = DIGIT,
    ['A'] = LETTER, ['B'] = LETTER, ['C'] = LETTER, ['D'] = LETTER, ['E'] = LETTER, ['F'] = LETTER, ['G'] = LETTER,
    ['H'] = LETTER, ['I'] = LETTER, ['J'] = LETTER, ['K'] = LETTER, ['L'] = LETTER, ['M'] = LETTER, ['N'] = LETTER,
    ['O'] = LETTER, ['P'] = LETTER, ['Q'] = LETTER, ['R'] = LETTER, ['S'] = LETTER, ['T'] = LETTER, ['U'] = LETTER,
    ['V'] = LETTER, ['W'] = LETTER, ['X'] = LETTER, ['Y'] = LETTER, ['Z'] = LETTER,
    ['a'] = LETTER, ['b'] = LETTER, ['c'] = LETTER, ['d'] = LETTER, ['e'] = LETTER, ['f'] = LETTER, ['g'] = LETTER,
    ['h'] = LETTER, ['i'] = LETTER, ['j'] = LETTER, ['k'] = LETTER, ['l'] = LETTER, ['m'] = LETTER, ['n'] = LETTER,
    ['o'] = LETTER, ['p'] = LETTER, ['q'] = LETTER, ['r'] = LETTER, ['s'] = LETTER, ['t'] = LETTER, ['u'] = LETTER,
    ['v'] = LETTER, ['w'] = LETTER, ['x'] = LETTER, ['y'] = LETTER, ['z'] = LETTER,
    ['_'] = IN_NAME, ['.'] = IN_NAME, [']'] = IN_NAME,
    ['='] = SEPARATES, ['<'] = SEPARATES, ['"'] = SEPARATES, ['`'] = SEPARATES, ['{'] = SEPARATES, ['['] = SEPARATES,
    ['-'] = IN_NAME | DEPENDS, ['%'] = IN_NAME | DEPENDS, [':'] = DEPENDS, ['\''] = DEPENDS,
};

static inline int
class_of(Py_UCS4 character)
{
    return character < ASCII ? classes[character] : 0;
}

/* Return whether a character is a letter that is read as no other one: of Latin, Greek or Cyrillic, Kana, Han or Hangul.
   Of the other characters that are not in ASCII, some look like a separator. */
static inline int
is_plain_letter(Py_UCS4 character)
{
    return (character >= 0xc0 && character <= 0x24f) || (character >= 0x370 && character <= 0x52f)
           || (character >= 0x3041 && character <= 0x30fa) || (character >= 0x4e00 && character <= 0x9fff)
           || (character >= 0xac00 && character <= 0xd7a3);
}

static inline int
is_hexadecimal(Py_UCS4 character)
{
    return (class_of(character) & DIGIT) || (character >= 'a' && character <= 'f')
           || (character >= 'A' && character <= 'F');
}

/* Return whether *character* separates, given those beside it and the letters of the name before it. */
static inline int
separates(Py_UCS4 before, Py_UCS4 character, Py_UCS4 next, int letters)
{
    switch (character) {
    case ':':
        /* Not in a time of day, or a ratio: what is before it is no name. */
        return letters > 1 || !(class_of(before) & class_of(next) & DIGIT);
    case '\'':
        /* Not an apostrophe. */
        return !((class_of(before) & LETTER) && (class_of(next) & LETTER));
    case '-':
        return next == '-' || next == '>';
    default:
        return is_hexadecimal(next);
    }
}

int
has_separator(PyObject *text)
{
    const int kind = PyUnicode_KIND(text);
    const void *data = PyUnicode_DATA(text);
    const Py_ssize_t length = PyUnicode_GET_LENGTH(text);
    Py_UCS4 before = 0;
    int letters = 0; /* of the name that is being read */
    for (Py_ssize_t position = 0; position < length; position++) {
        Py_UCS4 character = PyUnicode_READ(kind, data, position);
        int class = class_of(character);
        if (class & LETTER) {
            letters++;
        }
        else if (class & (SEPARATES | DEPENDS)) {
            Py_UCS4 next = position + 1 < length ? PyUnicode_READ(kind, data, position + 1) : 0;
            if ((class & SEPARATES) || separates(before, character, next, letters)) {
                return 1;
            }
            letters = class & IN_NAME ? letters : 0;
        }
        else if (character >= ASCII) {
            if (!is_plain_letter(character)) {
                return 1;
            }
            letters++;
        }
        else if (!class) {
            letters = 0;
        }
        before = character;
    }
    return 0;
}
