/* Methods that make plain calls themselves and leave all others to a function in Python. */

#ifndef FAPILOG_METHODS_H
#define FAPILOG_METHODS_H

#include "accelerator.h"

/* What the instances of each such class begin with. */
typedef struct {
    PyObject_HEAD
    vectorcallfunc call;
    PyObject *python;
} Method;

/* Their base: is bound as a function is, and what is asked of it (its name, its documentation) is answered by the
   function in Python. */
extern PyTypeObject MethodType;

/* For each class: a class without a documentation would have None. */
extern PyGetSetDef method_getset[];

#endif
