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
    // Held open, the file is this address space for good; the check proves which one it is.
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
