/* Numbers as JSON and ``repr`` have them, written where there is room. */

#ifndef FAPILOG_NUMBERS_H
#define FAPILOG_NUMBERS_H

#include "buffer.h"

/* Room for the digits and the sign of any 64-bit number. */
enum { MOST_DIGITS = 20 };

/* Room for whatever fill_decimal writes. */
enum { MOST_DECIMAL = 1 + MOST_DIGITS + 1 + 6 };

/* The numbers below 100, two digits each. */
extern const char PAIRS_OF_DIGITS[];

/* Write the last *count* digits of *number*, zeros among them. */
static inline void
fill_digits(char *digits, int count, unsigned int number)
{
    while (count >= 2) {
        count -= 2;
        memcpy(digits + count, PAIRS_OF_DIGITS + number % 100 * 2, 2);
        number /= 100;
    }
    if (count > 0) {
        *digits = (char)('0' + number % 10);
    }
}

/* Write a float with the fewest digits that read back as it, and return where they end.

   Return NULL for one that has more digits than this is quick for, or whose text may have an exponent. */
char *fill_decimal(char *position, double given);

Outcome put_signed(Buffer *buffer, long long number);

/* Write an int; one beyond 64 bits is left to Python. */
Outcome put_integer(Buffer *buffer, PyObject *value);

#endif
