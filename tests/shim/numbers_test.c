// SPDX-License-Identifier: MIT
// Compares the numbers that libclone2 and clone2-shim consider in use with libseccomp's table,
// which clone2-supervise uses. They may be stricter, to leave room for new calls.
#include "expect.h"
#include "known_numbers.h"
#include "numbers.h"

#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    int known = 0;
    for (int nr = 0; nr <= 600; nr++) {
        char *name = seccomp_syscall_resolve_num_arch(ARCH_OF_SECCOMP, nr);
        if (name && !shim_number_is_taken(nr)) {
            fprintf(stderr, "%d is %s\n", nr, name);
            return 1;
        }
        known += name != NULL;
        free(name);
    }
    EXPECT(1, known > 300);
    for (unsigned i = 0; i < sizeof free_numbers / sizeof free_numbers[0]; i++) {
        EXPECT(0, shim_number_is_taken(free_numbers[i]));
    }
    for (unsigned i = 0; i < sizeof taken_numbers / sizeof taken_numbers[0]; i++) {
        EXPECT(1, shim_number_is_taken(taken_numbers[i]));
    }
    return 0;
}
