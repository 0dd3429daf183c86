// SPDX-License-Identifier: MIT
#pragma once

#include "base/budget.hpp"
#include "base/diagnostics.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>

namespace clone2::agent
{

/// What peers use up in the agent, except calls in progress (see Scheduler).
enum class Resource {
    listeners,
    descriptors, ///< connections, descriptors from them, listeners and their notes
    memory,      ///< bytes kept of messages
    kept         ///< listeners that the service manager keeps
};

class Charge;

/// Records how much each user holds, with a Budget per resource. Thread-safe.
class Ledger : public std::enable_shared_from_this<Ledger>
{
public:
    struct Totals {
        std::uint64_t listeners;
        std::uint64_t descriptors;
        std::uint64_t memory;
        std::uint64_t kept;
    };
    Ledger(const Totals &totals, Diagnostics &diagnostics);

    /// nullopt: the user's share is used up. Warns about it once, until the user holds much less.
    [[nodiscard]] std::optional<Charge> take(Resource resource, uid_t user, std::uint64_t amount);
    /// Charges the user even beyond its share, for what already exists.
    [[nodiscard]] Charge hold(Resource resource, uid_t user, std::uint64_t amount);
    /// Whether the user may hold `more` on top; warns like take().
    [[nodiscard]] bool fits(Resource resource, uid_t user, std::uint64_t more);
    /// Whether users hold() all that there is, or more.
    [[nodiscard]] bool is_overdrawn(Resource resource);
    /// How much the user may hold, including what it holds now.
    [[nodiscard]] std::uint64_t allowance(Resource resource, uid_t user);
    /// "uid 1000 has used up its share of listeners".
    [[nodiscard]] static std::string refusal(Resource resource, uid_t user);

private:
    friend class Charge;
    [[nodiscard]] Budget &budget(Resource resource);
    [[nodiscard]] bool fits_locked(Resource resource, uid_t user, std::uint64_t more);
    void change(Resource resource, uid_t user, std::uint64_t from, std::uint64_t to);

    Diagnostics &diagnostics_;
    std::mutex mutex_;
    std::array<Budget, 4> budgets_;
    std::set<std::pair<Resource, uid_t>> told_;
};

/// An amount of a resource charged to a user until destruction. Not thread-safe.
class Charge
{
public:
    Charge(std::shared_ptr<Ledger> ledger, Resource resource, uid_t user, std::uint64_t amount)
        : ledger_(std::move(ledger)), resource_(resource), user_(user), amount_(amount)
    {
    }
    Charge(Charge &&) = default; // the moved-from one has no ledger
    Charge &operator=(Charge &&) = delete;
    Charge(const Charge &) = delete;
    Charge &operator=(const Charge &) = delete;
    ~Charge()
    {
        if (ledger_) {
            set(0);
        }
    }

    /// Changes the amount, even beyond the user's share.
    void set(std::uint64_t amount)
    {
        ledger_->change(resource_, user_, amount_, amount);
        amount_ = amount;
    }

private:
    std::shared_ptr<Ledger> ledger_;
    Resource resource_;
    uid_t user_;
    std::uint64_t amount_;
};

} // namespace clone2::agent
