// SPDX-License-Identifier: MIT
#include "provider.h"

#include "arch.h"
#include "base/announcement.h"
#include "base/arch/native.h"
#include "clone2.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

enum { NOT_ASKED, ABSENT, PRESENT };

// Behind a filter the answer may come from a supervisor, which is slower than translating. With
// unreadable args a kernel that has clone2 fails with EFAULT before anything else. The arguments
// are all ones, which is no valid address, descriptor, id or set of flags if the kernel uses the
// number for another call.
static int ask(void)
{
    if (raw_call(SYS_prctl, PR_GET_SECCOMP) != SECCOMP_MODE_DISABLED) {
        raw_call(SYS_prctl, CLONE2_ANNOUNCEMENT); // for the log of a supervisor, if there is one
        return ABSENT;
    }
    long arg[5] = {-1, -1, -1, -1, -1};
    arg[SHIM_PASS_ON_ARG] = SHIM_PASS_ON;
    const long result = raw_call(__NR_clone2, arg[0], arg[1], arg[2], arg[3], arg[4], -1);
    return result == -EFAULT ? PRESENT : ABSENT;
}

bool shim_kernel_has_clone2(void)
{
    static int state; // threads may probe twice and get the same answer
    int known = __atomic_load_n(&state, __ATOMIC_RELAXED);
    if (known == NOT_ASKED) {
        known = ask();
        __atomic_store_n(&state, known, __ATOMIC_RELAXED);
    }
    return known == PRESENT;
}
