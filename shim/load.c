// SPDX-License-Identifier: MIT
// What the environment asks for when the library is loaded.
#include "translate.h"

#include <stdlib.h>

// 1 to INT_MAX; anything else is no number of a system call and is left unheeded.
static void take_number(const char *text)
{
    uint32_t value = 0;
    if (!*text)
        return;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || value > 100000000)
            return;
        value = value * 10 + (uint32_t)(*text - '0');
    }
    if (value)
        shim_nr = value;
}

__attribute__((constructor)) static void load(void)
{
    const char *number = getenv("CLONE2_NR");
    if (number)
        take_number(number);
}
