// SPDX-License-Identifier: MIT
#pragma once

#include "arch/architecture.hpp"
#include "base/procfs.hpp"
#include "base/result.hpp"
#include "executor/seizures.hpp"
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

/// Makes a target run a planned call itself: the supervisor
/// seizes the waiting thread, points it at our code in its own memory, and lets go.

namespace clone2
{

/// Operations in an Error that are no system call of ours, but have a reason of their own.
constexpr const char *no_slot = "trampoline slots";        ///< EAGAIN: all are in use
constexpr const char *no_room = "room for the trampoline"; ///< ENOSYS
constexpr const char *no_memory = "mmap() in the target";  ///< ENOMEM
/// ENOSYS: the target's system calls go to its own SIGSYS handler, and so would those of our code,
/// which an emulator would take for the program's.
constexpr const char *calls_dispatched = "syscall user dispatch";

/// How a redirect went. An Error: the notification still has to be answered, unless the error says
/// that it was.
enum class Redirected {
    done,   ///< the target goes its way; nothing is left to do
    gone,   ///< the target died; nothing is left to do
    refused ///< nothing was changed, the notification still has to be answered
};

/// Thread-safe: many threads work at once on different notifications.
class Executor
{
public:
    Executor(std::shared_ptr<const Procfs> procfs, Images &images, Waiting waiting = Waiting::alone)
        : procfs_(std::move(procfs)), images_(images), waiting_(waiting)
    {
    }

    /// What start() needs beside the plan.
    struct Order {
        CloneCall call;
        std::uint64_t request_flags = 0;
        std::uint32_t nr_pids = 0;
        bool report_success = false;
        std::int64_t started_ns = 0;
    };

    /// Sends the target into the call, or into booting where its image is still without code.
    /// EPERM: it can't be traced. EAGAIN: no free slot. ENOSYS: no room for the code.
    [[nodiscard]] Result<Redirected> start(const PendingCall &pending, const Order &order,
                                           ProgramCall &observed);

    /// Sends the target to make the same call under another number, one that the kernel itself
    /// knows. EPERM: it can't be traced.
    [[nodiscard]] Result<Redirected> pass_to_kernel(const PendingCall &pending, int nr);

    /// Answers a boot report: into the call. Where the target had no
    /// memory for the area, the call goes by a spare slot. ENOMEM: not even that.
    Result<void> finish_boot(const PendingCall &pending, const BootReport &report,
                             const Order &order);

    /// Answers a boot report with an errno: out of the call, and its slot is free.
    Result<void> refuse_boot(const PendingCall &pending, const BootReport &report, int err);

    /// Answers a report: the call's final result, a pid or -errno.
    Result<void> finish(const PendingCall &pending, const Report &report, std::int64_t result);
    /// Answers a report of EEXIST: again, with these set_tid entries.
    Result<void> retry(const PendingCall &pending, const Report &report);

private:
    using Lease = SlotReservations::Lease;

    [[nodiscard]] Result<Redirected> boot(const PendingCall &pending);
    /// Seizes the waiting thread, answers it, and calls `act(tracee, answered)` at the stop on
    /// its way back; not answered: its notification was cut short by the stop.
    template <typename Act>
    [[nodiscard]] Result<Redirected> stop_and(const PendingCall &pending, std::int64_t answer,
                                              Act act);
    /// The target is gone, which only its notification can prove; else the error.
    [[nodiscard]] static Result<Redirected> gone_or(const PendingCall &pending,
                                                    const Error &error);
    /// Whether the target, interrupted a moment ago, waits for its answer all the same
    /// (WAIT_KILLABLE_RECV). Waits until that can be told.
    [[nodiscard]] bool sleeps_on(const PendingCall &pending) const;
    /// Sends the target to `entry`, an offset in our code, with `slot`.
    template <typename Write>
    [[nodiscard]] Result<Redirected> redirect(const PendingCall &pending, RemotePtr code,
                                              std::uint64_t entry, RemotePtr slot, Write write);
    /// Writes to a waiting target, and answers it. At a stop where its memory can't be written
    /// else.
    Result<void> write_and_answer(const PendingCall &pending, std::span<const WaitingWrite> writes,
                                  std::int64_t answer);
    /// Takes the target, whose report from this read-only slot is answered, back to its program
    /// with the result, and frees the slot. `owner`: offset in the slot.
    Result<void> leave(const PendingCall &pending, const SlotCall &call, RemotePtr slot,
                       std::uint64_t owner, std::int64_t result);
    Result<void> finish_boot_sparely(const PendingCall &pending, const BootReport &report,
                                     const Order &order);
    /// Writes the code, unless it is there.
    Result<void> write_code(Tracee &tracee, const Architecture &arch, RemotePtr to) const;
    [[nodiscard]] SlotCall slot_call(const Order &order, pid_t tid, std::uint32_t index) const;

    std::shared_ptr<const Procfs> procfs_;
    Images &images_;
    Waiting waiting_;
    Seizures seizures_;
};

} // namespace clone2
