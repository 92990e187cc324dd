/* What the parts of fapilog's accelerator ask of values. */

#ifndef FAPILOG_VALUES_H
#define FAPILOG_VALUES_H

#include "accelerator.h"

/* values.c: return whether the content of *mapping*, which is a dict, needs no freezing; with *frozen_type* the class of
   the mappings that are frozen already. Runs no code of the values. */
int needs_no_freezing(PyObject *mapping, PyObject *frozen_type);

#endif
