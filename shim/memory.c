// SPDX-License-Identifier: MIT
#include "memory.h"

#include "base/arch/native.h"

#include <errno.h>
#include <sys/syscall.h>
#include <sys/uio.h>

// rt_sigprocmask() with an invalid `how` only reads 8 bytes: EINVAL if readable, else EFAULT.
static bool is_readable(uint64_t address)
{
    return raw_call(SYS_rt_sigprocmask, ~0ULL, address, 0, 8) == -EINVAL;
}

// For sandboxes that forbid process_vm_readv(). No read here spans more than two pages. If another
// thread unmaps the memory in between, this raises SIGSEGV instead of returning EFAULT.
static bool read_after_asking(uint64_t address, void *to, size_t size)
{
    const uint64_t last = address + size - 1;
    if (last < address || !is_readable(address & ~7ULL) || !is_readable(last & ~7ULL)) {
        return false;
    }
    const volatile unsigned char *from = (const volatile unsigned char *)(uintptr_t)address;
    for (size_t i = 0; i < size; i++) {
        ((unsigned char *)to)[i] = from[i];
    }
    return true;
}

bool shim_read(uint64_t address, void *to, size_t size)
{
    // The thread's id, because the process's first thread may have ended.
    const long self = raw_call(SYS_gettid);
    const struct iovec local = {to, size};
    const struct iovec remote = {(void *)(uintptr_t)address, size};
    const long got = raw_call(SYS_process_vm_readv, self, &local, 1, &remote, 1);
    if (got == -ENOSYS || got == -EPERM) {
        return read_after_asking(address, to, size);
    }
    return got == (long)size;
}
