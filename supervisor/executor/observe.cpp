// SPDX-License-Identifier: MIT
//
// What a call says, read out of the caller's memory: the first half of Executor.
#include "executor/executor.hpp"
#include "executor/mappings.hpp"
#include "executor/memory.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <vector>

namespace clone2
{

namespace
{

std::int64_t as_result(std::uint64_t value)
{
    return static_cast<std::int64_t>(value);
}

} // namespace

bool Executor::is_from_code(const Notification &notification)
{
    Behind behind{};
    return read_exactly(notification.tid, RemotePtr{notification.instruction_pointer},
                        bytes_of(behind)) &&
           behind.is_code();
}

Result<Observation> Executor::observe(const Notification &notification)
{
    const pid_t tid = notification.tid;
    CloneStruct raw{};
    Behind behind{};
    AreaHeader header{};
    Signature code{};
    std::vector<std::byte> in_slot;
    Request request;

    // The slot is reserved before it is read: read first, it might be given away in between.
    const std::optional<Image> guess = hints_.guess(tid);
    std::optional<Lease> lease;
    if (guess) {
        lease = slots_.reserve_any(guess->area);
        in_slot.resize(arch::slot_size());
    }

    std::array<RemoteRange, 6> pieces;
    std::size_t count = 0;
    const RemotePtr args{notification.args[0]};
    const RemotePtr pids{notification.args[1]};
    pieces[count++] = {args, bytes_of(raw)};
    pieces[count++] = {RemotePtr{notification.instruction_pointer}, bytes_of(behind)};
    if (lease) {
        pieces[count++] = {guess->area, bytes_of(header)};
        pieces[count++] = {lease->slot(), in_slot};
        pieces[count++] = {guess->code, bytes_of(code)};
    }
    std::size_t before_pids = 0;
    for (std::size_t i = 0; i < count; ++i) {
        before_pids += pieces[i].to.size();
    }
    // Last, as they may be anything: a partial read is an answer.
    pieces[count++] = {pids, std::as_writable_bytes(std::span(request.pids))};
    const Result<std::size_t> read = read_memory(tid, {pieces.data(), count});
    if (!read) {
        return read.error();
    }

    if (*read < sizeof raw + sizeof behind) {
        // The arguments can't be read; who calls is to be known all the same.
        (void)read_exactly(tid, RemotePtr{notification.instruction_pointer}, bytes_of(behind));
    }
    if (behind.is_code() && behind.signature != signature_[0]) {
        return Observation{Observation::ForeignReport{}};
    }
    if (behind.is_report()) {
        Observation::Report report;
        report.slot = arch::slot_of_report(notification.args[0]);
        std::vector<std::byte> bytes(arch::slot_size());
        if (const auto slot = read_exactly(tid, report.slot, bytes); !slot) {
            return slot.error();
        }
        report.call = arch::decode_slot(bytes);
        report.result = as_result(notification.args[1]);
        return Observation{report};
    }
    if (behind.is_boot_report()) {
        Observation::BootReport report;
        report.slot = RemotePtr{notification.args[0]};
        std::vector<std::byte> bytes(arch::boot_slot_size());
        if (const auto slot = read_exactly(tid, report.slot, bytes); !slot) {
            return slot.error();
        }
        report.call = arch::decode_boot_slot(bytes);
        const std::int64_t mapped = as_result(notification.args[1]);
        if (mapped < 0) {
            report.result = mapped;
        } else {
            report.image.area = RemotePtr{notification.args[1]};
        }
        report.image.code = arch::code_of_boot_report(notification.instruction_pointer);
        return Observation{report};
    }

    Observation::ProgramCall seen;
    seen.args_readable =
        *read >= sizeof raw || read_write_only(*procfs_, tid, args, bytes_of(raw)).has_value();
    if (!seen.args_readable) {
        return Observation{std::move(seen)};
    }
    const std::array<pid_t, max_pids> pids_read = request.pids;
    request = decode_v7(raw, notification.args[4]);
    const std::size_t wanted = request.asked().size_bytes();
    if (*read >= before_pids + wanted) {
        request.pids = pids_read;
    } else {
        read_pids(tid, pids, request);
    }
    if (lease && *read >= before_pids && header.signature == signature_ &&
        header.code == guess->code.value() && code == signature_) {
        seen.image = guess;
        if (SlotFinder::is_free(tid, arch::decode_slot(in_slot).state)) {
            seen.slot = std::move(lease);
            seen.in_slot = std::move(in_slot);
        }
    }
    seen.request = request;
    return Observation{std::move(seen)};
}

Result<Observation::ProgramCall>
Executor::read_request(pid_t tid, const std::array<std::uint64_t, 6> &args) const
{
    CloneStruct raw{};
    Observation::ProgramCall seen;
    const RemotePtr from{args[0]};
    const Result<void> read = read_exactly(tid, from, bytes_of(raw));
    if (!read && read.error().err != EFAULT) {
        return read.error();
    }
    seen.args_readable =
        read.has_value() || read_write_only(*procfs_, tid, from, bytes_of(raw)).has_value();
    if (seen.args_readable) {
        seen.request = decode_v7(raw, args[4]);
        read_pids(tid, RemotePtr{args[1]}, seen.request);
    }
    return seen;
}

void Executor::read_pids(pid_t tid, RemotePtr pids, Request &request) const
{
    if (request.nr_pids == 0 || request.nr_pids > max_pids) {
        return;
    }
    const std::span<std::byte> to =
        std::as_writable_bytes(std::span(request.pids)).first(request.asked().size_bytes());
    request.pids_readable =
        read_exactly(tid, pids, to).has_value() || read_write_only(*procfs_, tid, pids, to);
}

} // namespace clone2
