// SPDX-License-Identifier: MIT
#pragma once

namespace clone2::cli
{

struct UserMapping {
    bool current_user = false; ///< the caller's ids remain what they are, instead of becoming 0
    bool automatic = false;    ///< also the caller's ranges of subordinate ids, by newuidmap(1)
};

/// Moves this process, which must have one thread, into new namespaces: `flags` and a user
/// namespace with the caller's ids mapped. Throws std::runtime_error.
void enter_user_namespace(int flags, const UserMapping &mapping);

/// Keeps the capabilities of this process across exec, even if it is not root. Throws
/// std::system_error.
void keep_capabilities();

} // namespace clone2::cli
