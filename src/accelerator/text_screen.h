/* Whether a text has signs of anything sensitive; see redactors/_signs.py. */

#ifndef FAPILOG_TEXT_SCREEN_H
#define FAPILOG_TEXT_SCREEN_H

#include "accelerator.h"

typedef struct TextScreen TextScreen;

/* The type of the screens, fapilog._accelerator.TextScreen. */
extern PyTypeObject TextScreenType;

/* Return whether a text, a str, has any of the signs; 1 where there was no memory to find out. Sets no exception. */
int text_may_hold(const TextScreen *screen, PyObject *text);

#endif
