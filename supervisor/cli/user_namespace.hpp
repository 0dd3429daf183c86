// SPDX-License-Identifier: MIT
#pragma once

#include "cli/inherited_signals.hpp"
#include "cli/messages.hpp"
#include "cli/subordinate_ids.hpp"

#include <optional>
#include <stdexcept>
#include <string>

namespace clone2::cli
{

/// The caller's first ranges in /etc/subuid and /etc/subgid.
struct OwnRanges {
    std::optional<MappedIds> uids;
    std::optional<MappedIds> gids;
    std::string lack; ///< why they are not both known
};
/// Reads the files and the user's name. That may take long, so call it before signals are taken
/// over.
[[nodiscard]] OwnRanges own_ranges();

/// What newuidmap(1) and newgidmap(1) map, and their signals.
struct AutomaticMapping {
    const OwnRanges &ranges;
    const InheritedSignals &inherited; ///< what they start with, as PROGRAM does
    ReaperLink &command; ///< they get what it forwards, which also stays, in `early`, for PROGRAM
};

struct UserMapping {
    bool current_user = false; ///< the caller's ids remain what they are, instead of becoming 0
    const AutomaticMapping *automatic = nullptr; ///< also the caller's ranges
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
