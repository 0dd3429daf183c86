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

/// What peers use up in the agent, calls under way apart (see Scheduler).
enum class Resource {
    listeners,
    descriptors, ///< connections, what came by them, listeners and their notes
    memory,      ///< bytes: what is kept of messages
    kept         ///< listeners that the service manager keeps
};

class Charge;

/// Who holds how much of it: a Budget for each. Thread-safe.
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

    /// nullopt: the user has what it may have; said on stderr, once until it has much less.
    [[nodiscard]] std::optional<Charge> take(Resource resource, uid_t user, std::uint64_t amount);
    /// Whether or not it may have it: for what is there already.
    [[nodiscard]] Charge hold(Resource resource, uid_t user, std::uint64_t amount);
    /// Whether the user may have so much more; says so as take() does.
    [[nodiscard]] bool fits(Resource resource, uid_t user, std::uint64_t more);
    /// What the user may hold now, what it holds included.
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

/// So much of a resource; given back at its end. For one thread at a time.
class Charge
{
public:
    Charge(std::shared_ptr<Ledger> ledger, Resource resource, uid_t user, std::uint64_t amount)
        : ledger_(std::move(ledger)), resource_(resource), user_(user), amount_(amount)
    {
    }
    Charge(Charge &&) = default; // leaves one without a ledger
    Charge &operator=(Charge &&) = delete;
    Charge(const Charge &) = delete;
    Charge &operator=(const Charge &) = delete;
    ~Charge()
    {
        if (ledger_) {
            set(0);
        }
    }

    /// Holds another amount from now on, whether or not the user may have it.
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
