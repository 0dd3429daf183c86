// SPDX-License-Identifier: MIT
#include "image/exits.hpp"

#include "target/memory.hpp"

#include <algorithm>
#include <span>

namespace clone2
{

namespace
{

bool is_unused(std::span<const std::byte> bytes)
{
    return std::all_of(bytes.begin(), bytes.end(),
                       [](std::byte byte) { return byte == std::byte{}; });
}

/// Whether an exit with these bytes is unused, or somebody is writing what is wanted, in whole
/// words.
bool may_become(std::span<const std::byte> there, std::span<const std::byte> wanted)
{
    constexpr std::size_t word = sizeof(std::uint64_t);
    for (std::size_t at = 0; at < there.size(); at += word) {
        const auto piece = there.subspan(at, word);
        if (!is_unused(piece) && !std::equal(piece.begin(), piece.end(), &wanted[at])) {
            return false;
        }
    }
    return true;
}

} // namespace

RemotePtr first_boot_slot(const Architecture &arch, RemotePtr code)
{
    return code + align_up(arch.code_size(), arch.boot_slot_size());
}

RemotePtr page_end(const Architecture &arch, RemotePtr code)
{
    return RemotePtr{align_up(code.value() + 1, arch.page_size())};
}

RemotePtr first_exit(const Architecture &arch, RemotePtr code)
{
    const RemotePtr end = page_end(arch, code);
    if (arch.exit_size() == 0) {
        return end;
    }
    const RemotePtr begin =
        first_boot_slot(arch, code) + arch.wanted_boot_slots() * arch.boot_slot_size();
    if (begin >= end) {
        return end;
    }
    return end - (end.value() - begin.value()) / arch.exit_size() * arch.exit_size();
}

Exits::Choice::~Choice()
{
    if (all_ != nullptr) {
        const std::lock_guard lock(all_->mutex_);
        const auto entry = all_->being_written_.find(exit_);
        if (--entry->second.writers == 0) {
            all_->being_written_.erase(entry);
        }
    }
}

Result<void> Exits::Choice::write(Tracee &tracee) const
{
    if (missing_.empty()) {
        return {};
    }
    return tracee.poke_text(exit_, missing_);
}

Result<std::optional<Exits::Choice>> Exits::choose(pid_t tid, const Architecture &arch,
                                                   RemotePtr code, std::uint64_t site)
{
    const std::size_t size = arch.exit_size();
    if (size == 0) {
        return std::optional(Choice());
    }
    const RemotePtr first = first_exit(arch, code);
    std::vector<std::byte> bytes(page_end(arch, code).value() - first.value());
    if (!read_exactly(tid, first, bytes)) {
        return Error(Cause::no_exit, tid);
    }
    const std::span<const std::byte> all(bytes);
    // From the end down: the oldest exits come first.
    for (std::size_t at = bytes.size(); at >= size; at -= size) {
        const std::vector<std::byte> wanted = arch.encode_exit(first + (at - size), site);
        if (std::equal(wanted.begin(), wanted.end(), &bytes[at - size])) {
            return std::optional(Choice(first + (at - size)));
        }
    }
    bool others = false;
    for (std::size_t at = bytes.size(); at >= size; at -= size) {
        const RemotePtr exit = first + (at - size);
        std::vector<std::byte> wanted = arch.encode_exit(exit, site);
        const Reserved reserved = reserve(exit, site, all.subspan(at - size, size), wanted);
        if (reserved == Reserved::yes) {
            std::optional<Choice> choice(std::in_place, *this, exit, std::move(wanted));
            // Before it was reserved, somebody else may have written it.
            return choice->may_be_written(tid) ? std::move(choice) : std::nullopt;
        }
        others = others || reserved == Reserved::for_another;
    }
    return others ? Result<std::optional<Choice>>(std::nullopt) : Error(Cause::no_exit, tid);
}

Exits::Reserved Exits::reserve(RemotePtr exit, std::uint64_t site, std::span<const std::byte> there,
                               std::span<const std::byte> wanted)
{
    const std::lock_guard lock(mutex_);
    auto entry = being_written_.find(exit);
    // One that is being written may be so in another process, and this one's be in use.
    if (entry == being_written_.end() ? !is_unused(there) : !may_become(there, wanted)) {
        return Reserved::no;
    }
    if (entry == being_written_.end()) {
        entry = being_written_.emplace(exit, Writing{site, 0}).first;
    }
    if (entry->second.site != site) {
        return Reserved::for_another;
    }
    ++entry->second.writers;
    return Reserved::yes;
}

bool Exits::Choice::may_be_written(pid_t tid) const
{
    std::vector<std::byte> there(missing_.size());
    if (!read_exactly(tid, exit_, there)) {
        return false;
    }
    return may_become(there, missing_);
}

} // namespace clone2
