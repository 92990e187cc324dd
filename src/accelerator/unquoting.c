/* A text without its URL-quoting, as urllib.parse.unquote_plus has it. */

#include "accelerator.h"

static int
digit_of(unsigned char character)
{
    return character >= '0' && character <= '9'   ? character - '0'
           : character >= 'a' && character <= 'f' ? character - 'a' + 10
           : character >= 'A' && character <= 'F' ? character - 'A' + 10
                                                  : -1;
}

static PyObject *
unquoted(PyObject *module, PyObject *text)
{
    (void)module;
    if (!PyUnicode_Check(text) || !PyUnicode_IS_ASCII(text)) {
        PyErr_SetString(PyExc_TypeError, "it takes one text in ASCII");
        return NULL;
    }
    Py_ssize_t length = PyUnicode_GET_LENGTH(text), filled = 0;
    const unsigned char *characters = PyUnicode_DATA(text);
    char *plain = PyMem_Malloc((size_t)length + 1);
    if (plain == NULL) {
        return PyErr_NoMemory();
    }
    for (Py_ssize_t index = 0; index < length; index++) {
        unsigned char character = characters[index];
        if (character == '+') {
            character = ' ';
        }
        else if (character == '%' && length - index > 2) {
            int high = digit_of(characters[index + 1]), low = digit_of(characters[index + 2]);
            if (high >= 0 && low >= 0) {
                character = (unsigned char)(high << 4 | low);
                index += 2;
            }
        }
        plain[filled++] = (char)character;
    }
    PyObject *result = PyUnicode_DecodeUTF8(plain, filled, "replace");
    PyMem_Free(plain);
    return result;
}

static PyMethodDef functions[] = {
    {"unquoted", unquoted, METH_O, "Return a text in ASCII without its URL-quoting."},
    {NULL, NULL, 0, NULL},
};

int
add_unquoting(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
