// SPDX-License-Identifier: MIT
#pragma once

#include "arch/architecture.hpp"
#include "base/procfs.hpp"
#include "base/result.hpp"
#include "executor/seizures.hpp"
#include "executor/text_writer.hpp"
#include "image/code_writers.hpp"
#include "image/images.hpp"
#include "image/waiting_write.hpp"
#include "listener/pending_call.hpp"
#include "plan/planner.hpp"
#include "request/reader.hpp"
#include "target/tracee.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>

/// Makes a target run a planned call itself: seizes the waiting thread, points it at our code in
/// its own memory, and lets go.

namespace clone2
{

/// The outcome of a redirect. An Error: the notification must still be answered, unless the error
/// says that it was.
enum class Redirected {
    done,   ///< the target continues; nothing is left to do
    gone,   ///< the target died; nothing is left to do
    refused ///< nothing was changed; the notification must still be answered
};

/// Thread-safe: many threads work at once on different notifications.
class Executor
{
public:
    Executor(std::shared_ptr<const Procfs> procfs, Images &images, Waiting waiting = Waiting::alone)
        : procfs_(std::move(procfs)), images_(images), waiting_(waiting)
    {
    }

    /// What start() needs besides the plan.
    struct Order {
        CloneCall call;
        std::uint64_t request_flags = 0;
        std::uint32_t nr_pids = 0;
        bool report_success = false;
        std::int64_t started_ns = 0;
    };

    /// Sends the target into the call, or into booting if its image has no code yet. EPERM: it
    /// can't be traced. EAGAIN: no free slot. ENOSYS: no room for the code. EMFILE, ENFILE: we have
    /// no descriptor left.
    [[nodiscard]] Result<Redirected> start(const PendingCall &pending, const Order &order,
                                           ProgramCall &observed);

    /// Makes the target repeat the call under another number, one that the kernel itself knows.
    /// EPERM: it can't be traced.
    [[nodiscard]] Result<Redirected> pass_to_kernel(const PendingCall &pending, int nr);

    /// Answers a boot report by starting the call. If the target had no memory for the area, uses a
    /// spare slot. ENOMEM: not possible either.
    Result<void> finish_boot(const PendingCall &pending, const BootReport &report,
                             const Order &order);

    /// Answers a boot report with an errno: ends the call and frees its slot.
    Result<void> refuse_boot(const PendingCall &pending, const BootReport &report, int err);

    /// Answers a report with the call's final result, a pid or -errno.
    Result<void> finish(const PendingCall &pending, const Report &report, std::int64_t result);
    /// Answers a report of EEXIST: tries again with these set_tid entries.
    Result<void> retry(const PendingCall &pending, const Report &report);

private:
    using Lease = SlotReservations::Lease;

    /// Room for the code of a program's call.
    [[nodiscard]] Result<CodePlace> find_place(pid_t tid, const Architecture &arch) const;
    [[nodiscard]] Result<Redirected> boot(const PendingCall &pending, const CodePlace &place,
                                          const Exits::Choice &exit);
    /// Calls `act(exit)` with an exit of the code at `code` to the place of the call, which is held
    /// meanwhile.
    template <typename Act>
    [[nodiscard]] Result<Redirected> with_exit(const PendingCall &pending, RemotePtr code, Act act);
    /// Seizes the waiting thread, answers it, and calls `act(tracee, answered)` at the stop on its
    /// way back. `answered` false: the stop ended its notification early.
    template <typename Act>
    [[nodiscard]] Result<Redirected> stop_and(const PendingCall &pending, std::int64_t answer,
                                              Act act);
    /// The target is gone, which only its notification can prove; otherwise the error.
    [[nodiscard]] static Result<Redirected> gone_or(const PendingCall &pending, const Error &error);
    /// Whether the target, interrupted a moment ago, still waits for its answer
    /// (WAIT_KILLABLE_RECV). Waits until this is known.
    [[nodiscard]] bool sleeps_on(const PendingCall &pending) const;
    /// Sends the target to `entry`, an offset in our code, with `slot`.
    template <typename Write>
    [[nodiscard]] Result<Redirected> redirect(const PendingCall &pending, RemotePtr code,
                                              std::uint64_t entry, RemotePtr slot, Write write);
    /// Writes to a waiting target and answers it; at a stop, if its memory can't be written
    /// otherwise.
    Result<void> write_and_answer(const PendingCall &pending, std::span<const WaitingWrite> writes,
                                  std::int64_t answer);
    /// Returns the target, whose report from this read-only slot has been answered, to its program
    /// with the result, and frees the slot. `owner`: offset in the slot.
    Result<void> leave(const PendingCall &pending, const SlotCall &call, RemotePtr slot,
                       std::uint64_t owner, std::int64_t result);
    Result<void> finish_boot_sparely(const PendingCall &pending, const BootReport &report,
                                     const Order &order);
    /// Writes the code unless it is already there. Cause::no_room: other code is there by now.
    Result<void> write_code(const TextWriter &writer, const Architecture &arch, RemotePtr to);
    [[nodiscard]] SlotCall slot_call(const Order &order, pid_t tid, std::uint32_t index) const;

    std::shared_ptr<const Procfs> procfs_;
    Images &images_;
    Waiting waiting_;
    Seizures seizures_;
    CodeWriters code_writers_;
};

} // namespace clone2
