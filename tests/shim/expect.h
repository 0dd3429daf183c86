// SPDX-License-Identifier: MIT
// The few lines that a test program in C needs.
#ifndef SHIM_TEST_EXPECT_H
#define SHIM_TEST_EXPECT_H

#include <stdio.h>
#include <stdlib.h>

// Ends the program with status 1 and says what differs.
#define EXPECT(want, got) expect(#got, (long long)(want), (long long)(got), __FILE__, __LINE__)

static inline void expect(const char *what, long long want, long long got, const char *file,
                          int line)
{
    if (want == got)
        return;
    fprintf(stderr, "%s:%d: %s: expected %lld (0x%llx), got %lld (0x%llx)\n", file, line, what,
            want, (unsigned long long)want, got, (unsigned long long)got);
    exit(1);
}

#endif
