// SPDX-License-Identifier: MIT
// Compares the numbers that libclone2 and clone2-shim consider in use with libseccomp's table,
// which clone2-supervise uses. They may be stricter, to leave room for new calls.
#include "expect.h"
#include "numbers.h"

#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    int known = 0;
    for (int nr = 0; nr <= 600; nr++) {
        char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, nr);
        if (name && !shim_number_is_taken(nr)) {
            fprintf(stderr, "%d is %s\n", nr, name);
            return 1;
        }
        known += name != NULL;
        free(name);
    }
    EXPECT(1, known > 300);
    // Free for clone2 on every kernel.
    for (int nr = 387; nr < 424; nr++) {
        EXPECT(0, shim_number_is_taken(nr));
    }
    static const int others[] = {337, 386, 500, 600, 0x3fffffff};
    for (unsigned i = 0; i < sizeof others / sizeof others[0]; i++) {
        EXPECT(0, shim_number_is_taken(others[i]));
    }
    static const int taken[] = {0, 105, 334, 335, 336, 424, 435, 479, 512, 547, 0x40000000 + 387};
    for (unsigned i = 0; i < sizeof taken / sizeof taken[0]; i++) {
        EXPECT(1, shim_number_is_taken(taken[i]));
    }
    return 0;
}
