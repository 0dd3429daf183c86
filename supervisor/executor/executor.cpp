// SPDX-License-Identifier: MIT
#include "executor/executor.hpp"

#include "base/held_signals.hpp"
#include "executor/identity.hpp"
#include "executor/mappings.hpp"
#include "executor/memory.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <linux/sched.h>

namespace clone2
{

namespace
{

/// Whether ptrace may do what has failed: a kernel may let nobody write through /proc/TID/mem where
/// the program itself could not (proc_mem.force_override, 6.12), and a filter may forbid it.
bool may_be_poked(const Result<void> &written)
{
    return !written && !written.error().target_gone();
}

} // namespace

Executor::Executor(const std::shared_ptr<const Procfs> &procfs, Waiting waiting)
    : Executor(procfs, waiting, make_signature(*procfs))
{
}

Executor::Executor(const std::shared_ptr<const Procfs> &procfs, Waiting waiting,
                   const Signature &signature)
    : procfs_(procfs), waiting_(waiting), signature_(signature), slots_(procfs)
{
}

bool Executor::proved(pid_t tid, const Image &image) const
{
    AreaHeader header{};
    Signature code{};
    const std::array<RemoteRange, 2> pieces{
        {{image.area, bytes_of(header)}, {image.code, bytes_of(code)}}};
    const Result<std::size_t> read = read_memory(tid, pieces);
    return read && *read == sizeof header + sizeof code && header.signature == signature_ &&
           header.code == image.code.value() && code == signature_;
}

std::optional<Image> Executor::find_image(pid_t tid)
{
    const std::optional<CodePlace> place = find_code_place(*procfs_, tid, signature_);
    if (!place) {
        return std::nullopt;
    }
    // The target says it itself, unless the kernel did not let us write that down.
    CodeHeader header;
    if (read_exactly(tid, place->code, bytes_of(header)) && header.signature == signature_) {
        const Image image{place->code, RemotePtr{header.area}};
        if (proved(tid, image)) {
            return image;
        }
    }
    for (const Image &image : hints_.with_code_at(place->code)) {
        if (proved(tid, image)) {
            return image;
        }
    }
    return std::nullopt;
}

SlotCall Executor::slot_call(const Order &order, pid_t tid, std::uint32_t index) const
{
    SlotCall slot;
    slot.state.owner = tid;
    slot.index = index;
    slot.report_success = order.report_success;
    slot.started_ns = order.started_ns;
    slot.request_flags = order.request_flags;
    slot.nr_pids = order.nr_pids;
    slot.call = order.call;
    return slot;
}

bool Executor::sleeps_on(NotificationSource &source, const Notification &notification) const
{
    // Interrupted, it goes to sleep again killably (D), or its notification has ended.
    constexpr timespec pause{0, 50'000};
    for (;;) {
        const char state = procfs_->state(notification.tid);
        if (!source.still_valid(notification.id)) {
            return false;
        }
        if (state == 'D') {
            source.learn_wait_killable(true);
            return true;
        }
        ::nanosleep(&pause, nullptr);
    }
}

Result<Redirected> Executor::gone_or(const NotificationSource &source,
                                     const Notification &notification, const Error &error)
{
    // Errors of ptrace prove nothing: a filter or an outer tracer may have made them.
    return source.still_valid(notification.id) ? Result<Redirected>(error) : Redirected::gone;
}

template <typename Act>
Result<Redirected> Executor::stop_and(NotificationSource &source, const Notification &notification,
                                      std::int64_t answer, Act act)
{
    // A handler of the embedding program would wait for children in the midst of this.
    std::optional<HeldSignals> held;
    if (waiting_ == Waiting::shared) {
        held.emplace();
    }
    Seizures::Entry entry(seizures_, notification.tid);
    Result<Tracee> seized = entry.seize(source, notification, waiting_);
    if (!seized) {
        return gone_or(source, notification, seized.error());
    }
    Tracee &tracee = *seized;
    const std::optional<bool> wait_killable = source.wait_killable();
    bool answered = wait_killable.value_or(false);
    // Without WAIT_KILLABLE_RECV the interrupt itself ends the notification: the last moment to
    // learn that the tid is still the caller's. With it, the answer's success says so.
    if (!answered && !source.still_valid(notification.id)) {
        entry.let_go(tracee);
        return Redirected::gone;
    }
    if (const Result<void> interrupted = tracee.interrupt(); !interrupted) {
        // Answered first: where it lives and was refused us, it stops for us at its next signal
        // only.
        Error error = interrupted.error();
        error.answered = source.answer(notification.id, -ENOSYS).has_value();
        return error.answered ? Result<Redirected>(error) : Redirected::gone;
    }
    if (!wait_killable) {
        answered = sleeps_on(source, notification);
    }
    if (answered) {
        if (const Result<void> sent = source.answer(notification.id, answer); !sent) {
            if (source.still_valid(notification.id)) {
                return sent.error();
            }
            entry.let_go(tracee);
            return Redirected::gone;
        }
    }
    if (const Result<void> stopped = tracee.wait_for_stop(); !stopped) {
        return gone_or(source, notification, stopped.error());
    }
    if (!wait_killable && !answered) {
        source.learn_wait_killable(false); // the interrupt has ended the notification
    }
    if (const Result<void> done = act(tracee, answered); !done) {
        Error error = done.error();
        if (error.target_gone() || error.err == ESTALE) {
            return Redirected::gone;
        }
        // Else the call would be made again, to come here again.
        error.answered =
            answered || arch::end_call(tracee, notification, false, answer).has_value();
        return error;
    }
    (void)tracee.detach();
    return Redirected::done;
}

template <typename Write>
Result<Redirected> Executor::redirect(NotificationSource &source, const Notification &notification,
                                      RemotePtr code, std::uint64_t entry, RemotePtr slot,
                                      Write write)
{
    // ENOSYS is what stays in force if we die before the commit point.
    return stop_and(
        source, notification, -ENOSYS, [&](Tracee &tracee, bool answered) -> Result<void> {
            if (tracee.dispatches_calls(code, code + arch::code_size())) {
                return Error{calls_dispatched, notification.tid, ENOSYS};
            }
            if (auto written = write(tracee); !written) {
                return written;
            }
            return answered ? arch::redirect(tracee, code + entry, slot)
                            : arch::redirect_interrupted(tracee, notification, code + entry, slot);
        });
}

Result<Redirected> Executor::start(NotificationSource &source, const Notification &notification,
                                   const Order &order, Observation::ProgramCall &observed)
{
    const pid_t tid = notification.tid;
    // The code is there, but a program may have changed its pages' protection since the last call.
    // On kernels where that question is dear, only a place that is looked for is asked about.
    if (observed.image && mapping_query_is_cheap() &&
        !may_hold_code(*procfs_, tid, observed.image->code)) {
        observed.image.reset();
        observed.slot.reset();
    }
    if (!observed.image) {
        observed.image = find_image(tid);
        if (!observed.image) {
            return boot(source, notification);
        }
        hints_.remember(tid, *observed.image);
    }
    if (!observed.slot) {
        observed.slot = slots_.find(source, notification, *observed.image);
        if (!observed.slot) {
            return Error{no_slot, tid, EAGAIN};
        }
        observed.in_slot.resize(arch::slot_size());
        if (const auto read = read_exactly(tid, observed.slot->slot(), observed.in_slot); !read) {
            return read.error();
        }
    }
    const RemotePtr slot = observed.slot->slot();
    SlotCall call = slot_call(order, tid, observed.slot->index());
    call.return_address = notification.instruction_pointer;
    call.nr = static_cast<std::uint64_t>(notification.nr);
    call.saved_args = {notification.args[0], notification.args[1]};
    const std::vector<std::byte> bytes = arch::encode_slot(call, slot);
    return redirect(
        source, notification, observed.image->code, arch::call_entry(), slot,
        [&](Tracee &tracee) { return tracee.poke_changes(slot, bytes, observed.in_slot); });
}

Result<Redirected> Executor::pass_to_kernel(NotificationSource &source,
                                            const Notification &notification, int nr)
{
    return stop_and(source, notification, -ENOSYS, [&](Tracee &tracee, bool answered) {
        return arch::reissue(tracee, notification, nr, answered);
    });
}

Result<Redirected> Executor::boot(NotificationSource &source, const Notification &notification)
{
    const pid_t tid = notification.tid;
    const std::optional<CodePlace> place = find_code_place(*procfs_, tid, signature_);
    if (!place) {
        return Error{no_room, tid, ENOSYS};
    }
    const std::optional<RemotePtr> slot = slot_users_.begin(
        tid, unowned_slots(tid, place->all_boot_slots(), arch::boot_owner_offset()));
    if (!slot) {
        return Redirected::refused;
    }
    const RemotePtr boot_slot = *slot;
    BootCall call;
    call.args = notification.args;
    call.return_address = notification.instruction_pointer;
    call.nr = static_cast<std::uint64_t>(notification.nr);
    call.owner = tid;
    return redirect(source, notification, place->code, arch::boot_entry(), boot_slot,
                    [&](Tracee &tracee) -> Result<void> {
                        if (auto written = write_code(tracee, place->code); !written) {
                            return written;
                        }
                        return tracee.poke_text(boot_slot, arch::encode_boot_slot(call));
                    });
}

Result<void> Executor::write_code(Tracee &tracee, RemotePtr to) const
{
    Signature present{};
    if (read_exactly(tracee.tid(), to, bytes_of(present)) && present == signature_) {
        return {};
    }
    // Another thread of the target may be booting at the same time and find the signature: its
    // first word comes last, when all that it vouches for is there. What comes first of the code is
    // the first word of the call's entry: by that, find_code_place() knows it.
    const std::vector<std::byte> code = arch::make_code(signature_);
    const std::span<const std::byte> bytes(code);
    if (auto written = tracee.poke_text(to + sizeof(CodeHeader), bytes.subspan(sizeof(CodeHeader)));
        !written) {
        return written;
    }
    constexpr std::size_t word = sizeof signature_[0];
    if (auto written = tracee.poke_text(to + word, bytes.subspan(word, sizeof(CodeHeader) - word));
        !written) {
        return written;
    }
    return tracee.poke_text(to, bytes.first(word));
}

Result<void> Executor::finish_boot(NotificationSource &source, const Notification &notification,
                                   const Observation::BootReport &report, const Order &order)
{
    if (report.result < 0) {
        return finish_boot_sparely(source, notification, report, order);
    }
    const pid_t tid = notification.tid;
    // Fresh memory, but another worker may just be at work on a relative's area of the same
    // address: any slot will do.
    const std::optional<Lease> lease = slots_.reserve_any(report.image.area);
    if (!lease) {
        return Error{no_slot, tid, EAGAIN};
    }
    SlotCall call = slot_call(order, tid, lease->index());
    call.return_address = report.call.return_address;
    call.nr = report.call.nr;
    call.saved_args = {report.call.args[0], report.call.args[1]};
    const AreaHeader header{signature_, report.image.code.value()};
    const std::vector<std::byte> bytes = arch::encode_slot(call, lease->slot());
    // Also, for a successor of ours: where the area is, and that the boot slot is free.
    const std::uint64_t area = report.image.area.value();
    const std::int32_t nobody = 0;
    const std::array<WaitingWrite, 4> writes{
        {{lease->slot(), bytes},
         {report.image.area, const_bytes_of(header)},
         {report.image.code + offsetof(CodeHeader, area), const_bytes_of(area)},
         {report.slot + arch::boot_owner_offset(), const_bytes_of(nobody)}}};
    const auto answer = static_cast<std::int64_t>(lease->slot().value());
    if (auto done = write_and_answer(source, notification, writes, answer); !done) {
        return done;
    }
    hints_.remember(tid, report.image);
    slot_users_.end(tid, report.slot);
    return {};
}

Result<void> Executor::write_and_answer(NotificationSource &source,
                                        const Notification &notification,
                                        std::span<const WaitingWrite> writes, std::int64_t answer)
{
    const Result<void> written = write_waiting(*procfs_, source, notification, writes);
    if (written) {
        return source.answer(notification.id, answer);
    }
    if (!may_be_poked(written)) {
        return written;
    }
    // ENOSYS is what stays in force if we die before the last step.
    const Result<Redirected> done =
        stop_and(source, notification, -ENOSYS, [&](Tracee &tracee, bool answered) -> Result<void> {
            for (const auto &[to, from] : writes) {
                if (auto poked = tracee.poke_text(to, from); !poked) {
                    return poked;
                }
            }
            return arch::end_call(tracee, notification, answered, answer);
        });
    return done ? Result<void>() : done.error();
}

Result<void> Executor::finish_boot_sparely(NotificationSource &source,
                                           const Notification &notification,
                                           const Observation::BootReport &report,
                                           const Order &order)
{
    const pid_t tid = notification.tid;
    const Error out_of_memory{no_memory, tid, ENOMEM};
    // A thread would go on using the slot when its creator has left it long since. A vfork child
    // is done with it before its parent is.
    const bool child_outlasts =
        (order.call.flags & CLONE_VM) != 0 && (order.call.flags & CLONE_VFORK) == 0;
    const std::optional<CodePlace> place = find_code_place(*procfs_, tid, signature_);
    if (!place || child_outlasts) {
        return out_of_memory;
    }
    const std::optional<RemotePtr> slot =
        slot_users_.begin(tid, unowned_slots(tid, place->all_spare_slots(), arch::owner_offset()));
    if (!slot) {
        return out_of_memory;
    }
    SlotCall call = slot_call(order, tid, 0);
    call.spare = true;
    call.report_success = true; // we have to see its end
    call.return_address = report.call.return_address;
    call.nr = report.call.nr;
    call.saved_args = {report.call.args[0], report.call.args[1]};
    const std::vector<std::byte> bytes = arch::encode_slot(call, *slot);
    const std::int32_t nobody = 0;
    const std::array<WaitingWrite, 2> writes{
        {{*slot, bytes}, {report.slot + arch::boot_owner_offset(), const_bytes_of(nobody)}}};
    const auto answer = static_cast<std::int64_t>(slot->value());
    if (auto done = write_and_answer(source, notification, writes, answer); !done) {
        slot_users_.end(tid, *slot);
        return done;
    }
    slot_users_.end(tid, report.slot);
    return {};
}

Result<void> Executor::finish(NotificationSource &source, const Notification &notification,
                              const Observation::Report &report, std::int64_t result)
{
    if (!report.call.spare) {
        // 0 would mean "again": a success, which the code knows by itself, is answered by 1.
        return source.answer(notification.id, result < 0 ? result : 1);
    }
    return leave(source, notification, report.call, report.slot, arch::owner_offset(), result);
}

Result<void> Executor::refuse_boot(NotificationSource &source, const Notification &notification,
                                   const Observation::BootReport &report, int err)
{
    SlotCall call;
    call.return_address = report.call.return_address;
    call.saved_args = {report.call.args[0], report.call.args[1]};
    return leave(source, notification, call, report.slot, arch::boot_owner_offset(), -err);
}

Result<void> Executor::leave(NotificationSource &source, const Notification &notification,
                             const SlotCall &call, RemotePtr slot, std::uint64_t owner,
                             std::int64_t result)
{
    // When the target is back in its program in one step, the slot is free without a doubt. If we
    // die before, our code takes it there.
    const std::int64_t answer = result < 0 ? result : 1;
    const Result<Redirected> left =
        stop_and(source, notification, answer, [&](Tracee &tracee, bool) -> Result<void> {
            if (auto done = arch::leave(tracee, call, result); !done) {
                return done;
            }
            // For a successor of ours. It is out of the slot, so a death before this costs the slot
            // only.
            const std::int32_t nobody = 0;
            (void)tracee.poke_text(slot + owner, const_bytes_of(nobody));
            return {};
        });
    if (!left) {
        return source.answer(notification.id, answer);
    }
    slot_users_.end(notification.tid, slot);
    return {};
}

Result<void> Executor::retry(NotificationSource &source, const Notification &notification,
                             const Observation::Report &report)
{
    const std::vector<std::byte> bytes = arch::encode_slot(report.call, report.slot);
    const WaitingWrite write{report.slot, bytes};
    return write_and_answer(source, notification, {&write, 1}, 0);
}

} // namespace clone2
