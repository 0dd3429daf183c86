// SPDX-License-Identifier: MIT
#pragma once

#include "actor.hpp"

#include <optional>
#include <string>

namespace pstree
{

/// A restored tree. The processes end when this is destroyed, or when the caller's process ends.
class Restoration
{
public:
    /// `plan` must outlive this. `number` is clone2's.
    Restoration(const Plan &plan, long number);
    Restoration(const Restoration &) = delete;
    Restoration &operator=(const Restoration &) = delete;
    ~Restoration();

    /// Carries the plan out; nothing, or what failed in words. Stops early when a signal that the
    /// caller has blocked is pending.
    std::optional<std::string> run();

private:
    std::optional<std::string> carry_out(int index);
    Outcome order(int node, int step);
    void tell(int node, int step);
    bool wait_for(int node);
    [[nodiscard]] std::string name(int node) const;
    [[nodiscard]] std::string failure(const Step &step, const Outcome &outcome) const;
    void end_all();

    const Plan &plan_;
    Slots slots_;
    Actor self_;
    std::vector<bool> alive_;
};

} // namespace pstree
