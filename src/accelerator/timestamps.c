/* Timestamps as RFC 3339 has them; the second is formatted once for as many as are in it. */

#include "lines.h"
#include "numbers.h"

enum { NANOSECONDS = 1000000000, SECONDS_OF_A_DAY = 86400 };

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

/* Show a second; return whether it is in the years from 1 to 9999. */
static int
show_second(Timestamp *timestamp, long long second)
{
    timestamp->has_second = 0;
    long long day = second / SECONDS_OF_A_DAY;
    int second_of_day = (int)(second % SECONDS_OF_A_DAY);
    if (second_of_day < 0) {
        day--;
        second_of_day += SECONDS_OF_A_DAY;
    }
    char *text = timestamp->text;
    memcpy(text, "0000-00-00T00:00:00.000000Z", TIMESTAMP_SIZE);
    if (!show_date(text, day)) {
        return 0;
    }
    fill_digits(text + 11, 2, (unsigned int)second_of_day / 3600);
    fill_digits(text + 14, 2, (unsigned int)second_of_day / 60 % 60);
    fill_digits(text + 17, 2, (unsigned int)second_of_day % 60);
    timestamp->second = second;
    timestamp->has_second = 1;
    return 1;
}

const char *
show_time(Timestamp *timestamp, long long nanoseconds)
{
    long long second = nanoseconds / NANOSECONDS;
    int rest = (int)(nanoseconds % NANOSECONDS);
    if (rest < 0) {
        second--;
        rest += NANOSECONDS;
    }
    if ((!timestamp->has_second || second != timestamp->second) && !show_second(timestamp, second)) {
        return NULL;
    }
    fill_digits(timestamp->text + 20, 6, (unsigned int)rest / 1000);
    return timestamp->text;
}

Outcome
put_timestamp(Buffer *buffer, Timestamp *timestamp, PyObject *time_ns)
{
    int overflow;
    long long nanoseconds = PyLong_AsLongLongAndOverflow(time_ns, &overflow);
    const char *text = overflow != 0 ? NULL : show_time(timestamp, nanoseconds);
    return text == NULL ? LEFT : put(buffer, text, TIMESTAMP_SIZE);
}
