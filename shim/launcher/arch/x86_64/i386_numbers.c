// SPDX-License-Identifier: MIT
// Apart from served.c: each architecture's numbers.h has the same names.
#include "../../../arch/i386/numbers.h"

int i386_number_is_taken(long nr);

int i386_number_is_taken(long nr)
{
    return shim_number_is_taken(nr);
}
