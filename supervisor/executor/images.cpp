// SPDX-License-Identifier: MIT
#include "executor/images.hpp"

#include "executor/mappings.hpp"
#include "executor/memory.hpp"

#include <elf.h>
#include <link.h>
#include <linux/kcmp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <map>

namespace clone2
{

namespace
{

constexpr std::size_t remembered = 4096;
constexpr std::uint64_t page_size = 4096;
constexpr std::uint32_t wanted_boot_slots = 8;
constexpr std::uint32_t wanted_spare_slots = 2;
constexpr std::uint64_t spare_slot_stride = 320;

std::uint64_t align_up(std::uint64_t value, std::uint64_t to)
{
    return (value + to - 1) / to * to;
}

using Auxv = std::map<std::uint64_t, std::uint64_t>;

Auxv read_auxv(const Procfs &procfs, pid_t tid)
{
    const std::string raw = procfs.read_if_alive(tid, "auxv").value_or("");
    Auxv auxv;
    for (std::size_t at = 0; at + sizeof(ElfW(auxv_t)) <= raw.size(); at += sizeof(ElfW(auxv_t))) {
        ElfW(auxv_t) entry{};
        std::memcpy(&entry, raw.data() + at, sizeof entry);
        auxv[entry.a_type] = entry.a_un.a_val;
    }
    return auxv;
}

/// The end of what the vdso's ELF image uses: its section headers come last.
std::optional<RemotePtr> end_of_vdso(pid_t tid, RemotePtr vdso)
{
    ElfW(Ehdr) header{};
    if (!read_exactly(tid, vdso, bytes_of(header)) ||
        std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_shnum == 0) {
        return std::nullopt;
    }
    return vdso + header.e_shoff + static_cast<std::uint64_t>(header.e_shnum) * header.e_shentsize;
}

/// The end of the program's executable segment.
std::optional<RemotePtr> end_of_text(pid_t tid, const Auxv &auxv)
{
    const auto at = auxv.find(AT_PHDR);
    const auto count = auxv.find(AT_PHNUM);
    if (at == auxv.end() || count == auxv.end() || count->second == 0 || count->second > 64) {
        return std::nullopt;
    }
    std::vector<ElfW(Phdr)> headers(count->second);
    if (!read_exactly(tid, RemotePtr{at->second}, std::as_writable_bytes(std::span(headers)))) {
        return std::nullopt;
    }
    const auto self = std::find_if(headers.begin(), headers.end(),
                                   [](const auto &header) { return header.p_type == PT_PHDR; });
    const std::uint64_t bias = self != headers.end() ? at->second - self->p_vaddr : 0;
    const auto text = std::find_if(headers.begin(), headers.end(), [](const auto &header) {
        return header.p_type == PT_LOAD && (header.p_flags & PF_X) != 0;
    });
    if (text == headers.end()) {
        return std::nullopt;
    }
    return RemotePtr{bias + text->p_vaddr + text->p_filesz};
}

/// Whether these bytes are unused (zero), or our code already, or about to become it: another
/// thread of the target may be booting right now, or a supervisor died while it wrote the code. The
/// first word that is written (Executor::write_code) tells the code from anything else, so that
/// there is no state in between; the signature, written last, tells ours from another supervisor's,
/// which a thread may be in.
bool is_usable(pid_t tid, RemotePtr begin, std::uint64_t room, const Signature &ours)
{
    std::vector<std::byte> bytes(room);
    if (!read_exactly(tid, begin, bytes)) {
        return false;
    }
    const std::vector<std::byte> plain = arch::make_code({});
    const auto call = static_cast<std::ptrdiff_t>(arch::call_entry());
    if (!std::equal(plain.begin() + call, plain.begin() + call + sizeof(std::uint64_t),
                    bytes.begin() + call)) {
        return std::all_of(bytes.begin(), bytes.end(),
                           [](std::byte byte) { return byte == std::byte{}; });
    }
    CodeHeader header;
    std::memcpy(&header, bytes.data(), sizeof header);
    return header.signature == ours || header.signature[0] == 0;
}

/// The rest of the page from `end` on, if it is large enough, may be executed, and is unused: zero,
/// or ours already.
std::optional<CodePlace> place_in_tail(const Procfs &procfs, pid_t tid, RemotePtr end,
                                       const Signature &ours)
{
    const RemotePtr begin{align_up(end.value(), 16)};
    const std::uint64_t room = align_up(end.value(), page_size) - begin.value();
    const std::uint64_t code = align_up(arch::code_size(), arch::boot_slot_size());
    if (begin.value() >= align_up(end.value(), page_size) || room < code + arch::boot_slot_size()) {
        return std::nullopt;
    }
    if (!may_hold_code(procfs, tid, begin) || !is_usable(tid, begin, room, ours)) {
        return std::nullopt;
    }
    CodePlace place;
    place.code = begin;
    place.boot_slots = static_cast<std::uint32_t>(
        std::min<std::uint64_t>((room - code) / arch::boot_slot_size(), wanted_boot_slots));
    const std::uint64_t spare_room = room - code - place.boot_slots * arch::boot_slot_size();
    place.spare_slots = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(spare_room / spare_slot_stride, wanted_spare_slots));
    return place;
}

} // namespace

std::optional<Image> ImageHints::guess(pid_t tid) const
{
    const std::lock_guard lock(mutex_);
    const auto found = by_tid_.find(tid);
    return found != by_tid_.end() ? std::optional(found->second) : latest_;
}

std::vector<Image> ImageHints::with_code_at(RemotePtr code) const
{
    const std::lock_guard lock(mutex_);
    const auto found = by_code_.find(code.value());
    return found != by_code_.end() ? found->second : std::vector<Image>{};
}

void ImageHints::remember(pid_t tid, const Image &image)
{
    const std::lock_guard lock(mutex_);
    latest_ = image;
    if (by_tid_.size() > remembered) {
        by_tid_.clear();
    }
    by_tid_[tid] = image;
    if (by_code_.size() > remembered) {
        by_code_.clear();
    }
    std::vector<Image> &images = by_code_[image.code.value()];
    if (std::find(images.begin(), images.end(), image) == images.end()) {
        if (images.size() > remembered) {
            images.clear();
        }
        images.push_back(image);
    }
}

RemotePtr CodePlace::boot_slot(std::uint32_t index) const
{
    return code + align_up(arch::code_size(), arch::boot_slot_size()) +
           index * arch::boot_slot_size();
}

RemotePtr CodePlace::spare_slot(std::uint32_t index) const
{
    return boot_slot(boot_slots) + index * spare_slot_stride;
}

std::vector<RemotePtr> CodePlace::all_boot_slots() const
{
    std::vector<RemotePtr> slots;
    for (std::uint32_t index = 0; index < boot_slots; ++index) {
        slots.push_back(boot_slot(index));
    }
    return slots;
}

std::vector<RemotePtr> CodePlace::all_spare_slots() const
{
    std::vector<RemotePtr> slots;
    for (std::uint32_t index = 0; index < spare_slots; ++index) {
        slots.push_back(spare_slot(index));
    }
    return slots;
}

std::optional<CodePlace> find_code_place(const Procfs &procfs, pid_t tid, const Signature &ours)
{
    const Auxv auxv = read_auxv(procfs, tid);
    if (const auto vdso = auxv.find(AT_SYSINFO_EHDR); vdso != auxv.end()) {
        if (const auto end = end_of_vdso(tid, RemotePtr{vdso->second})) {
            if (auto place = place_in_tail(procfs, tid, *end, ours)) {
                return place;
            }
        }
    }
    if (const auto end = end_of_text(tid, auxv)) {
        return place_in_tail(procfs, tid, *end, ours);
    }
    return std::nullopt;
}

bool may_hold_code(const Procfs &procfs, pid_t tid, RemotePtr code)
{
    const std::optional<Mapping> mapping = mapping_at(procfs, tid, code);
    return mapping && mapping->readable && mapping->executable && !mapping->shared;
}

std::optional<RemotePtr> SlotUsers::begin(pid_t tid, std::span<const RemotePtr> slots)
{
    const std::lock_guard lock(mutex_);
    std::set<RemotePtr> taken;
    std::erase_if(users_, [&](const User &user) {
        if (std::find(slots.begin(), slots.end(), user.slot) == slots.end()) {
            // A program has all its slots on one page: the caller was another one then.
            const bool other_program =
                user.tid == tid && !slots.empty() &&
                user.slot.value() / page_size != slots.front().value() / page_size;
            return other_program || (::kill(user.tid, 0) != 0 && errno == ESRCH);
        }
        const Result<bool> shared = share_memory(tid, user.tid);
        if (!shared && shared.error().err == ESRCH) {
            return true;
        }
        if (!shared || *shared) {
            taken.insert(user.slot);
        }
        return false;
    });
    for (const RemotePtr slot : slots) {
        if (!taken.contains(slot)) {
            users_.push_back({tid, slot});
            return slot;
        }
    }
    const auto own = std::find_if(users_.begin(), users_.end(), [&](const User &user) {
        return user.tid == tid && std::find(slots.begin(), slots.end(), user.slot) != slots.end();
    });
    if (own == users_.end()) {
        return std::nullopt;
    }
    std::rotate(own, own + 1, users_.end()); // its oldest one, now its youngest
    return users_.back().slot;
}

void SlotUsers::end(pid_t tid, RemotePtr slot)
{
    const std::lock_guard lock(mutex_);
    std::erase_if(users_, [&](const User &user) { return user.tid == tid && user.slot == slot; });
}

std::vector<RemotePtr> unowned_slots(pid_t tid, std::span<const RemotePtr> slots,
                                     std::uint64_t owner_offset)
{
    std::vector<RemotePtr> free;
    std::vector<RemotePtr> own;
    for (const RemotePtr slot : slots) {
        std::int32_t owner = 0;
        if (!read_exactly(tid, slot + owner_offset, bytes_of(owner))) {
            continue;
        }
        if (owner == tid) {
            own.push_back(slot);
            continue;
        }
        // A fork child has its parent's slots, and nobody who uses them.
        const Result<bool> shared = owner > 0 ? share_memory(tid, owner) : Result<bool>(false);
        if (shared ? !*shared : shared.error().err == ESRCH) {
            free.push_back(slot);
        }
    }
    free.insert(free.end(), own.begin(), own.end());
    return free;
}

Result<bool> share_memory(pid_t one, pid_t other)
{
    const long order = ::syscall(SYS_kcmp, one, other, KCMP_VM, 0UL, 0UL);
    if (order < 0) {
        return last_error("kcmp(KCMP_VM)", other);
    }
    return order == 0;
}

} // namespace clone2
