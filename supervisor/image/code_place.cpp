// SPDX-License-Identifier: MIT
#include "image/code_place.hpp"

#include "image/code_check.hpp"
#include "image/exits.hpp"
#include "target/memory.hpp"

#include <elf.h>
#include <link.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <span>
#include <string>
#include <tuple>

namespace clone2
{

namespace
{

struct Elf64 {
    using Auxv = Elf64_auxv_t;
    using Header = Elf64_Ehdr;
    using Segment = Elf64_Phdr;
};
struct Elf32 {
    using Auxv = Elf32_auxv_t;
    using Header = Elf32_Ehdr;
    using Segment = Elf32_Phdr;
};

using AuxiliaryVector = std::map<std::uint64_t, std::uint64_t>;

template <typename Elf>
Result<AuxiliaryVector> read_auxv(const Procfs &procfs, pid_t tid)
{
    const Result<std::string> read = procfs.read(tid, "auxv");
    if (!read && read.error().no_descriptor()) {
        return read.error();
    }
    const std::string raw = read ? *read : "";
    AuxiliaryVector auxv;
    typename Elf::Auxv entry{};
    for (std::size_t at = 0; at + sizeof entry <= raw.size(); at += sizeof entry) {
        std::memcpy(&entry, raw.data() + at, sizeof entry);
        auxv[entry.a_type] = entry.a_un.a_val;
    }
    return auxv;
}

/// The end of the vdso's ELF image: its section headers come last.
template <typename Elf>
std::optional<RemotePtr> end_of_vdso(pid_t tid, const AuxiliaryVector &auxv)
{
    const auto vdso = auxv.find(AT_SYSINFO_EHDR);
    typename Elf::Header header{};
    if (vdso == auxv.end() || !read_exactly(tid, RemotePtr{vdso->second}, bytes_of(header)) ||
        std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_shnum == 0) {
        return std::nullopt;
    }
    return RemotePtr{vdso->second} + header.e_shoff +
           static_cast<std::uint64_t>(header.e_shnum) * header.e_shentsize;
}

/// The end of the program's executable segment.
template <typename Elf>
std::optional<RemotePtr> end_of_text(pid_t tid, const AuxiliaryVector &auxv)
{
    const auto at = auxv.find(AT_PHDR);
    const auto count = auxv.find(AT_PHNUM);
    if (at == auxv.end() || count == auxv.end() || count->second == 0 || count->second > 64) {
        return std::nullopt;
    }
    std::vector<typename Elf::Segment> headers(count->second);
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

/// The rest of the page from `end` on, if it is large enough, executable, and unused: zero, or
/// already ours.
Result<CodePlace> place_in_tail(const Procfs &procfs, pid_t tid, RemotePtr end,
                                const Architecture &arch, const Signature &ours)
{
    const Error no_room(Cause::no_room, tid);
    const RemotePtr begin{align_up(end.value(), 16)};
    const RemotePtr slots_begin = first_boot_slot(arch, begin);
    const RemotePtr slots_end = first_exit(arch, begin);
    if (begin.value() % arch.page_size() == 0 || // no tail
        slots_begin + arch.boot_slot_size() > slots_end ||
        (arch.exit_size() != 0 && slots_end == page_end(arch, begin))) {
        return no_room;
    }
    const Result<bool> executable = may_hold_code(procfs, tid, begin);
    if (!executable) {
        return executable.error();
    }
    if (!*executable || !is_usable(tid, begin, arch, ours)) {
        return no_room;
    }
    CodePlace place;
    place.code = begin;
    RemotePtr next = slots_begin;
    for (const auto &[slots, size, wanted] :
         {std::tuple(&place.boot_slots, arch.boot_slot_size(), arch.wanted_boot_slots()),
          std::tuple(&place.spare_slots, arch.slot_stride(), arch.wanted_spare_slots())}) {
        for (; slots->size() < wanted && next + size <= slots_end; next = next + size) {
            slots->push_back(next);
        }
    }
    return place;
}

/// In the tail of the vdso, else in that of the program's text.
template <typename Elf>
Result<CodePlace> find_place(const Procfs &procfs, pid_t tid, const Architecture &arch,
                             const Signature &ours)
{
    const Result<AuxiliaryVector> auxv = read_auxv<Elf>(procfs, tid);
    if (!auxv) {
        return auxv.error();
    }
    for (const auto end_of : {end_of_vdso<Elf>, end_of_text<Elf>}) {
        const std::optional<RemotePtr> end = end_of(tid, *auxv);
        if (!end) {
            continue;
        }
        auto place = place_in_tail(procfs, tid, *end, arch, ours);
        if (place || place.error().cause != Cause::no_room) {
            return place;
        }
    }
    return Error(Cause::no_room, tid);
}

} // namespace

// The first word of the code that is written (Executor::write_code) distinguishes it from anything
// else, so there is no state in between. The signature, written last, distinguishes our code from
// another supervisor's, in which a thread may be.
bool is_usable(pid_t tid, RemotePtr place, const Architecture &arch, const Signature &ours)
{
    std::vector<std::byte> bytes(page_end(arch, place).value() - place.value());
    if (!read_exactly(tid, place, bytes)) {
        return false;
    }
    const std::vector<std::byte> plain = arch.make_code({});
    const auto call = static_cast<std::ptrdiff_t>(arch.call_entry());
    if (!std::equal(plain.begin() + call, plain.begin() + call + sizeof(std::uint64_t),
                    bytes.begin() + call)) {
        return std::all_of(bytes.begin(), bytes.end(),
                           [](std::byte byte) { return byte == std::byte{}; });
    }
    CodeHeader header;
    std::memcpy(&header, bytes.data(), sizeof header);
    return header.signature == ours || header.signature[0] == 0;
}

Result<CodePlace> find_code_place(const Procfs &procfs, pid_t tid, const Architecture &arch,
                                  const Signature &ours)
{
    return arch.elf_class() == ELFCLASS64 ? find_place<Elf64>(procfs, tid, arch, ours)
                                          : find_place<Elf32>(procfs, tid, arch, ours);
}

Result<bool> is_64_bit_program(const Procfs &procfs, pid_t tid)
{
    const Result<AuxiliaryVector> auxv = read_auxv<Elf64>(procfs, tid);
    if (!auxv) {
        return auxv.error();
    }
    const auto size = auxv->find(AT_PHENT);
    return size != auxv->end() && size->second == sizeof(Elf64::Segment);
}

} // namespace clone2
