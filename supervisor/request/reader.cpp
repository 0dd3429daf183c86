// SPDX-License-Identifier: MIT
#include "request/reader.hpp"

#include "base/kernel_limits.hpp"
#include "image/exits.hpp"
#include "target/memory.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <span>

namespace clone2
{

/// A single look at the caller's memory that reads everything that may be needed.
struct CallReader::Look {
    Arguments args{};
    std::optional<RemotePtr> structure_at;
    std::array<std::byte, max_structure> structure{};
    bool structure_read = false;
    CodeMark mark;
    std::array<pid_t, max_pids> pids{};
    std::size_t pids_read = 0; ///< bytes
    /// The image guessed, a slot reserved in it, and what was read there.
    std::optional<Image> guess;
    std::optional<SlotReservations::Lease> lease;
    bool image_read = false;
    AreaHeader header;
    Signature code{};
    std::vector<std::byte> in_slot;
};

namespace
{

RemotePtr mark_address(const Notification &notification, const Architecture &arch)
{
    return RemotePtr{notification.instruction_pointer + arch.mark_offset()};
}

std::span<std::byte> first(std::array<std::byte, max_structure> &structure, const Abi &abi)
{
    return std::span(structure).first(abi.structure_size);
}

/// `slot`: what the report's slot contains.
Report decode_report(const Notification &notification, const Architecture &arch,
                     std::span<const std::byte> slot)
{
    return {arch.decode_slot(slot), arch.slot_of_report(notification.args[0]),
            arch.signed_value(notification.args[1] - REPORT_BIAS)};
}

Result<CallRead> read_report(const Notification &notification, const Architecture &arch)
{
    std::vector<std::byte> bytes(arch.slot_size());
    const RemotePtr slot = arch.slot_of_report(notification.args[0]);
    if (const auto read = read_exactly(notification.tid, slot, bytes); !read) {
        return read.error();
    }
    return CallRead{decode_report(notification, arch, bytes)};
}

Result<CallRead> read_boot_report(const Notification &notification, const Architecture &arch)
{
    BootReport report;
    report.slot = arch.boot_slot_of_report(notification);
    std::vector<std::byte> bytes(arch.boot_slot_size());
    if (const auto slot = read_exactly(notification.tid, report.slot, bytes); !slot) {
        return slot.error();
    }
    report.call = arch.decode_boot_slot(bytes);
    report.image.code = arch.code_of_boot_report(notification.instruction_pointer);
    const std::int64_t mapped = arch.signed_value(notification.args[1]);
    if (mapped < 0 && mapped >= -highest_errno) { // a 32-bit address may look negative, too
        report.result = mapped;
    } else {
        report.image.area = RemotePtr{notification.args[1]};
    }
    return CallRead{report};
}

} // namespace

std::optional<Report> CallReader::expected_report(const Notification &notification,
                                                  const Architecture &arch,
                                                  const Image &image) const
{
    const std::uint64_t code = image.code.value();
    if (notification.instruction_pointer - code >= page_end(arch, image.code).value() - code) {
        return std::nullopt;
    }
    CodeMark mark;
    std::vector<std::byte> in_slot(arch.slot_size());
    const std::array<RemoteRange, 2> pieces{{{mark_address(notification, arch), bytes_of(mark)},
                                             {arch.slot_of_report(notification.args[0]), in_slot}}};
    const Result<std::size_t> read = read_memory(notification.tid, pieces);
    if (!read || *read != sizeof mark + in_slot.size() || !mark.is_report() ||
        mark.signature != images_.signature(arch)[0]) {
        return std::nullopt;
    }
    return decode_report(notification, arch, in_slot);
}

bool CallReader::is_from_code(const Notification &notification)
{
    CodeMark mark;
    return read_exactly(notification.tid, mark_address(notification, architecture_of(notification)),
                        bytes_of(mark)) &&
           mark.is_code();
}

Result<CallRead> CallReader::read(const Notification &notification, const Abi &abi)
{
    const Architecture &arch = architecture_of(notification);
    const std::optional<Image> guess = images_.hints.guess(notification.tid);
    if (guess) {
        if (std::optional<Report> report = expected_report(notification, arch, *guess)) {
            return CallRead{*report};
        }
    }
    Result<Look> looked = look(notification, abi, arch, guess);
    if (!looked) {
        return looked.error();
    }
    const CodeMark &mark = looked->mark;
    if (mark.is_code() && mark.signature != images_.signature(arch)[0]) {
        return CallRead{ForeignReport{}};
    }
    if (mark.is_report()) {
        return read_report(notification, arch);
    }
    if (mark.is_boot_report()) {
        return read_boot_report(notification, arch);
    }
    Result<ProgramCall> call = program_call(notification, abi, arch, std::move(*looked));
    if (!call) {
        return call.error();
    }
    return CallRead{std::move(*call)};
}

Result<CallReader::Look> CallReader::look(const Notification &notification, const Abi &abi,
                                          const Architecture &arch,
                                          const std::optional<Image> &guess)
{
    Look look;
    look.guess = guess;
    // The slot is reserved before it is read. Otherwise it could be taken in between.
    if (look.guess) {
        look.lease = images_.slots.reserve_any(notification.tid, look.guess->area, arch);
    }
    std::array<RemoteRange, 6> pieces;
    std::size_t count = 0;
    std::size_t size = 0;
    const auto add = [&](RemotePtr from, std::span<std::byte> to) {
        pieces.at(count++) = {from, to};
        size += to.size();
        return size;
    };
    look.args = arch.arguments(notification.args);
    look.structure_at = abi.structure(look.args);
    const std::size_t structure_end =
        look.structure_at ? add(*look.structure_at, first(look.structure, abi)) : 0;
    const std::size_t mark_end = add(mark_address(notification, arch), bytes_of(look.mark));
    std::size_t image_end = size;
    if (look.lease) {
        look.in_slot.resize(arch.slot_size());
        add(look.guess->area, bytes_of(look.header));
        add(look.lease->slot(), look.in_slot);
        image_end = add(look.guess->code, bytes_of(look.code));
    }
    // Last, because the address may be anything: a partial read is an answer, too.
    if (const std::optional<RemotePtr> pids = abi.pids(look.args)) {
        add(*pids, std::as_writable_bytes(std::span(look.pids)));
    }
    const Result<std::size_t> read = read_memory(notification.tid, {pieces.data(), count});
    if (!read) {
        return read.error();
    }
    look.structure_read = *read >= structure_end;
    look.image_read = look.lease && *read >= image_end;
    look.pids_read = *read > image_end ? *read - image_end : 0;
    if (*read < mark_end) {
        // The arguments can't be read, but we must know whether our code or the program calls.
        (void)read_exactly(notification.tid, mark_address(notification, arch), bytes_of(look.mark));
    }
    return look;
}

Result<ProgramCall> CallReader::program_call(const Notification &notification, const Abi &abi,
                                             const Architecture &arch, Look look) const
{
    const pid_t tid = notification.tid;
    ProgramCall seen;
    if (!look.structure_read) {
        const Result<bool> read =
            reads_write_only(tid, *look.structure_at, first(look.structure, abi));
        if (!read) {
            return read.error();
        }
        if (!*read) {
            seen.unreadable = look.structure_at;
            return seen;
        }
    }
    Request &request = seen.request;
    request = abi.decode(
        look.args, look.structure_at ? first(look.structure, abi) : std::span<const std::byte>(),
        arch);
    if (abi.pids(look.args) && look.pids_read >= request.asked().size_bytes()) {
        std::copy(look.pids.begin(), look.pids.end(), request.pids);
    } else if (const Result<void> read = read_pids(tid, request); !read) {
        return read.error();
    }
    if (look.image_read && images_.proves(look.header, look.code, *look.guess, arch)) {
        seen.image = look.guess;
        if (SlotFinder::is_free(tid, arch.decode_state(look.in_slot))) {
            seen.slot = std::move(look.lease);
            seen.in_slot = std::move(look.in_slot);
        }
    }
    return seen;
}

Result<ProgramCall> CallReader::read_request(const Notification &notification,
                                             const Arguments &registers, const Abi &abi) const
{
    const pid_t tid = notification.tid;
    const Architecture &arch = architecture_of(notification);
    const Arguments args = arch.arguments(registers);
    std::array<std::byte, max_structure> bytes{};
    std::span<std::byte> raw;
    ProgramCall seen;
    if (const std::optional<RemotePtr> structure = abi.structure(args)) {
        raw = first(bytes, abi);
        const Result<void> read = read_exactly(tid, *structure, raw);
        if (!read && read.error().err != EFAULT) {
            return read.error();
        }
        const Result<bool> mapped = read ? true : reads_write_only(tid, *structure, raw);
        if (!mapped) {
            return mapped.error();
        }
        if (!*mapped) {
            seen.unreadable = structure;
            return seen;
        }
    }
    seen.request = abi.decode(args, raw, arch);
    if (const Result<void> read = read_pids(tid, seen.request); !read) {
        return read.error();
    }
    return seen;
}

Result<bool> CallReader::reads_write_only(pid_t tid, RemotePtr from, std::span<std::byte> to) const
{
    const Result<void> read = read_write_only(*procfs_, tid, from, to);
    if (!read && read.error().no_descriptor()) {
        return read.error();
    }
    return read.has_value();
}

Result<void> CallReader::read_pids(pid_t tid, Request &request) const
{
    if (request.nr_pids == 0 || request.nr_pids > max_pids) {
        return {};
    }
    const RemotePtr from{request.pids_address};
    const std::span<std::byte> to =
        std::as_writable_bytes(std::span(request.pids)).first(request.asked().size_bytes());
    const Result<bool> readable =
        read_exactly(tid, from, to) ? true : reads_write_only(tid, from, to);
    if (!readable) {
        return readable.error();
    }
    request.pids_readable = *readable;
    return {};
}

} // namespace clone2
