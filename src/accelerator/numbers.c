/* Numbers; two digits at a time. */

#include "numbers.h"

#include <limits.h>
#include <math.h>

const char PAIRS_OF_DIGITS[] =
    "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
    "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
    "8081828384858687888990919293949596979899";

/* Write the digits of *number*, at most MOST_DIGITS, and return where they end. */
static char *
fill_number(char *position, unsigned long long number)
{
    char digits[MOST_DIGITS];
    char *first = digits + MOST_DIGITS;
    while (number >= 100) {
        first -= 2;
        memcpy(first, PAIRS_OF_DIGITS + number % 100 * 2, 2);
        number /= 100;
    }
    if (number >= 10) {
        first -= 2;
        memcpy(first, PAIRS_OF_DIGITS + number * 2, 2);
    }
    else {
        *--first = (char)('0' + number);
    }
    size_t size = (size_t)(digits + MOST_DIGITS - first);
    memcpy(position, first, size);
    return position + size;
}

Outcome
put_signed(Buffer *buffer, long long number)
{
    Outcome outcome = reserve(buffer, MOST_DIGITS + 1);
    if (outcome == WRITTEN) {
        unsigned long long magnitude = (unsigned long long)number;
        if (number < 0) {
            *buffer->position++ = '-';
            magnitude = 0 - magnitude;
        }
        buffer->position = fill_number(buffer->position, magnitude);
    }
    return outcome;
}

Outcome
put_integer(Buffer *buffer, PyObject *value)
{
    int overflow;
    long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (overflow == 0) {
        return put_signed(buffer, number);
    }
    if (overflow < 0) {
        return LEFT;
    }
    unsigned long long large = PyLong_AsUnsignedLongLong(value);
    if (large == ULLONG_MAX && PyErr_Occurred()) {
        return leave_error();
    }
    Outcome outcome = reserve(buffer, MOST_DIGITS);
    if (outcome == WRITTEN) {
        buffer->position = fill_number(buffer->position, large);
    }
    return outcome;
}

/* Decimals of at most 15 digits are all different as floats. One that reads back as the value is therefore the only one
   that does, and the fewest digits are its own without the zeros at its end. A quotient of two numbers that floats hold
   exactly is rounded as a decimal that is read is. */
char *
fill_decimal(char *position, double given)
{
    const double millionth = 1e6;
    double magnitude = fabs(given);
    unsigned long long whole;
    unsigned int rest = 0;
    if (magnitude < 1e9) {
        unsigned long long millionths = (unsigned long long)(magnitude * millionth + 0.5);
        if ((double)millionths / millionth != magnitude || (magnitude < 1e-4 && millionths != 0)) {
            return NULL;
        }
        whole = millionths / 1000000;
        rest = (unsigned int)(millionths % 1000000);
    }
    else if (magnitude < 1e15 && (double)(unsigned long long)magnitude == magnitude) {
        whole = (unsigned long long)magnitude;
    }
    else {
        return NULL;
    }
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
    return last + 1;
}
