// SPDX-License-Identifier: MIT
// What the environment asks for when the library is loaded.
#include "clone2.h"
#include "provider.h"
#include "translate.h"
#include "trap.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

static void install_trap(void)
{
    // A kernel that has the call needs no trap, except for another number.
    if (shim_nr == __NR_clone2 && shim_kernel_has_clone2())
        return;
    if (shim_trap_install() == 0)
        return;
    static const char message[] =
        "libclone2: CLONE2_SHIM=trap: no seccomp filter could be installed\n";
    if (write(2, message, sizeof message - 1) < 0)
        return; // nobody to tell
}

__attribute__((constructor)) static void load(void)
{
    const char *number = getenv("CLONE2_NR");
    const char *mode = getenv("CLONE2_SHIM");
    if (number)
        take_number(number);
    if (mode && strcmp(mode, "trap") == 0)
        install_trap();
}
