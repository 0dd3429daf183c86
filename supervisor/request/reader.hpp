// SPDX-License-Identifier: MIT
#pragma once

#include "abi/abi.hpp"
#include "arch/architecture.hpp"
#include "base/procfs.hpp"
#include "base/result.hpp"
#include "image/images.hpp"
#include "listener/notification.hpp"
#include "plan/request.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <sys/types.h>
#include <utility>
#include <variant>
#include <vector>

/// Reads a call from the caller's memory.

namespace clone2
{

/// A program's own call, as far as it could be read.
struct ProgramCall {
    std::optional<RemotePtr> unreadable; ///< its struct's address, if that can't be read
    Request request;
    std::optional<Image> image; ///< verified
    /// Reserved before it was read, and found free.
    std::optional<SlotReservations::Lease> slot;
    std::vector<std::byte> in_slot; ///< the slot's contents at that time
};

/// A report from our code: how clone3 ended.
struct Report {
    SlotCall call;
    RemotePtr slot;
    std::int64_t result = 0; ///< a pid, or -errno
};

/// A report from our boot code: where it has mapped the area.
struct BootReport {
    BootCall call;
    RemotePtr slot;
    Image image;
    std::int64_t result = 0; ///< 0, or -errno of mmap
};

/// A report from the code of another version's supervisor. The layout of its slot is unknown. Any
/// negative answer but EINTR ends its call in every version.
struct ForeignReport {
};

using CallRead = std::variant<ProgramCall, Report, BootReport, ForeignReport>;

/// Thread-safe. Every notification's architecture must be one that is served.
class CallReader
{
public:
    CallReader(std::shared_ptr<const Procfs> procfs, Images &images)
        : procfs_(std::move(procfs)), images_(images)
    {
    }

    /// Finds out whether the program or our code calls, and reads the call; usually in one system
    /// call.
    [[nodiscard]] Result<CallRead> read(const Notification &notification, const Abi &abi);

    /// Reads the call that these argument registers describe.
    [[nodiscard]] Result<ProgramCall> read_request(const Notification &notification,
                                                   const Arguments &registers,
                                                   const Abi &abi) const;

    /// Whether the call comes from a supervisor's code, of any version, rather than from the
    /// program.
    [[nodiscard]] static bool is_from_code(const Notification &notification);

private:
    struct Look;

    /// The report of a call, if it comes from this image, in one read of what only it needs.
    [[nodiscard]] std::optional<Report> expected_report(const Notification &notification,
                                                        const Architecture &arch,
                                                        const Image &image) const;
    [[nodiscard]] Result<Look> look(const Notification &notification, const Abi &abi,
                                    const Architecture &arch, const std::optional<Image> &guess);
    [[nodiscard]] Result<ProgramCall> program_call(const Notification &notification, const Abi &abi,
                                                   const Architecture &arch, Look look) const;
    /// Of memory that only the kernel can read for us. False: not mapped. An Error: no descriptor
    /// is left to find out.
    [[nodiscard]] Result<bool> reads_write_only(pid_t tid, RemotePtr from,
                                                std::span<std::byte> to) const;
    Result<void> read_pids(pid_t tid, Request &request) const;

    std::shared_ptr<const Procfs> procfs_;
    Images &images_;
};

} // namespace clone2
