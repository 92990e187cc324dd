/* Timestamps as RFC 3339 has them. */

#ifndef FAPILOG_TIMESTAMPS_H
#define FAPILOG_TIMESTAMPS_H

enum { TIMESTAMP_SIZE = sizeof("0000-00-00T00:00:00.000000Z") - 1 };

/* A timestamp, and the second that it shows, once it shows one. */
typedef struct {
    char text[TIMESTAMP_SIZE];
    int has_second;
    long long second;
} Timestamp;

/* Return the text of a time since the Unix epoch, which is the timestamp's own and no longer than it; NULL for a time
   outside the years 1 to 9999. */
const char *show_time(Timestamp *timestamp, long long nanoseconds);

#endif
