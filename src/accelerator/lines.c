/* LineEncoder: the lines of the format json.

   A line of a record whose values are of the usual kinds is written here, byte for byte as formats/json.py has it from
   orjson. A value of another kind that is one token in JSON is asked from Python by itself; any other line is left to
   Python whole, and so is a line that is too long, which has to be cut.

   All lines of a batch are written into one bytes object, of which nobody else knows before it is returned.

   What is asked from Python may run any code: a time zone's, for one. Everything that is looked at after such a call is
   therefore held by a reference of its own, or is part of a tuple that is. */

#include "accelerator.h"

#include <limits.h>
#include <math.h>
#include <string.h>

/* What became of an attempt to write: written; an exception is set; what was begun is left to Python. */
typedef enum { FAILED = -1, WRITTEN, LEFT } Outcome;

/* Containers inside each other that are written here. Each takes some of the C stack. */
enum { MOST_DEEP = 32 };

enum { NANOSECONDS = 1000000000, SECONDS_OF_A_DAY = 86400 };

/* Room for the digits and the sign of any 64-bit number. */
enum { MOST_DIGITS = 20 };

/* The bytes for a line until a batch has shown better. */
enum { USUAL_LINE = 320, SMALLEST_LINE = 64, LARGEST_LINE = 4096 };

typedef struct {
    PyObject_HEAD
    PyTypeObject *event_type;
    PyTypeObject *origin_type;
    PyTypeObject *ambient_type;
    PyTypeObject *mapping_type;
    PyObject *other_types;
    PyObject *levels;
    PyObject *shared;
    PyObject *identity;
    PyObject *number;
    PyObject *other;
    Py_ssize_t most;
    Py_ssize_t usual_line;
    Py_ssize_t event_record, event_context, event_sequence;
    Py_ssize_t origin_bound, ambient_values;
} LineEncoder;

/* What lines have in common, as it was asked from Python last: for these three objects, and no others. */
typedef struct {
    PyObject *origin;
    PyObject *ambient;
    PyObject *task;
    PyObject *encoded;
} Fragment;

static const char TIMESTAMP[] = "{\"timestamp\":\"0000-00-00T00:00:00.";
enum { SECOND_TEXT = sizeof("{\"timestamp\":\"") - 1, TIMESTAMP_SIZE = sizeof(TIMESTAMP) - 1 };

/* The lines of one batch while they are written. */
typedef struct {
    LineEncoder *encoder;
    PyObject *bytes;
    char *position;
    char *end;
    /* Where the line that is being written begins. */
    char *line;
    Fragment shared;
    Fragment identity;
    /* The second that *timestamp* shows, once it shows one. */
    long long second;
    int has_second;
    char timestamp[sizeof(TIMESTAMP)];
} Lines;

/* -- room */

static Outcome
grow(Lines *lines, Py_ssize_t room)
{
    char *start = PyBytes_AS_STRING(lines->bytes);
    Py_ssize_t used = lines->position - start, line = lines->line - start;
    if (used - line > lines->encoder->most) {
        return LEFT;
    }
    if (room > PY_SSIZE_T_MAX / 4 - used) {
        PyErr_NoMemory();
        return FAILED;
    }
    Py_ssize_t size = used + (room > used ? room : used) + SMALLEST_LINE;
    if (_PyBytes_Resize(&lines->bytes, size) < 0) {
        return FAILED;
    }
    start = PyBytes_AS_STRING(lines->bytes);
    lines->position = start + used;
    lines->line = start + line;
    lines->end = start + size;
    return WRITTEN;
}

/* See that *room* more bytes can be written. */
static inline Outcome
reserve(Lines *lines, Py_ssize_t room)
{
    return room <= lines->end - lines->position ? WRITTEN : grow(lines, room);
}

static inline Outcome
put(Lines *lines, const char *data, Py_ssize_t size)
{
    Outcome outcome = reserve(lines, size);
    if (outcome == WRITTEN) {
        memcpy(lines->position, data, (size_t)size);
        lines->position += size;
    }
    return outcome;
}

#define PUT_LITERAL(lines, literal) put(lines, literal, sizeof(literal) - 1)

static inline Outcome
put_character(Lines *lines, char character)
{
    Outcome outcome = reserve(lines, 1);
    if (outcome == WRITTEN) {
        *lines->position++ = character;
    }
    return outcome;
}

/* -- what is asked from Python */

/* Leave to Python what has raised an exception; one that is no Exception, such as KeyboardInterrupt, goes up. */
static Outcome
leave_error(void)
{
    if (!PyErr_ExceptionMatches(PyExc_Exception)) {
        return FAILED;
    }
    PyErr_Clear();
    return LEFT;
}

/* Write what *encode* makes of *value*, which the caller holds. */
static Outcome
write_by(Lines *lines, PyObject *encode, PyObject *value)
{
    PyObject *encoded = PyObject_CallOneArg(encode, value);
    if (encoded == NULL) {
        return leave_error();
    }
    Outcome outcome = LEFT;
    if (PyBytes_CheckExact(encoded)) {
        outcome = put(lines, PyBytes_AS_STRING(encoded), PyBytes_GET_SIZE(encoded));
    }
    Py_DECREF(encoded);
    return outcome;
}

/* Have the bytes in *fragment* that *ask* returns for these three, which the caller holds. */
static Outcome
find_fragment(Fragment *fragment, PyObject *ask, PyObject *origin, PyObject *ambient, PyObject *task)
{
    if (origin == fragment->origin && ambient == fragment->ambient && task == fragment->task) {
        return WRITTEN;
    }
    PyObject *arguments[] = {origin, ambient, task};
    PyObject *encoded = PyObject_Vectorcall(ask, arguments, 3, NULL);
    if (encoded == NULL) {
        return leave_error();
    }
    if (!PyBytes_CheckExact(encoded)) {
        Py_DECREF(encoded);
        return LEFT;
    }
    Py_XSETREF(fragment->origin, Py_NewRef(origin));
    Py_XSETREF(fragment->ambient, Py_NewRef(ambient));
    Py_XSETREF(fragment->task, Py_NewRef(task));
    Py_XSETREF(fragment->encoded, encoded);
    return WRITTEN;
}

static void
clear_fragment(Fragment *fragment)
{
    Py_CLEAR(fragment->origin);
    Py_CLEAR(fragment->ambient);
    Py_CLEAR(fragment->task);
    Py_CLEAR(fragment->encoded);
}

/* -- numbers */

/* The numbers below 100, two digits each. */
static const char PAIRS[] =
    "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
    "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
    "8081828384858687888990919293949596979899";

/* Write the last *count* digits of *number*, zeros among them. */
static inline void
fill_digits(char *digits, int count, unsigned int number)
{
    while (count >= 2) {
        count -= 2;
        memcpy(digits + count, PAIRS + number % 100 * 2, 2);
        number /= 100;
    }
    if (count > 0) {
        *digits = (char)('0' + number % 10);
    }
}

/* Write the digits of *number*, at most MOST_DIGITS, and return where they end. */
static char *
fill_number(char *position, unsigned long long number)
{
    char digits[MOST_DIGITS];
    char *first = digits + MOST_DIGITS;
    while (number >= 100) {
        first -= 2;
        memcpy(first, PAIRS + number % 100 * 2, 2);
        number /= 100;
    }
    if (number >= 10) {
        first -= 2;
        memcpy(first, PAIRS + number * 2, 2);
    }
    else {
        *--first = (char)('0' + number);
    }
    size_t size = (size_t)(digits + MOST_DIGITS - first);
    memcpy(position, first, size);
    return position + size;
}

static Outcome
write_signed(Lines *lines, long long number)
{
    Outcome outcome = reserve(lines, MOST_DIGITS + 1);
    if (outcome == WRITTEN) {
        unsigned long long magnitude = (unsigned long long)number;
        if (number < 0) {
            *lines->position++ = '-';
            magnitude = 0 - magnitude;
        }
        lines->position = fill_number(lines->position, magnitude);
    }
    return outcome;
}

static Outcome
write_integer(Lines *lines, PyObject *value)
{
    int overflow;
    long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (overflow == 0) {
        return write_signed(lines, number);
    }
    if (overflow < 0) {
        return LEFT;
    }
    unsigned long long large = PyLong_AsUnsignedLongLong(value);
    if (large == ULLONG_MAX && PyErr_Occurred()) {
        return leave_error();
    }
    Outcome outcome = reserve(lines, MOST_DIGITS);
    if (outcome == WRITTEN) {
        lines->position = fill_number(lines->position, large);
    }
    return outcome;
}

/* Write a float with the fewest digits that read back as it.

   Decimals of at most 15 digits are all different as floats. One that reads back as the value is therefore the only
   one that does, and the fewest digits are its own without the zeros at its end. A quotient of two numbers that floats
   hold exactly is rounded as a decimal that is read is. What is not such a decimal is asked from *number*, and so is
   what may be written with an exponent. */
static Outcome
write_float(Lines *lines, PyObject *value)
{
    const double millionth = 1e6;
    double given = PyFloat_AS_DOUBLE(value);
    double magnitude = fabs(given);
    unsigned long long whole;
    unsigned int rest = 0;
    if (magnitude < 1e9) {
        unsigned long long millionths = (unsigned long long)(magnitude * millionth + 0.5);
        if ((double)millionths / millionth != magnitude || (magnitude < 1e-4 && millionths != 0)) {
            return write_by(lines, lines->encoder->number, value);
        }
        whole = millionths / 1000000;
        rest = (unsigned int)(millionths % 1000000);
    }
    else if (magnitude < 1e15 && (double)(unsigned long long)magnitude == magnitude) {
        whole = (unsigned long long)magnitude;
    }
    else {
        return write_by(lines, lines->encoder->number, value);
    }
    Outcome outcome = reserve(lines, 1 + MOST_DIGITS + 1 + 6);
    if (outcome != WRITTEN) {
        return outcome;
    }
    char *position = lines->position;
    if (signbit(given)) {
        *position++ = '-';
    }
    position = fill_number(position, whole);
    *position++ = '.';
    fill_digits(position, 6, rest);
    char *last = position + 5;
    while (last > position && *last == '0') {
        last--;
    }
    lines->position = last + 1;
    return WRITTEN;
}

/* -- texts */

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

static Outcome
write_ascii(Lines *lines, const char *next, Py_ssize_t length)
{
    const char *stop = next + length;
    Outcome outcome = reserve(lines, length + 2);
    if (outcome != WRITTEN) {
        return outcome;
    }
    char *position = lines->position;
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
        char escape = 0;
        while (next < stop && (escape = escape_of((unsigned char)*next)) == 0) {
            *position++ = *next++;
        }
        if (next == stop) {
            break;
        }
        lines->position = position;
        outcome = reserve(lines, stop - next + LARGEST_CHARACTER + 1);
        if (outcome != WRITTEN) {
            return outcome;
        }
        position = fill_escape(lines->position, (unsigned char)*next++, escape);
    }
    *position++ = '"';
    lines->position = position;
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
write_wide(Lines *lines, int kind, const void *data, Py_ssize_t length)
{
    Outcome outcome = put_character(lines, '"');
    for (Py_ssize_t index = 0; outcome == WRITTEN && index < length; index++) {
        outcome = reserve(lines, LARGEST_CHARACTER);
        if (outcome == WRITTEN) {
            char *position = fill_character(lines->position, PyUnicode_READ(kind, data, index));
            if (position == NULL) {
                return LEFT;
            }
            lines->position = position;
        }
    }
    return outcome == WRITTEN ? put_character(lines, '"') : outcome;
}

static Outcome
write_text(Lines *lines, PyObject *text)
{
#if PY_VERSION_HEX < 0x030C0000
    if (!PyUnicode_IS_READY(text)) {
        return LEFT;
    }
#endif
    Py_ssize_t length = PyUnicode_GET_LENGTH(text);
    if (length > lines->encoder->most) {
        return LEFT;
    }
    if (PyUnicode_IS_ASCII(text)) {
        return write_ascii(lines, PyUnicode_DATA(text), length);
    }
    return write_wide(lines, (int)PyUnicode_KIND(text), PyUnicode_DATA(text), length);
}

/* -- values */

static Outcome write_value(Lines *lines, PyObject *value, int depth);

static inline int
is_mapping(LineEncoder *encoder, PyObject *value)
{
    return PyDict_CheckExact(value) || Py_IS_TYPE(value, encoder->mapping_type);
}

/* Return whether one of *layers* has *key*; -1 with an exception if that cannot be said. */
static int
any_has(PyObject *const *layers, int count, PyObject *key)
{
    int has = 0;
    for (int layer = 0; layer < count && has == 0; layer++) {
        has = PyDict_Contains(layers[layer], key);
    }
    return has;
}

/* Put what the last of *layers* that has *key* has for it in the place of the reference *value*, if one has it. */
static int
replace_by_last(PyObject *const *layers, int count, PyObject *key, PyObject **value)
{
    for (int layer = count - 1; layer >= 0; layer--) {
        PyObject *found = PyDict_GetItemWithError(layers[layer], key);
        if (found != NULL) {
            Py_INCREF(found);
            Py_SETREF(*value, found);
            return 0;
        }
        if (PyErr_Occurred()) {
            return -1;
        }
    }
    return 0;
}

/* Write one member of the layer with the number *layer*, unless an earlier one had its key.

   *value* is a reference of the caller's, which may become one to another object. */
static Outcome
write_member(Lines *lines, PyObject *const *layers, int count, int layer, PyObject *key, PyObject **value, int depth,
             char *separator)
{
    if (!PyUnicode_CheckExact(key)) {
        return LEFT;
    }
    if (count > 1) {
        int written = any_has(layers, layer, key);
        if (written > 0) {
            return WRITTEN;
        }
        if (written < 0 || replace_by_last(layers + layer + 1, count - layer - 1, key, value) < 0) {
            return leave_error();
        }
    }
    Outcome outcome = put_character(lines, *separator);
    *separator = ',';
    if (outcome == WRITTEN && (outcome = write_text(lines, key)) == WRITTEN
        && (outcome = put_character(lines, ':')) == WRITTEN) {
        outcome = write_value(lines, *value, depth);
    }
    return outcome;
}

/* Write *layers*, which the caller holds, as one mapping: a key has its place from the first layer that has it, and
   its value from the last one, as in ``{**one, **two}``. */
static Outcome
write_mapping(Lines *lines, PyObject *const *layers, int count, int depth)
{
    char separator = '{';
    for (int layer = 0; layer < count; layer++) {
        Py_ssize_t next = 0;
        PyObject *key, *value;
        while (PyDict_Next(layers[layer], &next, &key, &value)) {
            Py_INCREF(key);
            Py_INCREF(value);
            Outcome outcome = write_member(lines, layers, count, layer, key, &value, depth, &separator);
            Py_DECREF(key);
            Py_DECREF(value);
            if (outcome != WRITTEN) {
                return outcome;
            }
        }
    }
    return separator == '{' ? PUT_LITERAL(lines, "{}") : put_character(lines, '}');
}

static Outcome
write_tuple(Lines *lines, PyObject *items, int depth)
{
    Outcome outcome = put_character(lines, '[');
    for (Py_ssize_t index = 0; outcome == WRITTEN && index < PyTuple_GET_SIZE(items); index++) {
        if (index > 0) {
            outcome = put_character(lines, ',');
        }
        if (outcome == WRITTEN) {
            outcome = write_value(lines, PyTuple_GET_ITEM(items, index), depth);
        }
    }
    return outcome == WRITTEN ? put_character(lines, ']') : outcome;
}

/* Write *value*, which the caller holds, inside of *depth* containers. */
static Outcome
write_value(Lines *lines, PyObject *value, int depth)
{
    LineEncoder *encoder = lines->encoder;
    PyTypeObject *type = Py_TYPE(value);
    if (type == &PyUnicode_Type) {
        return write_text(lines, value);
    }
    if (type == &PyLong_Type) {
        return write_integer(lines, value);
    }
    if (type == &PyFloat_Type) {
        return write_float(lines, value);
    }
    if (value == Py_None) {
        return PUT_LITERAL(lines, "null");
    }
    if (value == Py_True) {
        return PUT_LITERAL(lines, "true");
    }
    if (value == Py_False) {
        return PUT_LITERAL(lines, "false");
    }
    if (depth < MOST_DEEP) {
        if (type == &PyTuple_Type) {
            return write_tuple(lines, value, depth + 1);
        }
        if (is_mapping(encoder, value)) {
            return write_mapping(lines, &value, 1, depth + 1);
        }
    }
    for (Py_ssize_t index = 0; index < PyTuple_GET_SIZE(encoder->other_types); index++) {
        if ((PyObject *)type == PyTuple_GET_ITEM(encoder->other_types, index)) {
            return write_by(lines, encoder->other, value);
        }
    }
    return LEFT;
}

/* -- timestamps */

/* Show the date that is *days* after 1970-01-01; return whether its year is from 1 to 9999.

   Years are counted from March, so that the day that only some have is a year's last, and in eras of 400 years, which
   all have as many days. */
static int
show_date(char *text, long long days)
{
    const int days_of_an_era = 146097;
    days += 719468; /* 0000-03-01 */
    if (days < 0 || days > 10000LL / 400 * days_of_an_era) {
        return 0;
    }
    int era = (int)(days / days_of_an_era), day_of_era = (int)(days % days_of_an_era);
    int year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int month_from_march = (5 * day_of_year + 2) / 153;
    int month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    int year = era * 400 + year_of_era + (month <= 2);
    if (year < 1 || year > 9999) {
        return 0;
    }
    fill_digits(text, 4, (unsigned int)year);
    fill_digits(text + 5, 2, (unsigned int)month);
    fill_digits(text + 8, 2, (unsigned int)(day_of_year - (153 * month_from_march + 2) / 5 + 1));
    return 1;
}

/* Begin the line with the second of a time; say in *microsecond* what follows it. */
static Outcome
show_second(Lines *lines, PyObject *time_ns, unsigned int *microsecond)
{
    int overflow;
    long long nanoseconds = PyLong_AsLongLongAndOverflow(time_ns, &overflow);
    if (overflow != 0) {
        return LEFT;
    }
    long long second = nanoseconds / NANOSECONDS;
    int rest = (int)(nanoseconds % NANOSECONDS);
    if (rest < 0) {
        second--;
        rest += NANOSECONDS;
    }
    *microsecond = (unsigned int)rest / 1000;
    if (lines->has_second && second == lines->second) {
        return WRITTEN;
    }
    lines->has_second = 0;
    long long day = second / SECONDS_OF_A_DAY;
    int second_of_day = (int)(second % SECONDS_OF_A_DAY);
    if (second_of_day < 0) {
        day--;
        second_of_day += SECONDS_OF_A_DAY;
    }
    char *text = lines->timestamp + SECOND_TEXT;
    if (!show_date(text, day)) {
        return LEFT;
    }
    fill_digits(text + 11, 2, (unsigned int)second_of_day / 3600);
    fill_digits(text + 14, 2, (unsigned int)second_of_day / 60 % 60);
    fill_digits(text + 17, 2, (unsigned int)second_of_day % 60);
    lines->second = second;
    lines->has_second = 1;
    return WRITTEN;
}

/* -- lines */

/* Write the members up to the message. */
static Outcome
write_beginning(Lines *lines, PyObject *record)
{
    PyObject *time_ns = PyTuple_GET_ITEM(record, TIME_NS), *level = PyTuple_GET_ITEM(record, LEVEL);
    PyObject *message = PyTuple_GET_ITEM(record, MESSAGE);
    if (!PyLong_CheckExact(time_ns) || !PyLong_CheckExact(level) || !PyUnicode_CheckExact(message)) {
        return LEFT;
    }
    /* The encoder's own mapping, from ints to bytes: nothing runs, and what is found stays. */
    PyObject *encoded_level = PyDict_GetItemWithError(lines->encoder->levels, level);
    if (encoded_level == NULL) {
        return PyErr_Occurred() ? FAILED : LEFT;
    }
    unsigned int microsecond;
    Outcome outcome = show_second(lines, time_ns, &microsecond);
    if (outcome == WRITTEN) {
        outcome = reserve(lines, TIMESTAMP_SIZE + 6);
    }
    if (outcome == WRITTEN) {
        memcpy(lines->position, lines->timestamp, TIMESTAMP_SIZE);
        fill_digits(lines->position + TIMESTAMP_SIZE, 6, microsecond);
        lines->position += TIMESTAMP_SIZE + 6;
        outcome = PUT_LITERAL(lines, "Z\",\"level\":");
    }
    if (outcome == WRITTEN) {
        outcome = put(lines, PyBytes_AS_STRING(encoded_level), PyBytes_GET_SIZE(encoded_level));
    }
    if (outcome == WRITTEN) {
        outcome = PUT_LITERAL(lines, ",\"message\":");
    }
    return outcome == WRITTEN ? write_text(lines, message) : outcome;
}

/* Write all of a line but its end. The caller holds the record. */
static Outcome
write_record(Lines *lines, PyObject *record, Fragment *fragment, PyObject *ask, long long sequence)
{
    PyObject *fields = PyTuple_GET_ITEM(record, FIELDS);
    if (!is_mapping(lines->encoder, fields)) {
        return LEFT;
    }
    Outcome outcome = find_fragment(fragment, ask, PyTuple_GET_ITEM(record, ORIGIN), PyTuple_GET_ITEM(record, AMBIENT),
                                    PyTuple_GET_ITEM(record, TASK));
    if (outcome == WRITTEN) {
        outcome = write_beginning(lines, record);
    }
    if (outcome == WRITTEN && PyDict_GET_SIZE(fields) > 0) {
        outcome = PUT_LITERAL(lines, ",\"fields\":");
        if (outcome == WRITTEN) {
            outcome = write_mapping(lines, &fields, 1, 0);
        }
    }
    if (outcome == WRITTEN) {
        outcome = PUT_LITERAL(lines, ",\"sequence\":");
    }
    if (outcome == WRITTEN) {
        outcome = write_signed(lines, sequence);
    }
    if (outcome == WRITTEN) {
        outcome = PUT_LITERAL(lines, ",\"container\":");
    }
    if (outcome == WRITTEN) {
        outcome = put(lines, PyBytes_AS_STRING(fragment->encoded), PyBytes_GET_SIZE(fragment->encoded));
    }
    return outcome;
}

static Outcome
end_line(Lines *lines)
{
    Outcome outcome = PUT_LITERAL(lines, "}\n");
    return outcome == WRITTEN && lines->position - lines->line > lines->encoder->most ? LEFT : outcome;
}

static inline int
is_plain_record(PyObject *record)
{
    return record != NULL && PyTuple_CheckExact(record) && PyTuple_GET_SIZE(record) == RECORD_SIZE
           && PyTuple_GET_ITEM(record, EXTRAS) == Py_None;
}

/* Write all of a line but its end, with *context* in place of the record's or, if it is a plain dict, added to that.
   The caller holds the record, but not the context. */
static Outcome
write_with_context(Lines *lines, PyObject *record, PyObject *context, long long sequence)
{
    LineEncoder *encoder = lines->encoder;
    PyObject *origin = PyTuple_GET_ITEM(record, ORIGIN), *ambient = PyTuple_GET_ITEM(record, AMBIENT);
    if (!Py_IS_TYPE(origin, encoder->origin_type) || !Py_IS_TYPE(ambient, encoder->ambient_type)) {
        return LEFT;
    }
    PyObject *values = SLOT(ambient, encoder->ambient_values), *bound = SLOT(origin, encoder->origin_bound);
    if (values == NULL || bound == NULL || !is_mapping(encoder, values) || !is_mapping(encoder, bound)) {
        return LEFT;
    }
    int added = PyDict_CheckExact(context);
    if (!added && context == values && PyDict_GET_SIZE(bound) == 0) {
        return write_record(lines, record, &lines->shared, encoder->shared, sequence);
    }
    if (added && PyDict_GET_SIZE(context) == 0) {
        return LEFT;
    }
    /* What is empty does not have to be looked through. */
    PyObject *layers[3];
    int count = 0;
    if (added && PyDict_GET_SIZE(values) > 0) {
        layers[count++] = Py_NewRef(values);
    }
    if (added && PyDict_GET_SIZE(bound) > 0) {
        layers[count++] = Py_NewRef(bound);
    }
    if (PyDict_GET_SIZE(context) > 0) {
        layers[count++] = Py_NewRef(context);
    }
    Outcome outcome = write_record(lines, record, &lines->identity, encoder->identity, sequence);
    if (outcome == WRITTEN && count > 0) {
        outcome = PUT_LITERAL(lines, ",\"context\":");
        if (outcome == WRITTEN) {
            outcome = write_mapping(lines, layers, count, 0);
        }
    }
    while (count > 0) {
        Py_DECREF(layers[--count]);
    }
    return outcome;
}

/* Write the line of an event, which is the record that it was made of and what plugins have done to its context. */
static Outcome
write_event(Lines *lines, PyObject *event)
{
    LineEncoder *encoder = lines->encoder;
    PyObject *record = SLOT(event, encoder->event_record), *context = SLOT(event, encoder->event_context);
    PyObject *own_sequence = SLOT(event, encoder->event_sequence);
    if (!is_plain_record(record) || context == NULL || own_sequence == NULL || !PyLong_CheckExact(own_sequence)) {
        return LEFT;
    }
    int overflow;
    long long sequence = PyLong_AsLongLongAndOverflow(own_sequence, &overflow);
    if (overflow != 0 || (context != Py_None && !is_mapping(encoder, context))) {
        return LEFT;
    }
    Py_INCREF(record);
    Outcome outcome = context == Py_None ? write_record(lines, record, &lines->shared, encoder->shared, sequence)
                                         : write_with_context(lines, record, context, sequence);
    Py_DECREF(record);
    return outcome;
}

/* Write what the function *line* in Python makes of *item*. */
static Outcome
write_by_line(Lines *lines, PyObject *line, PyObject *item, PyObject *first_sequence, Py_ssize_t index)
{
    PyObject *position = PyLong_FromSsize_t(index);
    PyObject *sequence = position == NULL ? NULL : PyNumber_Add(first_sequence, position);
    Py_XDECREF(position);
    if (sequence == NULL) {
        return FAILED;
    }
    PyObject *arguments[] = {item, sequence};
    PyObject *encoded = PyObject_Vectorcall(line, arguments, 2, NULL);
    Py_DECREF(sequence);
    if (encoded == NULL) {
        return FAILED;
    }
    Outcome outcome = FAILED;
    if (PyBytes_CheckExact(encoded)) {
        outcome = put(lines, PyBytes_AS_STRING(encoded), PyBytes_GET_SIZE(encoded));
    }
    else {
        PyErr_Format(PyExc_TypeError, "a line is bytes, not %R", Py_TYPE(encoded));
    }
    Py_DECREF(encoded);
    return outcome;
}

static Outcome
write_lines(Lines *lines, PyObject *items, PyObject *first_sequence, PyObject *line)
{
    LineEncoder *encoder = lines->encoder;
    int overflow = 1;
    long long first = PyLong_CheckExact(first_sequence) ? PyLong_AsLongLongAndOverflow(first_sequence, &overflow) : 0;
    int numbered = overflow == 0 && first <= LLONG_MAX / 2;
    Outcome outcome = WRITTEN;
    /* A list may be changed by what is asked from Python. */
    for (Py_ssize_t index = 0; outcome == WRITTEN && index < PySequence_Fast_GET_SIZE(items); index++) {
        PyObject *item = Py_NewRef(PySequence_Fast_GET_ITEM(items, index));
        lines->line = lines->position;
        outcome = LEFT;
        if (Py_IS_TYPE(item, encoder->event_type)) {
            outcome = write_event(lines, item);
        }
        else if (numbered && is_plain_record(item)) {
            outcome = write_record(lines, item, &lines->shared, encoder->shared, first + index);
        }
        if (outcome == WRITTEN) {
            outcome = end_line(lines);
        }
        if (outcome == LEFT) {
            lines->position = lines->line;
            outcome = write_by_line(lines, line, item, first_sequence, index);
        }
        Py_DECREF(item);
    }
    return outcome;
}

/* -- LineEncoder */

static PyObject *
encode(LineEncoder *encoder, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"items", "first_sequence", "line", NULL};
    PyObject *given, *first_sequence, *line;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OOO", names, &given, &first_sequence, &line)) {
        return NULL;
    }
    PyObject *items = PySequence_Fast(given, "the items of a batch are a sequence");
    if (items == NULL) {
        return NULL;
    }
    Lines lines = {.encoder = encoder};
    memcpy(lines.timestamp, TIMESTAMP, sizeof(TIMESTAMP));
    Py_ssize_t count = PySequence_Fast_GET_SIZE(items);
    Py_ssize_t line_size = encoder->usual_line + encoder->usual_line / 8;
    Py_ssize_t size = LARGEST_LINE + (count < PY_SSIZE_T_MAX / 4 / line_size ? count : 0) * line_size;
    lines.bytes = PyBytes_FromStringAndSize(NULL, size);
    if (lines.bytes == NULL) {
        Py_DECREF(items);
        return NULL;
    }
    lines.position = lines.line = PyBytes_AS_STRING(lines.bytes);
    lines.end = lines.position + size;
    Outcome outcome = write_lines(&lines, items, first_sequence, line);
    clear_fragment(&lines.shared);
    clear_fragment(&lines.identity);
    Py_DECREF(items);
    if (outcome != WRITTEN) {
        Py_CLEAR(lines.bytes);
        return NULL;
    }
    size = lines.position - PyBytes_AS_STRING(lines.bytes);
    if (count > 0) {
        line_size = size / count;
        encoder->usual_line = line_size < SMALLEST_LINE  ? SMALLEST_LINE
                              : line_size > LARGEST_LINE ? LARGEST_LINE
                                                         : line_size;
    }
    _PyBytes_Resize(&lines.bytes, size);
    return lines.bytes;
}

/* Return a copy of *levels*, which stays as it is, and in which nothing has to be checked any more. */
static PyObject *
copy_levels(PyObject *levels)
{
    PyObject *copy = PyDict_New();
    Py_ssize_t next = 0;
    PyObject *level, *encoded;
    while (copy != NULL && PyDict_Next(levels, &next, &level, &encoded)) {
        if (!PyLong_CheckExact(level) || !PyBytes_CheckExact(encoded)) {
            PyErr_SetString(PyExc_TypeError, "levels are numbers with bytes");
        }
        else if (PyDict_SetItem(copy, level, encoded) == 0) {
            continue;
        }
        Py_CLEAR(copy);
    }
    return copy;
}

static PyObject *
new_encoder(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"event_type", "origin_type", "ambient_type", "mapping_type", "levels", "shared",
                            "identity", "number", "other", "other_types", "most", NULL};
    PyObject *event_type, *origin_type, *ambient_type, *mapping_type, *levels, *shared, *identity, *number, *other,
        *other_types;
    Py_ssize_t most;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O!O!O!O!O!OOOOO!n", names, &PyType_Type, &event_type,
                                     &PyType_Type, &origin_type, &PyType_Type, &ambient_type, &PyType_Type,
                                     &mapping_type, &PyDict_Type, &levels, &shared, &identity, &number, &other,
                                     &PyTuple_Type, &other_types, &most)) {
        return NULL;
    }
    if (!PyType_IsSubtype((PyTypeObject *)mapping_type, &PyDict_Type)) {
        return PyErr_Format(PyExc_TypeError, "%R is no kind of dict", mapping_type);
    }
    if (most < 0 || most > PY_SSIZE_T_MAX / 16) {
        return PyErr_Format(PyExc_ValueError, "no line has %zd bytes", most);
    }
    LineEncoder *encoder = (LineEncoder *)type->tp_alloc(type, 0);
    if (encoder == NULL) {
        return NULL;
    }
    encoder->event_type = (PyTypeObject *)Py_NewRef(event_type);
    encoder->origin_type = (PyTypeObject *)Py_NewRef(origin_type);
    encoder->ambient_type = (PyTypeObject *)Py_NewRef(ambient_type);
    encoder->mapping_type = (PyTypeObject *)Py_NewRef(mapping_type);
    encoder->shared = Py_NewRef(shared);
    encoder->identity = Py_NewRef(identity);
    encoder->number = Py_NewRef(number);
    encoder->other = Py_NewRef(other);
    encoder->other_types = Py_NewRef(other_types);
    encoder->most = most;
    encoder->usual_line = USUAL_LINE;
    encoder->levels = copy_levels(levels);
    if (encoder->levels == NULL || find_slot(event_type, "_record", &encoder->event_record) < 0
        || find_slot(event_type, "_context", &encoder->event_context) < 0
        || find_slot(event_type, "_sequence", &encoder->event_sequence) < 0
        || find_slot(origin_type, "bound", &encoder->origin_bound) < 0
        || find_slot(ambient_type, "values", &encoder->ambient_values) < 0) {
        Py_DECREF(encoder);
        return NULL;
    }
    return (PyObject *)encoder;
}

static int
traverse_encoder(LineEncoder *encoder, visitproc visit, void *arg)
{
    Py_VISIT(encoder->event_type);
    Py_VISIT(encoder->origin_type);
    Py_VISIT(encoder->ambient_type);
    Py_VISIT(encoder->mapping_type);
    Py_VISIT(encoder->other_types);
    Py_VISIT(encoder->levels);
    Py_VISIT(encoder->shared);
    Py_VISIT(encoder->identity);
    Py_VISIT(encoder->number);
    Py_VISIT(encoder->other);
    return 0;
}

static int
clear_encoder(LineEncoder *encoder)
{
    Py_CLEAR(encoder->event_type);
    Py_CLEAR(encoder->origin_type);
    Py_CLEAR(encoder->ambient_type);
    Py_CLEAR(encoder->mapping_type);
    Py_CLEAR(encoder->other_types);
    Py_CLEAR(encoder->levels);
    Py_CLEAR(encoder->shared);
    Py_CLEAR(encoder->identity);
    Py_CLEAR(encoder->number);
    Py_CLEAR(encoder->other);
    return 0;
}

static void
free_encoder(LineEncoder *encoder)
{
    PyObject_GC_UnTrack(encoder);
    clear_encoder(encoder);
    Py_TYPE(encoder)->tp_free(encoder);
}

static PyTypeObject LineEncoderType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "fapilog._accelerator.LineEncoder",
    .tp_doc = "Writes items as JSON lines, and asks the function *line* for those of which it does not know how.",
    .tp_basicsize = sizeof(LineEncoder),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = new_encoder,
    .tp_call = (ternaryfunc)encode,
    .tp_traverse = (traverseproc)traverse_encoder,
    .tp_clear = (inquiry)clear_encoder,
    .tp_dealloc = (destructor)free_encoder,
};

int
add_lines(PyObject *module)
{
    return PyModule_AddType(module, &LineEncoderType);
}
