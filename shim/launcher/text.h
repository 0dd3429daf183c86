// SPDX-License-Identifier: MIT
// Text without a C library.
#ifndef SHIM_TEXT_H
#define SHIM_TEXT_H

#include <stddef.h>

// The compiler may emit calls to these two.
void *memcpy(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);

size_t length_of(const char *text);
int equal(const char *a, const char *b);
int starts_with(const char *text, const char *begin);
int has_slash(const char *text);
// The decimal number that the whole text is; -1: it is not one from 0 to `highest`.
long number_in(const char *text, long highest);

// A growing text; what does not fit is cut off.
struct text {
    char at[4352]; // a path (PATH_MAX) and a name
    size_t size;
};
void add(struct text *text, const char *more);
// Adds text, with everything that a terminal would not print (control characters, non-ASCII) as
// \xNN.
void add_printable(struct text *text, const char *more);
void add_number(struct text *text, long number);

// "Connection refused", or "error 4711".
void add_error(struct text *text, long err);
// "ECONNREFUSED", or "errno 4711".
void add_error_name(struct text *text, long err);

#endif
