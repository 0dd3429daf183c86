// SPDX-License-Identifier: MIT
#include "calls.h"
#include "numbers.h"

#include <linux/audit.h>
#include <stddef.h>

int i386_number_is_taken(long nr);

static int x86_64_number_is_taken(long nr)
{
    return shim_number_is_taken(nr);
}

const struct served_arch served_archs[] = {
    {"x86_64", AUDIT_ARCH_X86_64, x86_64_number_is_taken},
    {"i386", AUDIT_ARCH_I386, i386_number_is_taken},
    {NULL, 0, NULL},
};
