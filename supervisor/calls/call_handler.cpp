// SPDX-License-Identifier: MIT
#include "calls/call_handler.hpp"

#include "audit/describe.hpp"
#include "base/clock.hpp"
#include "base/kernel_limits.hpp"
#include "base/printable.hpp"
#include "base/trace.hpp"
#include "calls/judged_call.hpp"
#include "pids/pid_users.hpp"
#include "pids/set_tid.hpp"
#include "plan/flags.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>

namespace clone2
{

namespace
{

bool is_past(std::int64_t monotonic_ns)
{
    return monotonic_ns >= 0 && monotonic_ns <= now_ns(CLOCK_MONOTONIC);
}

/// Everything in a report is the target's word. This is one that can't have been planned, or a
/// result that clone3 can't give.
bool is_nonsense(const Report &report)
{
    const std::int64_t result = report.result;
    const bool is_result =
        (result < 0 && result >= -highest_errno) || (result > 0 && result <= highest_pid);
    return !is_result || report.call.nr_pids > max_pids || !is_past(report.call.started_ns);
}

/// Replaces the slot's contents by what was planned.
void take_over(const Executor::Order &order, SlotCall &slot)
{
    slot.call = order.call;
    slot.request_flags = order.request_flags;
    slot.nr_pids = order.nr_pids;
    slot.started_ns = order.started_ns;
}

/// Reconstructs the pids asked for, oldest first, from the planned call.
std::vector<pid_t> asked_pids(const SlotCall &slot)
{
    const unsigned extra = clone2_plan_extra_entries(&slot.call);
    const std::uint32_t asked = std::min<std::uint32_t>(slot.nr_pids, max_pids);
    std::vector<pid_t> pids(asked, 0);
    for (std::uint32_t i = extra; i < slot.call.set_tid_size && i - extra < asked; ++i) {
        if ((slot.call.to_pick & (1ULL << i)) == 0) {
            pids[asked - 1 - (i - extra)] = slot.call.set_tid[i];
        }
    }
    return pids;
}

std::vector<pid_t> asked_pids(const Request &request)
{
    if (request.nr_pids > max_pids || !request.pids_readable) {
        return {};
    }
    const auto asked = request.asked();
    return {asked.begin(), asked.end()};
}

/// Whether what was read fits a call of a program with wider registers, too: i386 code was not
/// found.
bool may_be_of_wider_program(const Notification &notification, const CallRead &seen)
{
    const Architecture &arch = architecture_of(notification);
    const auto *const call = std::get_if<ProgramCall>(&seen);
    return architecture_in_wider_programs(arch) != nullptr &&
           (call != nullptr ? !call->image : std::holds_alternative<ForeignReport>(seen));
}

Refusal no_structure(const Abi &abi, RemotePtr structure)
{
    return unreadable(abi.structure_name, abi.structure_size, structure.value());
}

/// Fills in what was asked for, for the log.
void describe(const Request &request, CallRecord &record)
{
    record.flags = request.flags;
    record.nr_pids = request.nr_pids;
    record.pids = asked_pids(request);
}

} // namespace

CallHandler::CallHandler(const std::shared_ptr<const Procfs> &procfs, Diagnostics &diagnostics,
                         std::optional<TrappedCall> kernel_call, Waiting waiting)
    : procfs_(procfs), kernel_call_(kernel_call), diagnostics_(diagnostics), inspector_(procfs),
      pids_(std::make_unique<SetTid>(procfs, inspector_)), images_(procfs),
      reader_(procfs, images_), executor_(procfs, images_, waiting)
{
}

CallHandler::Served CallHandler::serve(const PendingCall &pending, ListenerOwner &owner)
{
    const std::int64_t started_ns = now_ns(CLOCK_MONOTONIC);
    const Notification &notification = pending.notification();
    const TrappedCall *const trapped = owner.calls().find(notification.arch, notification.nr);
    const Abi &abi = trapped != nullptr ? *trapped->abi : *standard_call.abi;
    if (!diagnostics_.traces()) {
        return serve(Call{pending, owner, trapped, abi, started_ns});
    }
    const CallTrace trace(diagnostics_, caller_name(pending.tid(), owner), started_ns);
    const PendingCall traced = pending.traced(trace);
    return serve(Call{traced, owner, trapped, abi, started_ns});
}

CallHandler::Served CallHandler::serve(const Call &call)
{
    const PendingCall &pending = call.pending;
    const Notification &notification = pending.notification();
    pending.stage("received", [&] {
        return "system call " + number_text(notification.arch, notification.nr) + " from " +
               hex(notification.instruction_pointer);
    });
    if (const std::optional<Refusal> refusal = call.owner.screen(notification)) {
        refuse(call, nullptr, *refusal);
        return Served::yes;
    }
    if (notification.tid == 0) {
        // The kernel reports tid 0 if the caller has no pid in our pid namespace.
        refuse(call, nullptr,
               {EPERM, "the caller is in a pid namespace that the supervisor can't see"});
        return Served::yes;
    }
    if (find_architecture(notification.arch) == nullptr) {
        refuse(call, nullptr,
               {ENOSYS, "the call is from another architecture (" +
                            architecture_name(notification.arch) + "), which is not served"});
        return Served::yes;
    }
    if (call.trapped == nullptr) {
        if (call.owner.not_trapped(notification) == ListenerOwner::Unserved::is_left_to_kernel) {
            (void)pending.leave_to_kernel();
        } else {
            (void)pending.answer(-ENOSYS);
        }
        return Served::yes;
    }
    // A call by the kernel's own number came from a filter that would send it here again. Code of
    // an earlier supervisor in the target may still report.
    if (kernel_call_ && notification.arch == kernel_call_->arch &&
        notification.nr != kernel_call_->number && call.trapped->abi == kernel_call_->abi &&
        !CallReader::is_from_code(notification)) {
        pass_to_kernel(call);
        return Served::yes;
    }
    return serve_known(call);
}

CallHandler::Served CallHandler::serve_known(const Call &call)
{
    const PendingCall &pending = call.pending;
    const Notification &notification = pending.notification();
    Result<CallRead> seen = reader_.read(notification, call.abi);
    if (!seen) {
        give_up(call, seen.error(), nullptr);
        return Served::yes;
    }
    const Result<bool> wider_program = may_be_of_wider_program(notification, *seen)
                                           ? is_64_bit_program(*procfs_, notification.tid)
                                           : false;
    if (!wider_program) {
        give_up(call, wider_program.error(), nullptr);
        return Served::yes;
    }
    if (*wider_program) {
        Notification wider = notification;
        wider.of_wider_program = true;
        const PendingCall same = pending.as(wider);
        return serve_known(Call{same, call.owner, call.trapped, call.abi, call.started_ns});
    }
    pending.stage("read", [&] { return describe(*seen); });
    if (auto *report = std::get_if<Report>(&*seen)) {
        serve_report(call, *report);
        return Served::yes;
    }
    if (const auto *report = std::get_if<BootReport>(&*seen)) {
        serve_boot_report(call, *report);
        return Served::yes;
    }
    if (std::holds_alternative<ForeignReport>(*seen)) {
        diagnostics_.info(
            name_of(call) +
            ": a supervisor of another version began its call, which now fails with ENOSYS");
        (void)pending.answer(-ENOSYS);
        return Served::yes;
    }
    return serve_program_call(call, std::get<ProgramCall>(std::move(*seen)));
}

Result<PidStrategy::Prepared> CallHandler::decide(const Call &call, const Request &request)
{
    const pid_t tid = call.pending.tid();
    if (request.malformed != nullptr) {
        return PidStrategy::Prepared{Refusal{EINVAL, request.malformed}, false, {}};
    }
    const std::uint64_t user_end = architecture_of(call.pending.notification()).user_end();
    Result<PidStrategy::Prepared> decided = pids_->prepare(tid, request, user_end);
    if (!decided || std::holds_alternative<Refusal>(decided->plan)) {
        return decided;
    }
    if (call.owner.judges() && !call.pending.still_waits()) {
        return Error{"ioctl(NOTIF_ID_VALID)", tid, ENOENT};
    }
    if (std::optional<Refusal> refusal = call.owner.judge(call.pending.notification(), request)) {
        decided->plan = std::move(*refusal);
    } else {
        pids_->choose(tid, *decided);
    }
    return decided;
}

std::optional<Executor::Order> CallHandler::order_for(const Call &call, const Request &request)
{
    const Result<PidStrategy::Prepared> decided = decide(call, request);
    call.pending.stage("planned", [&] {
        return decided ? describe(decided->plan) : "nothing: " + decided.error().to_string();
    });
    if (!decided) {
        give_up(call, decided.error(), &request);
        return std::nullopt;
    }
    if (const auto *refusal = std::get_if<Refusal>(&decided->plan)) {
        refuse(call, &request, *refusal);
        return std::nullopt;
    }
    const bool report = decided->reports_success || call.owner.audit().wants_successes();
    const Executor::Order order{std::get<CloneCall>(decided->plan), request.flags, request.nr_pids,
                                report, call.started_ns};
    planned_.remember(call.pending.tid(), order);
    return order;
}

CallHandler::Served CallHandler::serve_program_call(const Call &call, ProgramCall seen)
{
    if (!call.pending.notification().postponed) {
        if (const std::optional<Refusal> injected = call.owner.inject()) {
            refuse(call, seen.unreadable ? nullptr : &seen.request, *injected);
            return Served::yes;
        }
    }
    if (seen.unreadable) {
        refuse(call, nullptr, no_structure(call.abi, *seen.unreadable));
        return Served::yes;
    }
    JudgedCall judged(call.owner, call.pending.notification());
    const std::optional<Executor::Order> order = order_for(call, seen.request);
    if (!order) {
        return Served::yes;
    }
    const Result<Redirected> started = executor_.start(call.pending, *order, seen);
    if (!started) {
        give_up(call, started.error(), &seen.request);
        return Served::yes;
    }
    if (*started == Redirected::refused) {
        call.pending.stage("postponed", [] { return "all boot slots, or exits, are in use"; });
        return Served::later;
    }
    if (*started == Redirected::done) {
        judged.is_made();
    }
    return Served::yes;
}

void CallHandler::serve_boot_report(Call call, const BootReport &report)
{
    call.boot = &report;
    call.pending.stage("reported", [&] {
        return report.result < 0 ? "mmap = " + describe_result(report.result)
                                 : "area at " + hex(report.image.area.value());
    });
    // The call is planned again, because its arguments may have changed between the two reads.
    const Result<ProgramCall> seen =
        reader_.read_request(call.pending.notification(), report.call.args, call.abi);
    if (!seen) {
        give_up(call, seen.error(), nullptr);
        return;
    }
    if (seen->unreadable) {
        refuse(call, nullptr, no_structure(call.abi, *seen->unreadable));
        return;
    }
    JudgedCall judged(call.owner, call.pending.notification());
    const std::optional<Executor::Order> order = order_for(call, seen->request);
    if (!order) {
        return;
    }
    // It may have ended when the answer is sent.
    const std::string caller = diagnostics_.informs() ? name_of(call) : "";
    const Result<void> done = executor_.finish_boot(call.pending, report, *order);
    if (!done) {
        give_up(call, done.error(), &seen->request);
        return;
    }
    judged.is_made();
    diagnostics_.info(caller + ": trampoline installed");
}

void CallHandler::pass_to_kernel(const Call &call)
{
    CallRecord record;
    record.passed_to_kernel = true;
    Request request;
    if (call.owner.audit().wants_details() || call.owner.judges()) {
        const auto seen = reader_.read_request(call.pending.notification(),
                                               call.pending.notification().args, call.abi);
        if (seen) {
            request = seen->request;
        }
        describe(request, record);
        // The kernel refuses arguments that it can't read.
        if (seen && !seen->unreadable && call.owner.judges() && call.pending.still_waits()) {
            if (const std::optional<Refusal> refusal =
                    call.owner.judge(call.pending.notification(), request)) {
                refuse(call, &request, *refusal);
                return;
            }
        }
    }
    call.pending.stage("planned", [&] {
        return "the same call under the kernel's own number " +
               std::to_string(kernel_call_->number);
    });
    const Result<Redirected> passed = executor_.pass_to_kernel(call.pending, kernel_call_->number);
    if (!passed) {
        give_up(call, passed.error(), &request);
    } else if (*passed == Redirected::done && call.owner.audit().wants_successes()) {
        audit(call, std::move(record));
    }
}

bool CallHandler::make_again(const Call &call, Report &report)
{
    SlotCall &slot = report.call;
    ++slot.attempts;
    call.pending.stage("planned", [&] { return "again, " + describe(slot.call); });
    planned_.remember(
        call.pending.tid(),
        {slot.call, slot.request_flags, slot.nr_pids, slot.report_success, slot.started_ns},
        slot.attempts);
    return executor_.retry(call.pending, report).has_value();
}

void CallHandler::serve_report(const Call &call, Report report)
{
    call.pending.stage("reported", [&] {
        return (report.call.call.plain ? "clone = " : "clone3 = ") + describe_result(report.result);
    });
    if (!call.pending.still_waits()) {
        return;
    }
    CallRecord record;
    const std::optional<PlannedCalls::Planned> planned = planned_.take(call.pending.tid());
    const bool changed = planned && !planned->is(report.call);
    if (!planned) {
        record.doubt = "the target reports a call that is not known here";
    } else if (changed) {
        record.doubt = "the target has changed what was planned";
        take_over(planned->order, report.call);
    }
    record.flags = report.call.request_flags;
    record.nr_pids = report.call.nr_pids;
    record.pids = asked_pids(report.call);
    if (is_nonsense(report)) {
        record.result = -EBADMSG;
        record.why = "the target reports nonsense";
    } else {
        SlotCall &slot = report.call;
        PidStrategy::Verdict verdict =
            pids_->judge(call.pending.tid(), {slot.call, slot.nr_pids, slot.attempts, changed,
                                              report.result, call.owner.audit().wants_details()});
        if (verdict.again && make_again(call, report)) {
            return;
        }
        record.result = verdict.result;
        record.why = std::move(verdict.why);
    }
    const std::int64_t result = record.result;
    Call whole = call;
    if (is_past(report.call.started_ns)) {
        whole.started_ns = report.call.started_ns;
    }
    audit(whole, std::move(record));
    (void)executor_.finish(call.pending, report, result);
}

void CallHandler::refuse(const Call &call, const Request *request, const Refusal &refusal)
{
    if (!call.pending.still_waits()) {
        return;
    }
    report_refusal(call, request, refusal);
    if (call.boot != nullptr) {
        (void)executor_.refuse_boot(call.pending, *call.boot, refusal.err);
    } else {
        (void)call.pending.answer(-refusal.err);
    }
}

void CallHandler::report_refusal(const Call &call, const Request *request, const Refusal &refusal)
{
    call.pending.stage("refused",
                       [&] { return errno_name(refusal.err) + " (" + refusal.why + ")"; });
    CallRecord record;
    record.result = -refusal.err;
    record.why = refusal.why;
    if (request != nullptr) {
        describe(*request, record);
    }
    audit(call, std::move(record));
}

void CallHandler::give_up(const Call &call, const Error &error, const Request *request)
{
    // An exiting thread also gives EPERM to ptrace; that it no longer waits shows the difference.
    if (!error.answered && !call.pending.still_waits()) {
        return;
    }
    const Refusal refusal{error.answered ? ENOSYS : error.errno_for_target(), error.refusal()};
    diagnostics_.warn(std::string(call.abi.name) + " of " + name_of(call) +
                          " refused: " + refusal.why,
                      call.owner.user());
    if (error.answered) {
        report_refusal(call, request, refusal);
    } else {
        refuse(call, request, refusal);
    }
}

std::string CallHandler::name_of(const Call &call) const
{
    return "thread " + caller_name(call.pending.tid(), call.owner);
}

std::string CallHandler::caller_name(pid_t tid, const ListenerOwner &owner) const
{
    const std::string peer = owner.peer_name();
    return procfs_->name_of(tid) + (peer.empty() ? "" : " of " + peer);
}

void CallHandler::audit(const Call &call, CallRecord record)
{
    record.tid = call.pending.tid();
    record.abi = &call.abi;
    if (call.owner.audit().wants_details()) {
        CallerDetails details = inspector_.details_of(record.tid);
        record.comm = std::move(details.comm);
        record.peer = call.owner.peer();
        record.level = details.level;
        record.uid = details.uid;
        if (record.result > 0 && details.level) {
            const auto pid = static_cast<pid_t>(record.result);
            record.child_here =
                details.below ? pid_here(*procfs_, record.tid, *details.below, pid) : pid;
        }
        if (!record.peer.empty()) {
            record.uid = call.owner.user();
        }
    }
    record.time_ns = now_ns(CLOCK_REALTIME);
    record.latency_us = (now_ns(CLOCK_MONOTONIC) - call.started_ns) / 1000;
    call.owner.audit().record(record);
}

} // namespace clone2
