// SPDX-License-Identifier: MIT
#include "image/waiting_write.hpp"

#include "target/memory.hpp"

#include <fcntl.h>

#include <cerrno>

namespace clone2
{

Result<void> write_waiting(const Procfs &procfs, const PendingCall &call,
                           std::span<const WaitingWrite> writes)
{
    // While it is open, the file refers to this address space; the check proves whose it is.
    const Result<Fd> memory = procfs.open(call.tid(), "mem", O_WRONLY);
    if (!memory) {
        return memory.error();
    }
    if (!call.still_waits()) {
        return Error{"ioctl(NOTIF_ID_VALID)", call.tid(), ENOENT};
    }
    for (const auto &[to, from] : writes) {
        if (auto written = write_file(*memory, call.tid(), to, from); !written) {
            return written;
        }
    }
    return {};
}

} // namespace clone2
