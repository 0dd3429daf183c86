// SPDX-License-Identifier: MIT
#pragma once

#include "arch/architecture.hpp"
#include "base/procfs.hpp"
#include "base/remote_ptr.hpp"

#include <cstdint>
#include <sys/types.h>
#include <vector>

namespace clone2
{

/// Room for the code in a target: unused bytes at the end of a page that is executable, and private
/// to the process once written. After the code come the boot slots and, if there is room, spare
/// slots for calls of a target that has no memory left for the area. The target can only read these
/// slots, so the supervisor must keep track of which are free.
struct CodePlace {
    RemotePtr code;
    std::vector<RemotePtr> boot_slots; ///< at least one
    std::vector<RemotePtr> spare_slots;
};

/// Finds it: the vdso's tail, else the tail of the program's own text. Cause::no_room: the target
/// is gone or has neither. Cause::no_descriptor: none is left to find out. `ours`: a place that
/// holds code with another signature is taken, because a thread may be in that code. `arch`: the
/// program's.
[[nodiscard]] Result<CodePlace> find_code_place(const Procfs &procfs, pid_t tid,
                                                const Architecture &arch, const Signature &ours);

/// Whether the rest of the page from `place` on is unused (zero), has our code, or is about to have
/// it: another thread of the target may be booting right now, or a supervisor may have died while
/// it wrote the code.
[[nodiscard]] bool is_usable(pid_t tid, RemotePtr place, const Architecture &arch,
                             const Signature &ours);

/// Whether the program has 64-bit code, whatever call it makes. False also if it is gone. An Error:
/// no descriptor is left to find out.
[[nodiscard]] Result<bool> is_64_bit_program(const Procfs &procfs, pid_t tid);

} // namespace clone2
