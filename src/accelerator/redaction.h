/* What the parts of RedactionScreen share. */

#ifndef FAPILOG_REDACTION_H
#define FAPILOG_REDACTION_H

#include "accelerator.h"

/* separators.c: return whether a text, a str, has anything that may stand between a name and its value. */
int has_separator(PyObject *text);

#endif
