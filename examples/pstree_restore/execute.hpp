// SPDX-License-Identifier: MIT
#pragma once

#include "actor.hpp"

#include <csignal>
#include <string>

namespace pstree
{

/// A restored tree. The processes end when this is destroyed or the calling process ends. At most
/// one per process: all orphans become its children.
class Restoration
{
public:
    /// `plan` must outlive this. `number` is clone2's.
    Restoration(const Plan &plan, long number);
    Restoration(const Restoration &) = delete;
    Restoration &operator=(const Restoration &) = delete;
    ~Restoration();

    /// Carries out the plan. Fails early if a signal in `ending`, which the caller has blocked, is
    /// pending.
    void run(const sigset_t &ending);

private:
    void carry_out(std::size_t index);
    void command(std::size_t node, std::size_t step);
    void wait_for(std::size_t node);

    const Plan &plan_;
    Slot *slots_; // by node; mapped while the process lives
    Actor self_;
};

} // namespace pstree
