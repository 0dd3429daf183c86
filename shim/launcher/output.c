// SPDX-License-Identifier: MIT
#include "output.h"

#include "text.h"

#include "base/arch/native.h"

#include <sys/syscall.h>

int print(long fd, const char *text)
{
    const size_t length = length_of(text);
    return raw_call(SYS_write, fd, text, length) == (long)length;
}

void say(const char *before, const char *what, const char *after)
{
    static struct text line;
    line.size = 0;
    add(&line, "clone2-shim: ");
    add_printable(&line, before);
    add_printable(&line, what);
    add_printable(&line, after);
    add(&line, "\n");
    (void)print(2, line.at); // a single write keeps lines of several processes apart
}
