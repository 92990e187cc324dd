/* What the parts of RedactionScreen share. */

#ifndef FAPILOG_REDACTION_H
#define FAPILOG_REDACTION_H

#include "accelerator.h"

enum { LONGEST_MARK = 40, MOST_MARKS = 512 };

/* A text that makes the one in which it stands worth a look: anywhere and in any case, or in just this case and at the
   beginning of a word. */
typedef struct {
    short next;
    unsigned char size;
    int any_case;
    char text[LONGEST_MARK];
} Mark;

typedef struct {
    unsigned short classes[256];
    short first_mark[128];
    unsigned char seconds[128][16]; /* for each first character of marks a bit for each second one */
    int mark_count;
    Mark marks[MOST_MARKS];
    int shapes;
    PyObject *numbered;
} TextScreen;

/* redaction_texts.c: fill an empty screen; return -1 with an exception if that cannot be done. */
int begin_text_screen(TextScreen *screen, PyObject *words, PyObject *prefixes, PyObject *numbered, int shapes);

/* Return whether a text in ASCII may hold something sensitive. */
int is_worth_a_look(const TextScreen *screen, const unsigned char *data, Py_ssize_t size);

#endif
