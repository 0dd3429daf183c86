// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <map>
#include <sys/types.h>

namespace clone2
{

/// What users share of one thing. Each may hold as much as stays free: one alone gets half, two
/// that take what they can get a third each, and a third remains. So whoever comes next finds
/// something, no share is set aside for users that never come, and no list of users is needed.
/// (Choudhury and Hahne's dynamic thresholds, known from buffers of switches.) Not thread-safe.
class Budget
{
public:
    explicit Budget(std::uint64_t total) : total_(total) {}

    /// Whether this user may hold so much more.
    [[nodiscard]] bool fits(uid_t user, std::uint64_t more) const
    {
        const std::uint64_t used = used_ + more;
        return used <= total_ && of(user) + more <= total_ - used;
    }
    /// What this user could hold at most, as long as the others hold what they do.
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

    /// Whether or not it fits.
    void add(uid_t user, std::uint64_t amount)
    {
        if (amount != 0) {
            used_ += amount;
            by_user_[user] += amount;
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
    std::map<uid_t, std::uint64_t> by_user_; ///< without those that hold nothing
};

} // namespace clone2
