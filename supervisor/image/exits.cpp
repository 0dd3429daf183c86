// SPDX-License-Identifier: MIT
#include "image/exits.hpp"

#include "target/memory.hpp"

#include <algorithm>
#include <span>

namespace clone2
{

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
        all_->being_written_.erase(exit_);
    }
}

Result<void> Exits::Choice::write(Tracee &tracee) const
{
    if (missing_.empty()) {
        return {};
    }
    return tracee.poke_text(exit_, missing_);
}

std::optional<Exits::Choice> Exits::choose(pid_t tid, const Architecture &arch, RemotePtr code,
                                           std::uint64_t site)
{
    const std::size_t size = arch.exit_size();
    if (size == 0) {
        return Choice();
    }
    const RemotePtr first = first_exit(arch, code);
    std::vector<std::byte> bytes(page_end(arch, code).value() - first.value());
    if (!read_exactly(tid, first, bytes)) {
        return std::nullopt;
    }
    const std::lock_guard lock(mutex_);
    // From the end down: the oldest exits come first.
    for (std::size_t at = bytes.size(); at >= size; at -= size) {
        const RemotePtr exit = first + (at - size);
        const std::span<const std::byte> there = std::span(bytes).subspan(at - size, size);
        std::vector<std::byte> wanted = arch.encode_exit(exit, site);
        if (std::equal(there.begin(), there.end(), wanted.begin())) {
            return Choice(exit);
        }
        const bool unused = std::all_of(there.begin(), there.end(),
                                        [](std::byte byte) { return byte == std::byte{}; });
        if (unused && being_written_.insert(exit).second) {
            return Choice(*this, exit, std::move(wanted));
        }
    }
    return std::nullopt;
}

} // namespace clone2
