// SPDX-License-Identifier: MIT
// The same in effect as supervisor/listener/filter.cpp.
#include "filter.h"

#include "arch/native.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV // 5.19
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

long install_filter(long nr)
{
    // Equality tests only, so that the kernel's constant-action bitmap (5.11) answers for all
    // other calls. A foreign architecture's calls are its own business.
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE_AUDIT_ARCH, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)nr, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {sizeof steps / sizeof steps[0], steps};
    unsigned long flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    int no_new_privs = 0;
    for (;;) {
        const long listener = raw_call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
        if (listener == -EACCES && !no_new_privs) {
            // Only where the kernel asks for it: set-user-ID programs keep working for root.
            no_new_privs = 1;
            if (raw_call(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1) == 0)
                continue;
        }
        if (listener == -EINVAL && (flags & SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)) {
            flags &= ~SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
            continue;
        }
        return listener;
    }
}
