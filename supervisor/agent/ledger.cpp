// SPDX-License-Identifier: MIT
#include "agent/ledger.hpp"

namespace clone2::agent
{

namespace
{

const char *name_of(Resource resource)
{
    switch (resource) {
    case Resource::listeners:
        return "listeners";
    case Resource::descriptors:
        return "descriptors";
    case Resource::memory:
        return "memory";
    case Resource::kept:
        break;
    }
    return "listeners kept across restarts";
}

} // namespace

Ledger::Ledger(const Totals &totals, Diagnostics &diagnostics)
    : diagnostics_(diagnostics), budgets_{Budget(totals.listeners), Budget(totals.descriptors),
                                          Budget(totals.memory), Budget(totals.kept)}
{
}

Budget &Ledger::budget(Resource resource)
{
    return budgets_.at(static_cast<std::size_t>(resource));
}

bool Ledger::fits_locked(Resource resource, uid_t user, std::uint64_t more)
{
    const Budget &its = budget(resource);
    if (its.fits(user, more)) {
        return true;
    }
    if (told_.emplace(resource, user).second) {
        diagnostics_.warn(refusal(resource, user) + ": " + std::to_string(its.of(user)) + " of " +
                              std::to_string(its.total()) + " (--budget)",
                          user);
    }
    return false;
}

bool Ledger::fits(Resource resource, uid_t user, std::uint64_t more)
{
    const std::lock_guard lock(mutex_);
    return fits_locked(resource, user, more);
}

std::uint64_t Ledger::allowance(Resource resource, uid_t user)
{
    const std::lock_guard lock(mutex_);
    return budget(resource).allowance(user);
}

bool Ledger::is_overdrawn(Resource resource)
{
    const std::lock_guard lock(mutex_);
    const Budget &its = budget(resource);
    return its.used() >= its.total();
}

std::optional<Charge> Ledger::take(Resource resource, uid_t user, std::uint64_t amount)
{
    const std::lock_guard lock(mutex_);
    if (!fits_locked(resource, user, amount)) {
        return std::nullopt;
    }
    budget(resource).add(user, amount);
    return Charge(shared_from_this(), resource, user, amount);
}

Charge Ledger::hold(Resource resource, uid_t user, std::uint64_t amount)
{
    const std::lock_guard lock(mutex_);
    budget(resource).add(user, amount);
    return {shared_from_this(), resource, user, amount};
}

std::string Ledger::refusal(Resource resource, uid_t user)
{
    return "uid " + std::to_string(user) + " has used up its share of " + name_of(resource);
}

void Ledger::change(Resource resource, uid_t user, std::uint64_t from, std::uint64_t to)
{
    const std::lock_guard lock(mutex_);
    Budget &its = budget(resource);
    its.remove(user, from);
    its.add(user, to);
    if (its.of(user) < its.allowance(user) / 2) {
        told_.erase({resource, user});
    }
}

} // namespace clone2::agent
