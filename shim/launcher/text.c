// SPDX-License-Identifier: MIT
#include "text.h"

#include <errno.h>

void *memcpy(void *to, const void *from, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        ((volatile char *)to)[i] =
            ((const char *)from)[i]; // volatile: or the compiler makes it call itself
    }
    return to;
}

void *memset(void *to, int byte, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        ((volatile char *)to)[i] = (char)byte;
    }
    return to;
}

size_t length_of(const char *text)
{
    size_t length = 0;
    while (text[length]) {
        length++;
    }
    return length;
}

int equal(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

int starts_with(const char *text, const char *begin)
{
    while (*begin && *text == *begin) {
        text++;
        begin++;
    }
    return !*begin;
}

int has_slash(const char *text)
{
    for (; *text; text++) {
        if (*text == '/') {
            return 1;
        }
    }
    return 0;
}

long number_in(const char *text, long highest)
{
    long number = 0;
    if (!*text) {
        return -1;
    }
    for (; *text; text++) {
        if (*text < '0' || *text > '9') {
            return -1;
        }
        number = number * 10 + (*text - '0');
        if (number > highest) {
            return -1;
        }
    }
    return number;
}

void add(struct text *text, const char *more)
{
    for (; *more && text->size + 1 < sizeof text->at; more++) {
        text->at[text->size++] = *more;
    }
    text->at[text->size] = 0;
}

void add_printable(struct text *text, const char *more)
{
    for (; *more; more++) {
        const unsigned byte = (unsigned char)*more;
        const char plain[2] = {*more, 0};
        const char escaped[5] = {'\\', 'x', "0123456789abcdef"[byte / 16],
                                 "0123456789abcdef"[byte % 16], 0};
        add(text, byte >= 0x20 && byte < 0x7f ? plain : escaped);
    }
}

void add_number(struct text *text, long number)
{
    char digits[24];
    size_t at = sizeof digits;
    digits[--at] = 0;
    do {
        digits[--at] = (char)('0' + number % 10);
    } while (number /= 10);
    add(text, digits + at);
}

#define ERROR(err, text)                                                                           \
    {                                                                                              \
        err, #err, text                                                                            \
    }
static const struct known_error {
    long err;
    const char *name;
    const char *text;
} known_errors[] = {
    ERROR(EPERM, "Operation not permitted"),
    ERROR(ENOENT, "No such file or directory"),
    ERROR(E2BIG, "Argument list too long"),
    ERROR(ENOEXEC, "Exec format error"),
    ERROR(EAGAIN, "no answer in time"),
    ERROR(ENOMEM, "Cannot allocate memory"),
    ERROR(EACCES, "Permission denied"),
    ERROR(EBUSY, "Device or resource busy"),
    ERROR(ENOTDIR, "Not a directory"),
    ERROR(EISDIR, "Is a directory"),
    ERROR(EINVAL, "Invalid argument"),
    ERROR(EMFILE, "Too many open files"),
    ERROR(ETXTBSY, "Text file busy"),
    ERROR(EPIPE, "Broken pipe"),
    ERROR(ENAMETOOLONG, "File name too long"),
    ERROR(ENOSYS, "Function not implemented"),
    ERROR(ELOOP, "Too many levels of symbolic links"),
    ERROR(EPROTOTYPE, "not a stream socket"),
    ERROR(EAFNOSUPPORT, "no unix sockets here"),
    ERROR(ECONNRESET, "Connection reset by peer"),
    ERROR(ECONNREFUSED, "Connection refused"),
};

static const struct known_error *find_error(long err)
{
    for (size_t i = 0; i < sizeof known_errors / sizeof known_errors[0]; i++) {
        if (known_errors[i].err == err) {
            return &known_errors[i];
        }
    }
    return NULL;
}

void add_error(struct text *text, long err)
{
    const struct known_error *const known = find_error(err);
    add(text, known ? known->text : "error ");
    if (!known) {
        add_number(text, err);
    }
}

void add_error_name(struct text *text, long err)
{
    const struct known_error *const known = find_error(err);
    add(text, known ? known->name : "errno ");
    if (!known) {
        add_number(text, err);
    }
}
