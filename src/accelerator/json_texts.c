/* Texts as JSON has them. */

#include "lines.h"

static const char HEXADECIMAL[] = "0123456789abcdef";

/* Room for any character. */
enum { LARGEST_CHARACTER = sizeof("\\u0000") - 1 };

/* Return what follows the backslash in the escape of an ASCII character, 'u' if its code does; 0 if it needs none. */
static inline char
escape_of(unsigned int character)
{
    if (character < 0x20) {
        return "uuuuuuuubtnufruuuuuuuuuuuuuuuuuu"[character];
    }
    return character == '"' || character == '\\' ? (char)character : 0;
}

static inline char *
fill_code(char *position, unsigned int character)
{
    *position++ = '\\';
    *position++ = 'u';
    for (int shift = 12; shift >= 0; shift -= 4) {
        *position++ = HEXADECIMAL[character >> shift & 0xf];
    }
    return position;
}

static inline char *
fill_escape(char *position, unsigned int character, char escape)
{
    if (escape == 'u') {
        return fill_code(position, character);
    }
    *position++ = '\\';
    *position++ = escape;
    return position;
}

#define EACH_BYTE(byte) (~0ULL / 0xff * (byte))

/* Return whether one of eight ASCII characters needs an escape.

   A byte's upper bit becomes set when it is below what is subtracted from it. It was not set before, and a byte that
   borrows is itself found. */
static inline int
any_needs_escape(unsigned long long eight)
{
    unsigned long long quote = eight ^ EACH_BYTE('"'), backslash = eight ^ EACH_BYTE('\\');
    return (((eight - EACH_BYTE(0x20)) | (quote - EACH_BYTE(1)) | (backslash - EACH_BYTE(1))) & EACH_BYTE(0x80)) != 0;
}

/* Copy fewer than eight characters, if none of them needs an escape; return whether that was so.

   Two loads that overlap take the place of a loop. */
static inline int
copy_few(char *position, const char *next, size_t number)
{
    if (number >= sizeof(unsigned int)) {
        unsigned int first, last;
        memcpy(&first, next, sizeof(first));
        memcpy(&last, next + number - sizeof(last), sizeof(last));
        if (any_needs_escape(first | (unsigned long long)last << 32)) {
            return 0;
        }
        memcpy(position, &first, sizeof(first));
        memcpy(position + number - sizeof(last), &last, sizeof(last));
        return 1;
    }
    if (number == 0) {
        return 1;
    }
    /* The first, the middle one and the last of at most three are all of them. */
    unsigned char first = (unsigned char)next[0], middle = (unsigned char)next[number / 2],
                  last = (unsigned char)next[number - 1];
    if (any_needs_escape((EACH_BYTE('a') & ~0xffffffULL) | first | middle << 8 | last << 16)) {
        return 0;
    }
    position[0] = (char)first;
    position[number / 2] = (char)middle;
    position[number - 1] = (char)last;
    return 1;
}

static Outcome
put_ascii(Buffer *buffer, const char *next, Py_ssize_t length)
{
    const char *stop = next + length;
    Outcome outcome = reserve(buffer, length + 2);
    if (outcome != WRITTEN) {
        return outcome;
    }
    char *position = buffer->position;
    *position++ = '"';
    for (;;) {
        /* Here is room for what is left of the text, and for a quotation mark. */
        unsigned long long eight;
        while (stop - next >= (Py_ssize_t)sizeof(eight)) {
            memcpy(&eight, next, sizeof(eight));
            if (any_needs_escape(eight)) {
                break;
            }
            memcpy(position, &eight, sizeof(eight));
            next += sizeof(eight);
            position += sizeof(eight);
        }
        if (stop - next < (Py_ssize_t)sizeof(eight) && copy_few(position, next, (size_t)(stop - next))) {
            position += stop - next;
            break;
        }
        char escape;
        while ((escape = escape_of((unsigned char)*next)) == 0) { /* up to the one there is */
            *position++ = *next++;
        }
        buffer->position = position;
        outcome = reserve(buffer, stop - next + LARGEST_CHARACTER + 1);
        if (outcome != WRITTEN) {
            return outcome;
        }
        position = fill_escape(buffer->position, (unsigned char)*next++, escape);
    }
    *position++ = '"';
    buffer->position = position;
    return WRITTEN;
}

/* Write a character as UTF-8, or escaped if readers may take it for the end of a line or for a command.

   Return NULL for a surrogate, which UTF-8 does not have. */
static inline char *
fill_character(char *position, Py_UCS4 character)
{
    if (character < 0x80) {
        char escape = escape_of(character);
        if (escape != 0) {
            return fill_escape(position, character, escape);
        }
        *position++ = (char)character;
        return position;
    }
    if (character < 0xa0 || character == 0x2028 || character == 0x2029) {
        return fill_code(position, character);
    }
    if (character < 0x800) {
        *position++ = (char)(0xc0 | character >> 6);
    }
    else {
        if (character < 0x10000) {
            if (Py_UNICODE_IS_SURROGATE(character)) {
                return NULL;
            }
            *position++ = (char)(0xe0 | character >> 12);
        }
        else {
            *position++ = (char)(0xf0 | character >> 18);
            *position++ = (char)(0x80 | (character >> 12 & 0x3f));
        }
        *position++ = (char)(0x80 | (character >> 6 & 0x3f));
    }
    *position++ = (char)(0x80 | (character & 0x3f));
    return position;
}

static Outcome
put_wide(Buffer *buffer, int kind, const void *data, Py_ssize_t length)
{
    Outcome outcome = put_character(buffer, '"');
    for (Py_ssize_t index = 0; outcome == WRITTEN && index < length; index++) {
        outcome = reserve(buffer, LARGEST_CHARACTER);
        if (outcome == WRITTEN) {
            char *position = fill_character(buffer->position, PyUnicode_READ(kind, data, index));
            if (position == NULL) {
                return LEFT;
            }
            buffer->position = position;
        }
    }
    return outcome == WRITTEN ? put_character(buffer, '"') : outcome;
}

Outcome
put_json_text(Buffer *buffer, PyObject *text)
{
#if PY_VERSION_HEX < 0x030C0000
    if (!PyUnicode_IS_READY(text)) {
        return LEFT;
    }
#endif
    Py_ssize_t length = PyUnicode_GET_LENGTH(text);
    if (length > buffer->most) {
        return LEFT;
    }
    if (PyUnicode_IS_ASCII(text)) {
        return put_ascii(buffer, PyUnicode_DATA(text), length);
    }
    return put_wide(buffer, (int)PyUnicode_KIND(text), PyUnicode_DATA(text), length);
}
