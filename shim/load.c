// SPDX-License-Identifier: MIT
// Applies the environment when the library is loaded. If the program has more privilege than its
// caller (AT_SECURE), the environment is ignored, because the caller controls it.
#define _GNU_SOURCE
#include "clone2.h"
#include "numbers.h"
#include "provider.h"
#include "translate.h"
#include "trap.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// Prints one line on stderr, with the value shortened and made printable.
static void complain(const char *variable, const char *value, const char *why)
{
    char shown[40];
    size_t length = 0;
    for (; value[length] && length + 1 < sizeof shown; length++) {
        shown[length] = '?';
        if (value[length] >= ' ' && value[length] <= '~') {
            shown[length] = value[length];
        }
    }
    shown[length] = 0;
    dprintf(STDERR_FILENO, "libclone2: %s=%s%s: %s\n", variable, shown, value[length] ? "..." : "",
            why);
}

// Returns false if the text is not a number.
static bool read_number(const char *text, uint32_t *number)
{
    uint64_t value = 0;
    for (; *text; text++) {
        if (*text < '0' || *text > '9') {
            return false;
        }
        value = value * 10 + (uint64_t)(*text - '0');
        if (value > INT32_MAX) {
            return false;
        }
    }
    *number = (uint32_t)value;
    return true;
}

#define IN_WORDS(number) #number
#define INSTEAD(number) "; " IN_WORDS(number) " is used"

static void take_number(const char *text)
{
    uint32_t number = 0;
    if (!read_number(text, &number)) {
        complain("CLONE2_NR", text, "not a system call number" INSTEAD(__NR_clone2));
    } else if (shim_number_is_taken((long)number)) {
        complain("CLONE2_NR", text, "the number of another system call" INSTEAD(__NR_clone2));
    } else {
        shim_nr = number;
    }
}

static void take_mode(const char *mode)
{
    if (strcmp(mode, "trap") != 0) {
        complain("CLONE2_SHIM", mode, "unknown mode (known: trap)");
        return;
    }
    // A kernel that has the call needs no trap, unless the number is another one.
    if (shim_nr == __NR_clone2 && shim_kernel_has_clone2()) {
        return;
    }
    if (shim_trap_install() != 0) {
        complain("CLONE2_SHIM", mode, "no seccomp filter could be installed");
    }
}

__attribute__((constructor)) static void load(void)
{
    const char *number = secure_getenv("CLONE2_NR");
    const char *mode = secure_getenv("CLONE2_SHIM");
    if (number && *number) {
        take_number(number);
    }
    if (mode && *mode) {
        take_mode(mode);
    }
}
