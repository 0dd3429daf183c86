// SPDX-License-Identifier: MIT
#include "image/slot_users.hpp"

#include "target/memory.hpp"

#include <linux/kcmp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <map>
#include <set>

namespace clone2
{

namespace
{

bool is_in(std::span<const RemotePtr> slots, RemotePtr slot)
{
    return std::find(slots.begin(), slots.end(), slot) != slots.end();
}

} // namespace

std::optional<RemotePtr> SlotUsers::begin(pid_t tid, std::span<const RemotePtr> slots,
                                          std::uint64_t page_size)
{
    // A process that executes a program decides how long kcmp() takes, so it is called without the
    // lock. New users may come in between; in the end those not asked are taken for sharers.
    constexpr int max_rounds = 16;
    std::map<pid_t, Result<bool>> shares;
    for (int round = 1;; ++round) {
        std::set<pid_t> unknown;
        {
            const std::lock_guard lock(mutex_);
            for (const User &user : users_) {
                if (is_in(slots, user.slot) && !shares.contains(user.tid)) {
                    unknown.insert(user.tid);
                }
            }
            if (unknown.empty() || round == max_rounds) {
                return choose(tid, slots, page_size, shares);
            }
        }
        for (const pid_t other : unknown) {
            shares.emplace(other, shares_memory_(tid, other));
        }
    }
}

std::optional<RemotePtr> SlotUsers::choose(pid_t tid, std::span<const RemotePtr> slots,
                                           std::uint64_t page_size,
                                           const std::map<pid_t, Result<bool>> &shares)
{
    std::set<RemotePtr> taken;
    std::erase_if(users_, [&](const User &user) {
        if (!is_in(slots, user.slot)) {
            // On another page: the caller was another program then.
            const bool other_program =
                user.tid == tid && !slots.empty() &&
                user.slot.value() / page_size != slots.front().value() / page_size;
            return other_program || (::kill(user.tid, 0) != 0 && errno == ESRCH);
        }
        const auto asked = shares.find(user.tid);
        const Result<bool> shared = asked != shares.end() ? asked->second : Result<bool>(true);
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
        return user.tid == tid && is_in(slots, user.slot);
    });
    if (own == users_.end()) {
        return std::nullopt;
    }
    std::rotate(own, own + 1, users_.end()); // its oldest becomes its newest
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
    std::vector<std::int32_t> owners(slots.size());
    std::vector<RemoteRange> pieces;
    for (std::size_t i = 0; i < slots.size(); ++i) {
        pieces.push_back({slots[i] + owner_offset, bytes_of(owners[i])});
    }
    const Result<std::size_t> read = read_memory(tid, pieces);
    std::vector<RemotePtr> free;
    std::vector<RemotePtr> own;
    for (std::size_t i = 0; read && i < *read / sizeof owners[i]; ++i) {
        const RemotePtr slot = slots[i];
        const std::int32_t owner = owners[i];
        if (owner == tid) {
            own.push_back(slot);
            continue;
        }
        // A fork child has copies of its parent's slots, which nothing uses.
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
