// SPDX-License-Identifier: MIT
#pragma once

#include "audit/record.hpp"
#include "base/diagnostics.hpp"
#include "base/procfs.hpp"
#include "calls/listener_owner.hpp"
#include "calls/planned_calls.hpp"
#include "executor/executor.hpp"
#include "image/images.hpp"
#include "listener/pending_call.hpp"
#include "pids/strategy.hpp"
#include "request/reader.hpp"
#include "target/namespaces.hpp"

#include <memory>
#include <optional>
#include <string>

namespace clone2
{

/// The one place that connects the stages of a call: listener, request, plan, executor, audit.
/// Thread-safe: many threads serve different notifications at once.
class CallHandler
{
public:
    /// `kernel_call`: the kernel's own clone2, to which every call of its ABI by another number is
    /// passed; nullopt: there is none, or it must not be used. `waiting`: for the process that this
    /// is part of.
    CallHandler(const std::shared_ptr<const Procfs> &procfs, Diagnostics &diagnostics,
                std::optional<TrappedCall> kernel_call = std::nullopt,
                Waiting waiting = Waiting::alone);
    CallHandler(const CallHandler &) = delete;
    CallHandler &operator=(const CallHandler &) = delete;
    virtual ~CallHandler() = default;

    enum class Served {
        yes,  ///< answered, or the target is gone
        later ///< not now: call again with the same notification in a moment
    };

    /// Handles one notification completely, on the calling thread. May block while the target can't
    /// run (frozen) or its memory can't be read (userfaultfd, FUSE). When this returns `yes`, the
    /// notification has been answered or the target is gone. `owner`: the listener's. Virtual for
    /// tests of who calls this.
    [[nodiscard]] virtual Served serve(const PendingCall &pending, ListenerOwner &owner);

    /// Closes what is open of callers. To be called when a listener has ended.
    void forget_callers() { images_.code_check.forget_all(); }

    [[nodiscard]] const NamespaceInspector &namespaces() const { return inspector_; }

private:
    /// One call during serve().
    struct Call {
        const PendingCall &pending;
        ListenerOwner &owner;
        const TrappedCall *trapped; ///< nullptr: the owner's table does not have it
        const Abi &abi;
        std::int64_t started_ns;
        /// Set if our boot code waits rather than the program.
        const BootReport *boot = nullptr;
    };

    Served serve(const Call &call);
    /// A call that is in the owner's table.
    Served serve_known(const Call &call);
    Served serve_program_call(const Call &call, ProgramCall seen);
    void pass_to_kernel(const Call &call);
    void serve_report(const Call &call, Report report);
    void serve_boot_report(Call call, const BootReport &report);
    /// The plan, as the pid strategy and the owner decide it.
    [[nodiscard]] Result<PidStrategy::Prepared> decide(const Call &call, const Request &request);
    /// What the target must do, by that plan. Remembers it.
    /// nullopt: the call was refused and answered, or the target is gone.
    [[nodiscard]] std::optional<Executor::Order> order_for(const Call &call,
                                                           const Request &request);
    /// Makes the target repeat the call, as its slot now says. False: that failed.
    [[nodiscard]] bool make_again(const Call &call, Report &report);
    /// Writes the refusal to the log and answers with it.
    void refuse(const Call &call, const Request *request, const Refusal &refusal);
    /// Only writes it to the log.
    void report_refusal(const Call &call, const Request *request, const Refusal &refusal);
    void give_up(const Call &call, const Error &error, const Request *request);
    void audit(const Call &call, CallRecord record);
    /// For messages: '4711 "prog" of ' and the peer, if there is one; the same after "thread ".
    [[nodiscard]] std::string caller_name(pid_t tid, const ListenerOwner &owner) const;
    [[nodiscard]] std::string name_of(const Call &call) const;

    std::shared_ptr<const Procfs> procfs_;
    std::optional<TrappedCall> kernel_call_;
    Diagnostics &diagnostics_;
    NamespaceInspector inspector_;
    std::unique_ptr<PidStrategy> pids_;
    Images images_;
    CallReader reader_;
    Executor executor_;
    PlannedCalls planned_;
};

} // namespace clone2
