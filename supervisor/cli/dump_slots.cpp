// SPDX-License-Identifier: MIT
#include "cli/dump_slots.hpp"

#include "audit/describe.hpp"
#include "base/clock.hpp"
#include "base/printable.hpp"
#include "base/procfs.hpp"
#include "cli/own_failure.hpp"
#include "image/code_place.hpp"
#include "image/identity.hpp"
#include "image/slot_users.hpp"
#include "target/memory.hpp"

#include <fcntl.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <optional>
#include <span>
#include <sstream>
#include <string>
#include <vector>

namespace clone2::cli
{

namespace
{

/// What the code of any version begins and ends with, as far as all versions agree on that.
struct ForeignCode {
    RemotePtr begin;
    CodeHeader header;
};

/// Code with a signature other than ours. It is at the end of a mapping's last page, and each of
/// its marks is followed by the first word of its signature.
std::optional<ForeignCode> find_foreign_code(const Procfs &procfs, pid_t pid)
{
    const std::uint64_t page_size = native_architecture().page_size();
    std::istringstream maps(procfs.read_if_alive(pid, "maps").value_or(""));
    for (std::string line; std::getline(maps, line);) {
        std::istringstream words(line);
        std::uint64_t begin = 0;
        std::uint64_t end = 0;
        char dash = 0;
        std::string access;
        words >> std::hex >> begin >> dash >> end >> access;
        std::vector<std::uint64_t> page(page_size / sizeof(std::uint64_t));
        const RemotePtr last{end - page_size};
        if (access.find('x') == std::string::npos ||
            !read_exactly(pid, last, std::as_writable_bytes(std::span(page)))) {
            continue;
        }
        std::vector<std::byte> bytes(page_size);
        std::memcpy(bytes.data(), page.data(), page_size);
        for (std::size_t at = 0; at + sizeof(CodeMark) <= page_size; ++at) {
            CodeMark mark;
            std::memcpy(bytes_of(mark).data(), &bytes[at], sizeof mark);
            if (!mark.is_code() || mark.signature == 0) {
                continue;
            }
            for (std::size_t i = 0; i * sizeof page[0] < at; ++i) {
                if (page[i] == mark.signature) {
                    CodeHeader header;
                    std::memcpy(bytes_of(header).data(), &page[i], sizeof header);
                    return ForeignCode{last + i * sizeof page[0], header};
                }
            }
        }
    }
    return std::nullopt;
}

/// The slots of one process, as text.
class Dump
{
public:
    Dump(const Procfs &procfs, pid_t pid, const Architecture &arch, const CodePlace &place)
        : procfs_(procfs), pid_(pid), arch_(arch), place_(place)
    {
    }

    std::string text(const CodeHeader &header)
    {
        text_ += "code: " + hex(place_.code.value()) + ", " + std::to_string(arch_.code_size()) +
                 " bytes, " + std::string(arch_.name()) + "; signature " +
                 hex(header.signature[0]) + ", known\n";
        area(header);
        count("boot slots", place_.boot_slots, [&](RemotePtr slot) { return boot_slot(slot); });
        count("spare slots", place_.spare_slots, [&](RemotePtr slot) { return spare_slot(slot); });
        return text_;
    }

private:
    void area(const CodeHeader &code)
    {
        const RemotePtr area{code.area};
        if (!area) {
            text_ += "area: none so far: the first call is in progress, or had no memory\n";
            return;
        }
        text_ += "area: " + hex(area.value()) + ", " + std::to_string(arch_.area_size() / 1024) +
                 " KiB; header: ";
        AreaHeader header;
        if (!read_exactly(pid_, area, bytes_of(header))) {
            text_ += "can't be read\n";
            return;
        }
        text_ += header.signature == code.signature ? "signature known" : "another signature";
        text_ += header.code == place_.code.value() ? ", of this code\n"
                                                    : ", of code at " + hex(header.code) + "\n";
        std::vector<RemotePtr> slots;
        for (std::uint32_t index = 0; index < arch_.slot_count(); ++index) {
            slots.push_back(area + arch_.slot_offset(index));
        }
        count("slots", slots, [&](RemotePtr slot) { return busy_slot(slot); });
    }

    /// A line on how many of `slots` are in use, and one for each of these.
    template <typename Describe>
    void count(const char *name, const std::vector<RemotePtr> &slots, Describe describe)
    {
        std::string lines;
        std::size_t busy = 0;
        for (std::size_t index = 0; index < slots.size(); ++index) {
            if (const std::string line = describe(slots[index]); !line.empty()) {
                ++busy;
                lines += "  " + std::to_string(index) + " at " + hex(slots[index].value()) + ": " +
                         line + "\n";
            }
        }
        text_ += std::string(name) + ": " + std::to_string(busy) + " of " +
                 std::to_string(slots.size()) + " in use\n" + lines;
    }

    std::optional<SlotCall> read_slot(RemotePtr slot) const
    {
        std::vector<std::byte> bytes(arch_.slot_size());
        if (!read_exactly(pid_, slot, bytes)) {
            return std::nullopt;
        }
        return arch_.decode_slot(bytes);
    }

    // These return "" for a slot that is free.

    std::string busy_slot(RemotePtr slot) const
    {
        const std::optional<SlotCall> call = read_slot(slot);
        if (!call) {
            return "can't be read";
        }
        if (call->state.free()) {
            return {};
        }
        return owner(call->state.owner) + ", used by " +
               (call->state.parent_busy == 0  ? "the child"
                : call->state.child_busy == 0 ? "the caller"
                                              : "caller and child") +
               "; " + described(*call);
    }

    std::string spare_slot(RemotePtr slot) const
    {
        const std::optional<SlotCall> call = read_slot(slot);
        if (!call) {
            return "can't be read";
        }
        return call->state.owner == 0 ? "" : owner(call->state.owner) + "; " + described(*call);
    }

    std::string boot_slot(RemotePtr slot) const
    {
        std::vector<std::byte> bytes(arch_.boot_slot_size());
        if (!read_exactly(pid_, slot, bytes)) {
            return "can't be read";
        }
        const BootCall call = arch_.decode_boot_slot(bytes);
        return call.owner == 0 ? ""
                               : owner(call.owner) + "; system call " + std::to_string(call.nr) +
                                     " from " + hex(call.return_address);
    }

    static std::string described(const SlotCall &call)
    {
        const std::int64_t spent_ns = now_ns(CLOCK_MONOTONIC) - call.started_ns;
        return describe(call.call) + " for system call " + std::to_string(call.nr) + " from " +
               hex(call.return_address) + ", " +
               (call.attempts != 0 ? std::to_string(call.attempts) + " picks of pids, " : "") +
               "received " + std::to_string(spent_ns / 1'000'000) + " ms ago";
    }

    std::string owner(pid_t tid) const
    {
        const Result<bool> shared = share_memory(pid_, tid);
        if (!shared) {
            return "thread " + std::to_string(tid) +
                   (shared.error().err == ESRCH ? " (gone)" : " (not visible)");
        }
        return "thread " + procfs_.name_of(tid) + " (" +
               (*shared ? "alive, " + stage(tid) : "of another process: left over from a fork") +
               ")";
    }

    /// Where a thread is that has a slot.
    std::string stage(pid_t tid) const
    {
        // "435 0x.. (six arguments) 0x(stack pointer) 0x(program counter)", or "running".
        std::istringstream words(procfs_.read_if_alive(tid, "syscall").value_or(""));
        std::string nr;
        std::string word;
        words >> nr;
        while (words >> word) {
        }
        const std::uint64_t pc = std::strtoull(word.c_str(), nullptr, 16);
        if (pc < place_.code.value() || pc >= (place_.code + arch_.code_size()).value()) {
            return nr == "running" || nr.empty() ? "running" : "outside our code";
        }
        CodeMark mark;
        return read_exactly(tid, RemotePtr{pc} + arch_.mark_offset(), bytes_of(mark)) &&
                       mark.is_code()
                   ? "reports"
                   : "in system call " + nr;
    }

    const Procfs &procfs_;
    pid_t pid_;
    const Architecture &arch_;
    const CodePlace &place_;
    std::string text_;
};

[[noreturn]] void give_up(const std::string &why)
{
    fail("--dump-slots: " + why);
}

std::string dump(const Procfs &procfs, pid_t pid)
{
    for (const Architecture *const arch : code_architectures()) {
        const Signature ours = make_signature(procfs, *arch);
        const Result<CodePlace> place = find_code_place(procfs, pid, *arch, ours);
        CodeHeader header;
        if (place && read_exactly(pid, place->code, bytes_of(header)) && header.signature == ours) {
            return Dump(procfs, pid, *arch, *place).text(header);
        }
    }
    const std::optional<ForeignCode> foreign = find_foreign_code(procfs, pid);
    if (!foreign) {
        give_up("process " + std::to_string(pid) +
                " has no area: it has made no call, or not through a supervisor");
    }
    return "code: " + hex(foreign->begin.value()) + "; signature " +
           hex(foreign->header.signature[0]) +
           ", of another version, or of a supervisor in another pid namespace\narea: " +
           hex(foreign->header.area) +
           " by the code's header; slots of another version are not "
           "understood\n";
}

} // namespace

int dump_slots(const DumpSlots &what)
{
    const Procfs procfs;
    const std::string who = "process " + std::to_string(what.pid);
    // Opening this takes the rights that all the rest takes.
    if (const Result<Fd> memory = procfs.open(what.pid, "mem", O_RDONLY); !memory) {
        const int err = memory.error().err;
        give_up(err == ENOENT || err == ESRCH ? "no " + who
                : err == EACCES || err == EPERM
                    ? who + ": not permitted (it takes the right to trace it)"
                    : who + ": " + std::strerror(err));
    }
    const std::string text = "process " + procfs.name_of(what.pid) + "\n" + dump(procfs, what.pid);
    std::fputs(text.c_str(), stdout);
    return std::fflush(stdout) == 0 ? 0 : own_failure;
}

} // namespace clone2::cli
