/* IbanFinder: where a text has IBANs, as redactors/_identities.py finds them. */

#include "finder.h"

enum { LETTERS = 26, LEAST_DIGITS = 6, MODULUS = 97 };

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    unsigned char lengths[LETTERS][LETTERS]; /* by the two letters of the country; 0 where there is none */
} IbanFinder;

/* Return what a letter or digit of ASCII counts for in an IBAN, 0 to 35; -1 for any other character. */
static inline int
value_of(Py_UCS4 character)
{
    return character >= '0' && character <= '9'   ? (int)(character - '0')
           : character >= 'A' && character <= 'Z' ? (int)(character - 'A') + 10
           : character >= 'a' && character <= 'z' ? (int)(character - 'a') + 10
                                                  : -1;
}

static inline int
is_separator(Py_UCS4 character)
{
    return character == ' ' || character == '.' || character == '-' || character == '+';
}

static inline int
added(int remainder, int value)
{
    return (remainder * (value < 10 ? 10 : 100) + value) % MODULUS;
}

/* Return where the IBAN ends that begins at *start*; -1 if there is none. */
static Py_ssize_t
end_of_iban(const IbanFinder *finder, const Text *text, Py_ssize_t start)
{
    int first = value_of(read_at(text, start)) - 10, second = value_of(read_at(text, start + 1)) - 10;
    int high = value_of(read_at(text, start + 2)), low = value_of(read_at(text, start + 3));
    if (first < 0 || second < 0 || high < 0 || high > 9 || low < 0 || low > 9) {
        return -1;
    }
    int length = finder->lengths[first][second], remainder = 0, digits = 2;
    if (length == 0) {
        return -1;
    }
    Py_ssize_t end = start + 4;
    for (int position = 4; position < length; position++) {
        if (is_separator(read_at(text, end))) {
            end++;
        }
        else if (read_at(text, end) == '%' && read_at(text, end + 1) == '2' && read_at(text, end + 2) == '0') {
            end += 3;
        }
        int value = value_of(read_at(text, end));
        if (value < 0) {
            return -1;
        }
        digits += value < 10;
        remainder = added(remainder, value);
        end++;
    }
    /* The country and the check digits count behind the rest (ISO 13616). */
    remainder = added(added(added(added(remainder, first + 10), second + 10), high), low);
    return remainder == 1 && digits >= LEAST_DIGITS && value_of(read_at(text, end)) < 0 ? end : -1;
}

static PyObject *
call(PyObject *self, PyObject *const *arguments, size_t flags, PyObject *names)
{
    Text text;
    if (take_text(arguments, flags, names, &text) < 0) {
        return NULL;
    }
    PyObject *ibans = PyList_New(0);
    int before = -1; /* what the character before counts for */
    for (Py_ssize_t index = 0; ibans != NULL && index < text.length; index++) {
        int value = value_of(read_at(&text, index));
        if (before < 0 && value >= 10) {
            Py_ssize_t end = end_of_iban((IbanFinder *)self, &text, index);
            if (end >= 0 && append_found(ibans, Py_BuildValue("(nn)", index, end)) < 0) {
                Py_CLEAR(ibans);
            }
        }
        before = value;
    }
    return ibans;
}

static PyObject *
make(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    PyObject *lengths, *country, *length;
    static char *names[] = {"lengths", NULL};
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O!", names, &PyDict_Type, &lengths)) {
        return NULL;
    }
    IbanFinder *finder = (IbanFinder *)type->tp_alloc(type, 0);
    if (finder == NULL) {
        return NULL;
    }
    finder->vectorcall = call;
    Py_ssize_t position = 0;
    while (PyDict_Next(lengths, &position, &country, &length)) {
        const char *letters = PyUnicode_Check(country) ? PyUnicode_AsUTF8(country) : NULL;
        long characters = PyLong_Check(length) ? PyLong_AsLong(length) : -1;
        if (letters == NULL || strlen(letters) != 2 || value_of((Py_UCS4)letters[0]) < 10
            || value_of((Py_UCS4)letters[1]) < 10 || characters < 5 || characters > 64) {
            PyErr_SetString(PyExc_ValueError, "each country has two letters, and 5 to 64 characters");
            Py_DECREF(finder);
            return NULL;
        }
        finder->lengths[value_of((Py_UCS4)letters[0]) - 10][value_of((Py_UCS4)letters[1]) - 10] =
            (unsigned char)characters;
    }
    return (PyObject *)finder;
}

static PyTypeObject IbanFinderType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "fapilog._accelerator.IbanFinder",
    .tp_doc = "Finds where a text has IBANs of the countries it was made with.",
    .tp_basicsize = sizeof(IbanFinder),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL,
    .tp_new = make,
    .tp_call = PyVectorcall_Call,
    .tp_vectorcall_offset = offsetof(IbanFinder, vectorcall),
};

int
add_ibans(PyObject *module)
{
    return PyModule_AddType(module, &IbanFinderType);
}
