/* What is known of the names that the calls in a program's text give their fields.

   Such a call has the same tuple of names each time, which is looked up by its address; it is held here, so that no
   other has that address. A call with ``**fields`` makes a new one each time, which is not worth a place. */

#ifndef FAPILOG_KNOWN_NAMES_H
#define FAPILOG_KNOWN_NAMES_H

#include "accelerator.h"

#include <stdint.h>

enum { KNOWN_NAMES = 64 };

typedef struct {
    PyObject *names;
    /* What is known beyond that it is known; may be NULL. */
    PyObject *knowledge;
    int is_used;
} KnownNames;

static inline KnownNames *
place_of_names(KnownNames *known, PyObject *names)
{
    uintptr_t address = (uintptr_t)names;
    return known + (((address >> 4) ^ (address >> 10)) & (KNOWN_NAMES - 1));
}

/* Return what is known of *names*; NULL if nothing is. */
static inline KnownNames *
find_known_names(KnownNames *known, PyObject *names)
{
    KnownNames *place = place_of_names(known, names);
    if (place->names != names) {
        return NULL;
    }
    place->is_used = 1;
    return place;
}

/* Return whether there is a place for *names*, of which nothing is known: two in turn do not put each other out of one. */
static inline int
has_place_for_names(KnownNames *known, PyObject *names)
{
    KnownNames *place = place_of_names(known, names);
    int is_free = !place->is_used;
    place->is_used = 0;
    return is_free;
}

/* Keep *knowledge*, a reference that becomes the place's own. */
static inline void
keep_known_names(KnownNames *known, PyObject *names, PyObject *knowledge)
{
    KnownNames *place = place_of_names(known, names);
    PyObject *old_names = place->names, *old_knowledge = place->knowledge;
    place->names = Py_NewRef(names);
    place->knowledge = knowledge;
    Py_XDECREF(old_names);
    Py_XDECREF(old_knowledge);
}

static inline void
clear_known_names(KnownNames *known)
{
    for (int index = 0; index < KNOWN_NAMES; index++) {
        Py_CLEAR(known[index].names);
        Py_CLEAR(known[index].knowledge);
    }
}

#endif
