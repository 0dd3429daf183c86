// SPDX-License-Identifier: MIT
#pragma once

#include "base/procfs.hpp"
#include "base/result.hpp"
#include "executor/images.hpp"
#include "executor/seizures.hpp"
#include "executor/slots.hpp"
#include "executor/tracee.hpp"
#include "executor/trampoline.hpp"
#include "listener/listener.hpp"
#include "listener/notification.hpp"
#include "plan/planner.hpp"
#include "request/request.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

/// Makes a target run a planned call itself: the supervisor
/// seizes the waiting thread, points it at our code in its own memory, and lets go.

namespace clone2
{

/// What one look at the target's memory tells about a notification.
struct Observation {
    /// A program's own call: its clone_struct and pids as far as readable.
    struct ProgramCall {
        bool args_readable = false;
        Request request;
        std::optional<Image> image; ///< proved to be there
        /// Reserved before the look and seen free by it.
        std::optional<SlotReservations::Lease> slot;
        std::vector<std::byte> in_slot; ///< what the slot held then
    };
    /// Our code tells how clone3 ended.
    struct Report {
        SlotCall call;
        RemotePtr slot;
        std::int64_t result = 0; ///< a pid, or -errno
    };
    /// Our boot code tells where it has mapped the area.
    struct BootReport {
        BootCall call;
        RemotePtr slot;
        Image image;
        std::int64_t result = 0; ///< 0, or -errno of mmap
    };
    /// The code of another supervisor reports, one that is not of our kind: where what it needs is
    /// unknown. A negative answer, but EINTR, ends its call in any version.
    struct ForeignReport {
    };
    std::variant<ProgramCall, Report, BootReport, ForeignReport> what;
};

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
    /// `signature`: see make_signature(); tests give others.
    explicit Executor(const std::shared_ptr<const Procfs> &procfs,
                      Waiting waiting = Waiting::alone);
    Executor(const std::shared_ptr<const Procfs> &procfs, Waiting waiting,
             const Signature &signature);

    /// Reads all that is needed in one system call in the usual case.
    [[nodiscard]] Result<Observation> observe(const Notification &notification);

    /// Whether the call comes out of a supervisor's code, ours or another's, and not from the
    /// program.
    [[nodiscard]] static bool is_from_code(const Notification &notification);

    /// The request behind the argument registers of a call, as far as readable.
    [[nodiscard]] Result<Observation::ProgramCall>
    read_request(pid_t tid, const std::array<std::uint64_t, 6> &args) const;

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
    [[nodiscard]] Result<Redirected> start(NotificationSource &source,
                                           const Notification &notification, const Order &order,
                                           Observation::ProgramCall &observed);

    /// Sends the target to make the same call under another number, one that the kernel itself
    /// knows. EPERM: it can't be traced.
    [[nodiscard]] Result<Redirected> pass_to_kernel(NotificationSource &source,
                                                    const Notification &notification, int nr);

    /// Answers a boot report: into the call. Where the target had no
    /// memory for the area, the call goes by a spare slot. ENOMEM: not even that.
    Result<void> finish_boot(NotificationSource &source, const Notification &notification,
                             const Observation::BootReport &report, const Order &order);

    /// Answers a boot report with an errno: out of the call, and its slot is free.
    Result<void> refuse_boot(NotificationSource &source, const Notification &notification,
                             const Observation::BootReport &report, int err);

    /// Answers a report: the call's final result, a pid or -errno.
    Result<void> finish(NotificationSource &source, const Notification &notification,
                        const Observation::Report &report, std::int64_t result);
    /// Answers a report of EEXIST: again, with these set_tid entries.
    Result<void> retry(NotificationSource &source, const Notification &notification,
                       const Observation::Report &report);

private:
    using Lease = SlotReservations::Lease;

    [[nodiscard]] std::optional<Image> find_image(pid_t tid);
    [[nodiscard]] bool proved(pid_t tid, const Image &image) const;
    void read_pids(pid_t tid, RemotePtr pids, Request &request) const;
    [[nodiscard]] Result<Redirected> boot(NotificationSource &source,
                                          const Notification &notification);
    /// Seizes the waiting thread, answers it, and calls `act(tracee, answered)` at the stop on
    /// its way back; not answered: its notification was cut short by the stop.
    template <typename Act>
    [[nodiscard]] Result<Redirected> stop_and(NotificationSource &source,
                                              const Notification &notification, std::int64_t answer,
                                              Act act);
    /// The target is gone, which only its notification can prove; else the error.
    [[nodiscard]] static Result<Redirected>
    gone_or(const NotificationSource &source, const Notification &notification, const Error &error);
    /// Whether the target, interrupted a moment ago, waits for its answer all the same
    /// (WAIT_KILLABLE_RECV). Waits until that can be told.
    [[nodiscard]] bool sleeps_on(NotificationSource &source,
                                 const Notification &notification) const;
    /// Sends the target to `entry`, an offset in our code, with `slot`.
    template <typename Write>
    [[nodiscard]] Result<Redirected> redirect(NotificationSource &source,
                                              const Notification &notification, RemotePtr code,
                                              std::uint64_t entry, RemotePtr slot, Write write);
    /// Writes to a waiting target, and answers it. At a stop where its memory can't be written
    /// else.
    Result<void> write_and_answer(NotificationSource &source, const Notification &notification,
                                  std::span<const WaitingWrite> writes, std::int64_t answer);
    /// Takes the target, whose report from this read-only slot is answered, back to its program
    /// with the result, and frees the slot. `owner`: offset in the slot.
    Result<void> leave(NotificationSource &source, const Notification &notification,
                       const SlotCall &call, RemotePtr slot, std::uint64_t owner,
                       std::int64_t result);
    Result<void> finish_boot_sparely(NotificationSource &source, const Notification &notification,
                                     const Observation::BootReport &report, const Order &order);
    /// Writes the code, unless it is there.
    Result<void> write_code(Tracee &tracee, RemotePtr to) const;
    [[nodiscard]] SlotCall slot_call(const Order &order, pid_t tid, std::uint32_t index) const;

    std::shared_ptr<const Procfs> procfs_;
    Waiting waiting_;
    Seizures seizures_;
    Signature signature_;
    SlotFinder slots_;
    ImageHints hints_;
    SlotUsers slot_users_;
};

} // namespace clone2
