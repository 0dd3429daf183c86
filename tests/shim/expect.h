// SPDX-License-Identifier: MIT
// Helpers for test programs in C.
#ifndef SHIM_TEST_EXPECT_H
#define SHIM_TEST_EXPECT_H

#include <stdio.h>
#include <stdlib.h>

// On a mismatch, prints it and ends the program with status 1.
#define EXPECT(want, got) expect(#got, (long long)(want), (long long)(got), __FILE__, __LINE__)

static inline void expect(const char *what, long long want, long long got, const char *file,
                          int line)
{
    if (want == got) {
        return;
    }
    fprintf(stderr, "%s:%d: %s: expected %lld (0x%llx), got %lld (0x%llx)\n", file, line, what,
            want, (unsigned long long)want, got, (unsigned long long)got);
    exit(1);
}

#endif
