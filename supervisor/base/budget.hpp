// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <map>
#include <sys/types.h>

namespace clone2
{

/// Shares one resource among users. A user may hold as much as stays free: one user alone gets
/// half; two greedy users get a third each, and a third stays free. So the next user always finds
/// something left, nothing is set aside for users that never come, and no list of users is needed.
/// (These are Choudhury and Hahne's dynamic thresholds, known from switch buffers.) Not
/// thread-safe.
class Budget
{
public:
    explicit Budget(std::uint64_t total) : total_(total) {}

    /// Whether this user may hold `more` on top of what it holds.
    [[nodiscard]] bool fits(uid_t user, std::uint64_t more) const
    {
        const std::uint64_t used = used_ + more;
        return used <= total_ && of(user) + more <= total_ - used;
    }
    /// The most this user could hold while the others keep what they have.
    [[nodiscard]] std::uint64_t allowance(uid_t user) const
    {
        const std::uint64_t others = used_ - of(user);
        return others < total_ ? (total_ - others) / 2 : 0;
    }
    [[nodiscard]] std::uint64_t of(uid_t user) const
    {
        const auto found = by_user_.find(user);
        return found != by_user_.end() ? found->second : 0;
    }
    [[nodiscard]] std::uint64_t total() const { return total_; }
    [[nodiscard]] std::uint64_t used() const { return used_; }

    /// Adds `amount` even if it does not fit. Throws std::bad_alloc, and then adds nothing.
    void add(uid_t user, std::uint64_t amount)
    {
        if (amount != 0) {
            by_user_[user] += amount;
            used_ += amount;
        }
    }
    void remove(uid_t user, std::uint64_t amount)
    {
        if (amount == 0) {
            return;
        }
        used_ -= amount;
        const auto found = by_user_.find(user);
        if ((found->second -= amount) == 0) {
            by_user_.erase(found);
        }
    }

private:
    std::uint64_t total_;
    std::uint64_t used_ = 0;
    std::map<uid_t, std::uint64_t> by_user_; ///< users that hold nothing have no entry
};

} // namespace clone2
