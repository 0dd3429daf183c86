// SPDX-License-Identifier: MIT
#pragma once

#include "abi/abi.hpp"
#include "arch/architecture.hpp"
#include "base/procfs.hpp"
#include "base/result.hpp"
#include "image/images.hpp"
#include "listener/notification.hpp"
#include "request/request.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <sys/types.h>
#include <utility>
#include <variant>
#include <vector>

/// Reading a call out of the caller's memory.

namespace clone2
{

/// A program's own call, as far as it can be read.
struct ProgramCall {
    bool args_readable = false;
    Request request;
    std::optional<Image> image; ///< proved to be there
    /// Reserved before the look, and seen free by it.
    std::optional<SlotReservations::Lease> slot;
    std::vector<std::byte> in_slot; ///< what the slot held then
};

/// Our code reports how clone3 ended.
struct Report {
    SlotCall call;
    RemotePtr slot;
    std::int64_t result = 0; ///< a pid, or -errno
};

/// Our boot code reports where it has mapped the area.
struct BootReport {
    BootCall call;
    RemotePtr slot;
    Image image;
    std::int64_t result = 0; ///< 0, or -errno of mmap
};

/// The code of a supervisor of another version reports. Where its slot has what is unknown. Any
/// negative answer but EINTR ends its call in any version.
struct ForeignReport {
};

using CallRead = std::variant<ProgramCall, Report, BootReport, ForeignReport>;

/// Thread-safe. The architecture of each notification must be one that is served.
class CallReader
{
public:
    CallReader(std::shared_ptr<const Procfs> procfs, Images &images)
        : procfs_(std::move(procfs)), images_(images)
    {
    }

    /// Finds out who calls, and reads what the call says: in one system call in the usual case.
    [[nodiscard]] Result<CallRead> read(const Notification &notification, const Abi &abi);

    /// Reads the call behind these argument registers.
    [[nodiscard]] Result<ProgramCall> read_request(pid_t tid, const Arguments &args, const Abi &abi,
                                                   const Architecture &arch) const;

    /// Whether the call comes out of a supervisor's code, of any version, and not from the program.
    [[nodiscard]] static bool is_from_code(const Notification &notification);

private:
    struct Look;

    [[nodiscard]] Result<Look> look(const Notification &notification, const Abi &abi,
                                    const Architecture &arch);
    [[nodiscard]] ProgramCall program_call(const Notification &notification, const Abi &abi,
                                           const Architecture &arch, Look look) const;
    void read_pids(pid_t tid, Request &request) const;

    std::shared_ptr<const Procfs> procfs_;
    Images &images_;
};

} // namespace clone2
