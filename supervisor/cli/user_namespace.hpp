// SPDX-License-Identifier: MIT
#pragma once

#include "cli/inherited_signals.hpp"
#include "cli/messages.hpp"

#include <stdexcept>

namespace clone2::cli
{

/// The signals of newuidmap(1) and newgidmap(1).
struct ToolSignals {
    const InheritedSignals &inherited; ///< what they start with, as PROGRAM does
    ReaperLink &command; ///< they get what it forwards, which also stays, in `early`, for PROGRAM
};

struct UserMapping {
    bool current_user = false; ///< the caller's ids remain what they are, instead of becoming 0
    /// Also the caller's ranges of subordinate ids, by newuidmap(1).
    const ToolSignals *automatic = nullptr;
};

/// SIGHUP, SIGINT, SIGQUIT or SIGTERM ended newuidmap(1), and is meant for all of the wrapper.
class EndedBySignal : public std::runtime_error
{
public:
    explicit EndedBySignal(int signal)
        : std::runtime_error("--map-auto: ended by a signal"), signal_(signal)
    {
    }
    [[nodiscard]] int signal() const { return signal_; }

private:
    int signal_;
};

/// Moves this process, which must have one thread, into new namespaces: `flags` and a user
/// namespace with the caller's ids mapped. Throws std::runtime_error, or EndedBySignal.
void enter_user_namespace(int flags, const UserMapping &mapping);

/// Keeps the capabilities of this process across exec, even if it is not root. Throws
/// std::system_error.
void keep_capabilities();

} // namespace clone2::cli
