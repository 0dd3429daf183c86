// SPDX-License-Identifier: MIT
// What clone2 alone has among the forms of the call.
#include "call.h"
#include "harness.h"

#include <signal.h>

static void reserved(void)
{
    struct call *c = call_new();
    static const uint64_t garbage[] = {0, 1, ~0ULL, 0x8000000080000000ULL, 0xdeadbeefcafef00dULL};
    for (size_t i = 0; i < 25; i++) {
        CALL_SET(c, SIGCHLD, 2000 + (pid_t)i);
        c->own_args.reserved1 = (uint32_t)garbage[i % 5];
        c->own_args.reserved2 = garbage[i / 5];
        call_ok(c, 2000 + (pid_t)i);
    }
}

const struct check clone2_checks[] = {
    {"reserved", "reserved fields are ignored", reserved},
    {0},
};
