// SPDX-License-Identifier: MIT
#include "executor/executor.hpp"

#include "base/held_signals.hpp"
#include "base/printable.hpp"
#include "target/mappings.hpp"
#include "target/memory.hpp"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <cstddef>
#include <ctime>
#include <elf.h>
#include <linux/sched.h>
#include <new>
#include <vector>

namespace clone2
{

namespace
{

/// Whether ptrace may do what has failed: a kernel may allow no one to write through /proc/TID/mem
/// where the program itself could not (proc_mem.force_override, 6.12), and a filter may forbid it.
bool may_be_poked(const Result<void> &written)
{
    return !written && !written.error().target_gone();
}

/// The way back to the program, which the boot slot has so far.
void take_over(const BootCall &boot, SlotCall &call)
{
    call.return_address = boot.return_address;
    call.nr = boot.nr;
    call.saved_args = boot.args;
    call.exit = boot.exit;
}

} // namespace

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

bool Executor::sleeps_on(const PendingCall &pending) const
{
    // After the interrupt it sleeps again killably (D), or its notification has ended.
    constexpr timespec pause{0, 50'000};
    for (;;) {
        char state = 0;
        try {
            state = procfs_->state(pending.tid());
        } catch (const std::bad_alloc &) {
            // Look again. We can't leave now: the tracee would have to stop first, which it doesn't
            // before its answer.
        }
        if (!pending.still_waits()) {
            return false;
        }
        if (state == 'D') {
            pending.learn_wait_killable(true);
            return true;
        }
        ::nanosleep(&pause, nullptr);
    }
}

Result<Redirected> Executor::gone_or(const PendingCall &pending, const Error &error)
{
    // Errors of ptrace prove nothing: a filter or an outer tracer may have caused them.
    return pending.still_waits() ? Result<Redirected>(error) : Redirected::gone;
}

template <typename Act>
Result<Redirected> Executor::stop_and(const PendingCall &pending, std::int64_t answer, Act act)
{
    // A signal handler of the embedding program must not wait for children in the middle of this.
    std::optional<HeldSignals> held;
    if (waiting_ == Waiting::shared) {
        held.emplace();
    }
    Seizures::Entry entry(seizures_, pending.tid());
    Result<Tracee> seized = entry.seize(pending, waiting_);
    if (!seized) {
        return gone_or(pending, seized.error());
    }
    Tracee &tracee = *seized;
    const std::optional<bool> wait_killable = pending.wait_killable();
    bool answered = wait_killable.value_or(false);
    // Without WAIT_KILLABLE_RECV the interrupt itself ends the notification, so this is the last
    // chance to learn that the tid is still the caller's. With it, the answer's success shows that.
    if (!answered && !pending.still_waits()) {
        entry.let_go(tracee);
        return Redirected::gone;
    }
    if (const Result<void> interrupted = tracee.interrupt(); !interrupted) {
        // Answered first: if it lives and ptrace was refused, it would stop for us only at its next
        // signal.
        Error error = interrupted.error();
        error.answered = pending.answer(-ENOSYS).has_value();
        return error.answered ? Result<Redirected>(error) : Redirected::gone;
    }
    if (!wait_killable) {
        answered = sleeps_on(pending);
    }
    if (answered) {
        if (const Result<void> sent = pending.answer(answer); !sent) {
            if (pending.still_waits()) {
                return sent.error();
            }
            entry.let_go(tracee);
            return Redirected::gone;
        }
    }
    if (const Result<void> stopped = tracee.wait_for_stop(); !stopped) {
        return gone_or(pending, stopped.error());
    }
    if (!wait_killable && !answered) {
        pending.learn_wait_killable(false); // the interrupt has ended the notification
    }
    if (const Result<void> done = act(tracee, answered); !done) {
        Error error = done.error();
        if (error.target_gone() || error.cause == Cause::target_moved) {
            return Redirected::gone;
        }
        // Otherwise the call would be repeated and arrive here again.
        error.answered = answered || architecture_of(pending.notification())
                                         .end_call(tracee, pending.notification(), false, answer)
                                         .has_value();
        return error;
    }
    (void)tracee.detach();
    return Redirected::done;
}

template <typename Write>
Result<Redirected> Executor::redirect(const PendingCall &pending, RemotePtr code,
                                      std::uint64_t entry, RemotePtr slot, Write write)
{
    const Architecture &arch = architecture_of(pending.notification());
    // ENOSYS stays in force if we die before the commit point.
    return stop_and(pending, -ENOSYS, [&](Tracee &tracee, bool answered) -> Result<void> {
        if (tracee.dispatches_calls(code, code + arch.code_size())) {
            return Error(Cause::calls_dispatched, pending.tid());
        }
        if (auto written = write(tracee); !written) {
            // The call begins anew, and finds other room.
            return written.error().cause == Cause::no_room
                       ? arch.reissue(tracee, pending.notification(), pending.notification().nr,
                                      answered)
                       : written;
        }
        auto entered = arch.enter(tracee, pending.notification(), answered, code + entry, slot);
        if (entered) {
            pending.stage("redirected", [&] { return "to " + hex((code + entry).value()); });
        }
        return entered;
    });
}

template <typename Act>
Result<Redirected> Executor::with_exit(const PendingCall &pending, RemotePtr code, Act act)
{
    const Notification &notification = pending.notification();
    const Result<std::optional<Exits::Choice>> exit = images_.exits.choose(
        pending.tid(), architecture_of(notification), code, notification.instruction_pointer);
    if (!exit) {
        return exit.error();
    }
    return *exit ? act(**exit) : Redirected::refused;
}

Result<CodePlace> Executor::find_place(pid_t tid, const Architecture &arch) const
{
    Result<CodePlace> place = images_.place(tid, arch);
    if (place || place.error().cause != Cause::no_room || arch.elf_class() != ELFCLASS64) {
        return place;
    }
    const Result<bool> fits = is_64_bit_program(*procfs_, tid);
    if (!fits) {
        return fits.error();
    }
    return *fits ? std::move(place) : Error(Cause::other_code_segment, tid);
}

Result<Redirected> Executor::start(const PendingCall &pending, const Order &order,
                                   ProgramCall &observed)
{
    const pid_t tid = pending.tid();
    const Notification &notification = pending.notification();
    const Architecture &arch = architecture_of(notification);
    // The code is there, but a program may have changed its pages' protection since the last call.
    if (observed.image) {
        const Result<bool> may_run = images_.code_check.may_run(tid, observed.image->code);
        if (!may_run) {
            return may_run.error();
        }
        if (!*may_run) {
            observed.image.reset();
            observed.slot.reset();
        }
    }
    if (!observed.image) {
        const Result<CodePlace> place = find_place(tid, arch);
        if (!place) {
            return place.error();
        }
        observed.image = images_.find(tid, arch, *place);
        if (!observed.image) {
            return with_exit(pending, place->code, [&](const Exits::Choice &exit) {
                return boot(pending, *place, exit);
            });
        }
    }
    if (!observed.slot) {
        observed.slot = images_.slots.find(pending, *observed.image);
        if (!observed.slot) {
            return Error(Cause::slots_in_use, tid);
        }
        observed.in_slot.resize(arch.slot_size());
        if (const auto read = read_exactly(tid, observed.slot->slot(), observed.in_slot); !read) {
            return read.error();
        }
    }
    const RemotePtr slot = observed.slot->slot();
    pending.stage("slot", [&] {
        return std::to_string(observed.slot->index()) + " at " + hex(slot.value());
    });
    return with_exit(pending, observed.image->code, [&](const Exits::Choice &exit) {
        SlotCall call = slot_call(order, tid, observed.slot->index());
        call.exit = exit.exit();
        call.return_address = notification.instruction_pointer;
        call.nr = static_cast<std::uint64_t>(notification.nr);
        call.saved_args = notification.args;
        const std::vector<std::byte> bytes = arch.encode_slot(call, slot);
        return redirect(pending, observed.image->code, arch.call_entry(), slot,
                        [&](Tracee &tracee) -> Result<void> {
                            if (auto written = exit.write(tracee); !written) {
                                return written;
                            }
                            return tracee.poke_changes(slot, bytes, observed.in_slot);
                        });
    });
}

Result<Redirected> Executor::pass_to_kernel(const PendingCall &pending, int nr)
{
    return stop_and(pending, -ENOSYS, [&](Tracee &tracee, bool answered) {
        auto sent = architecture_of(pending.notification())
                        .reissue(tracee, pending.notification(), nr, answered);
        if (sent) {
            pending.stage("redirected", [&] { return "to its system call, with another number"; });
        }
        return sent;
    });
}

Result<Redirected> Executor::boot(const PendingCall &pending, const CodePlace &place,
                                  const Exits::Choice &exit)
{
    const pid_t tid = pending.tid();
    const Notification &notification = pending.notification();
    const Architecture &arch = architecture_of(notification);
    const std::optional<RemotePtr> slot = images_.slot_users.begin(
        tid, unowned_slots(tid, place.boot_slots, arch.boot_owner_offset()), arch.page_size());
    if (!slot) {
        return Redirected::refused;
    }
    const RemotePtr boot_slot = *slot;
    pending.stage("slot", [&] { return "boot slot at " + hex(boot_slot.value()); });
    BootCall call;
    call.exit = exit.exit();
    call.args = notification.args;
    call.return_address = notification.instruction_pointer;
    call.nr = static_cast<std::uint64_t>(notification.nr);
    call.owner = tid;
    // Opened before the answer, which proves whose address space it is.
    const Result<Fd> memory = procfs_->open(tid, "mem", O_WRONLY);
    return redirect(pending, place.code, arch.boot_entry(), boot_slot,
                    [&](Tracee &tracee) -> Result<void> {
                        const TextWriter writer(tracee, memory ? &*memory : nullptr);
                        if (auto written = write_code(writer, arch, place.code); !written) {
                            images_.slot_users.end(tid, boot_slot);
                            return written;
                        }
                        if (auto written = exit.write(tracee); !written) {
                            return written;
                        }
                        return writer.write(boot_slot, arch.encode_boot_slot(call));
                    });
}

Result<void> Executor::write_code(const TextWriter &writer, const Architecture &arch, RemotePtr to)
{
    const Signature &signature = images_.signature(arch);
    Signature present{};
    if (read_exactly(writer.tid(), to, bytes_of(present)) && present == signature) {
        return {};
    }
    // Since the place was found, another thread of the target, which calls as another architecture,
    // may have booted with it.
    const CodeWriters::Entry writing(code_writers_, writer.tid(), arch, to);
    if (!writing.alone() || !is_usable(writer.tid(), to, arch, signature)) {
        return Error(Cause::no_room, writer.tid());
    }
    // Another thread of the target may boot at the same time and find the signature, so the
    // signature's first word is written last, after everything that it vouches for. The first part
    // of the code that is written is the first word of the call's entry: find_code_place()
    // recognises the code by it. The area's address stays as it is: that thread may have an area by
    // now, and if there is none, it is 0.
    const std::vector<std::byte> code = arch.make_code(signature);
    const std::span<const std::byte> bytes(code);
    constexpr std::size_t word = sizeof signature[0];
    const std::size_t entry = arch.call_entry();
    assert(entry == sizeof(CodeHeader));
    const std::array<std::pair<std::size_t, std::size_t>, 4> parts{
        {{entry, entry + word},
         {entry + word, bytes.size()},
         {word, offsetof(CodeHeader, area)},
         {0, word}}};
    for (const auto &[begin, end] : parts) {
        if (auto written = writer.write(to + begin, bytes.subspan(begin, end - begin)); !written) {
            return written;
        }
    }
    return {};
}

Result<void> Executor::finish_boot(const PendingCall &pending, const BootReport &report,
                                   const Order &order)
{
    if (report.result < 0) {
        return finish_boot_sparely(pending, report, order);
    }
    const pid_t tid = pending.tid();
    const Architecture &arch = architecture_of(pending.notification());
    // The memory is new, but another worker may be using a relative's area with the same address:
    // any slot will do.
    const std::optional<Lease> lease = images_.slots.reserve_any(tid, report.image.area, arch);
    if (!lease) {
        return Error(Cause::slots_in_use, tid);
    }
    pending.stage("slot", [&] {
        return std::to_string(lease->index()) + " at " + hex(lease->slot().value());
    });
    SlotCall call = slot_call(order, tid, lease->index());
    take_over(report.call, call);
    const AreaHeader header{images_.signature(arch), report.image.code.value()};
    const std::vector<std::byte> bytes = arch.encode_slot(call, lease->slot());
    // Also tells a successor where the area is, and that the boot slot is free.
    const std::uint64_t area = report.image.area.value();
    const std::int32_t nobody = 0;
    const std::array<WaitingWrite, 4> writes{
        {{lease->slot(), bytes},
         {report.image.area, const_bytes_of(header)},
         {report.image.code + offsetof(CodeHeader, area), const_bytes_of(area)},
         {report.slot + arch.boot_owner_offset(), const_bytes_of(nobody)}}};
    images_.code_check.forget_all();
    const std::int64_t answer = arch.boot_answer(report.image.area, lease->slot());
    if (auto done = write_and_answer(pending, writes, answer); !done) {
        return done;
    }
    images_.hints.remember(tid, report.image);
    images_.slot_users.end(tid, report.slot);
    return {};
}

Result<void> Executor::write_and_answer(const PendingCall &pending,
                                        std::span<const WaitingWrite> writes, std::int64_t answer)
{
    const Result<void> written = write_waiting(*procfs_, pending, writes);
    if (written) {
        return pending.answer(answer);
    }
    if (!may_be_poked(written)) {
        return written;
    }
    // ENOSYS stays in force if we die before the last step.
    const Result<Redirected> done =
        stop_and(pending, -ENOSYS, [&](Tracee &tracee, bool answered) -> Result<void> {
            for (const auto &[to, from] : writes) {
                if (auto poked = tracee.poke_text(to, from); !poked) {
                    return poked;
                }
            }
            return architecture_of(pending.notification())
                .end_call(tracee, pending.notification(), answered, answer);
        });
    return done ? Result<void>() : done.error();
}

Result<void> Executor::finish_boot_sparely(const PendingCall &pending, const BootReport &report,
                                           const Order &order)
{
    const pid_t tid = pending.tid();
    const Error out_of_memory(Cause::no_memory, tid);
    // A thread could still use the slot long after its creator has left it. A vfork child is done
    // with it before its parent is.
    const bool child_outlasts =
        (order.call.flags & CLONE_VM) != 0 && (order.call.flags & CLONE_VFORK) == 0;
    const Architecture &arch = architecture_of(pending.notification());
    const Result<CodePlace> place = images_.place(tid, arch);
    if (!place && place.error().cause != Cause::no_room) {
        return place.error();
    }
    if (!place || child_outlasts) {
        return out_of_memory;
    }
    const std::optional<RemotePtr> slot = images_.slot_users.begin(
        tid, unowned_slots(tid, place->spare_slots, arch.owner_offset()), arch.page_size());
    if (!slot) {
        return out_of_memory;
    }
    pending.stage("slot", [&] { return "spare slot at " + hex(slot->value()); });
    SlotCall call = slot_call(order, tid, 0);
    call.spare = true;
    call.report_success = true; // we must learn of its end
    take_over(report.call, call);
    const std::vector<std::byte> bytes = arch.encode_slot(call, *slot);
    const std::int32_t nobody = 0;
    const std::array<WaitingWrite, 2> writes{
        {{*slot, bytes}, {report.slot + arch.boot_owner_offset(), const_bytes_of(nobody)}}};
    const auto answer = static_cast<std::int64_t>(slot->value());
    if (auto done = write_and_answer(pending, writes, answer); !done) {
        images_.slot_users.end(tid, *slot);
        return done;
    }
    images_.slot_users.end(tid, report.slot);
    return {};
}

Result<void> Executor::finish(const PendingCall &pending, const Report &report, std::int64_t result)
{
    if (!report.call.spare) {
        // 0 would mean "again". A success, whose result the code knows, is answered with 1.
        return pending.answer(result < 0 ? result : 1);
    }
    return leave(pending, report.call, report.slot,
                 architecture_of(pending.notification()).owner_offset(), result);
}

Result<void> Executor::refuse_boot(const PendingCall &pending, const BootReport &report, int err)
{
    SlotCall call;
    take_over(report.call, call);
    return leave(pending, call, report.slot,
                 architecture_of(pending.notification()).boot_owner_offset(), -err);
}

Result<void> Executor::leave(const PendingCall &pending, const SlotCall &call, RemotePtr slot,
                             std::uint64_t owner, std::int64_t result)
{
    // If the target returns to its program in one step, the slot is certainly free. If we die
    // before that, our code returns there.
    const std::int64_t answer = result < 0 ? result : 1;
    const Result<Redirected> left =
        stop_and(pending, answer, [&](Tracee &tracee, bool) -> Result<void> {
            if (auto done = architecture_of(pending.notification()).leave(tracee, call, result);
                !done) {
                return done;
            }
            pending.stage("redirected",
                          [&] { return "out of our code, with " + describe_result(result); });
            // For a successor. The target has left the slot, so a death before this only costs the
            // slot.
            const std::int32_t nobody = 0;
            (void)tracee.poke_text(slot + owner, const_bytes_of(nobody));
            return {};
        });
    if (!left) {
        return pending.answer(answer);
    }
    images_.slot_users.end(pending.tid(), slot);
    return {};
}

Result<void> Executor::retry(const PendingCall &pending, const Report &report)
{
    const std::vector<std::byte> bytes =
        architecture_of(pending.notification()).encode_slot(report.call, report.slot);
    const WaitingWrite write{report.slot, bytes};
    return write_and_answer(pending, {&write, 1}, 0);
}

} // namespace clone2
