/* SPDX-License-Identifier: MIT */
/* The capabilities that decide about pids. C and C++. Async-signal-safe and thread-safe. */
#ifndef CLONE2_CAPABILITIES_H
#define CLONE2_CAPABILITIES_H

#include "base/arch/native.h"

#include <linux/capability.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/types.h>

#define CAPABILITY(name) (1ULL << (name))
/* A caller with one of these over a pid namespace may choose pids in it. CAP_CHECKPOINT_RESTORE
 * exists since 5.9. */
#define PID_CAPABILITIES (CAPABILITY(CAP_SYS_ADMIN) | CAPABILITY(CAP_CHECKPOINT_RESTORE))

/* A thread's effective capabilities in its own user namespace; tid 0 is the caller. Empty if
 * capget(2) fails. */
static inline uint64_t effective_capabilities(pid_t tid)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, tid};
    struct __user_cap_data_struct data[2] = {{0, 0, 0}, {0, 0, 0}};
    if (raw_call(SYS_capget, &header, data) != 0) {
        return 0;
    }
    return (uint64_t)data[1].effective << 32 | data[0].effective;
}

#endif
