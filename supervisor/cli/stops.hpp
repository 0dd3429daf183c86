// SPDX-License-Identifier: MIT
#pragma once

#include "cli/messages.hpp"

#include <sys/types.h>

namespace clone2::cli
{

/// Keeps account of PROGRAM's stops, in PROGRAM's parent. Decides which SIGCONTs forwarded by the
/// command PROGRAM gets. A shell continues the whole job, so the SIGCONT that the command received
/// has reached PROGRAM, too. A second one would undo the next stop (fg followed at once by Ctrl-Z),
/// even a stop that PROGRAM has yet to act on. Not thread-safe.
class Stops
{
public:
    /// A stop was reported.
    void stopped();
    /// A continuation was reported. Returns whether PROGRAM was known to be stopped.
    bool continued();
    /// Whether no end is known of stop number `stops`, as the command counts them. PROGRAM may be
    /// running nevertheless, see may_be_stopped().
    [[nodiscard]] bool lasts(unsigned stops) const;
    /// Whether to forward a SIGCONT from the command. `has_it`: it was sent to the whole group, so
    /// PROGRAM already has it.
    [[nodiscard]] bool wants(const ForwardedSignal &continuation, bool has_it);

private:
    void end();

    bool stopped_ = false;
    unsigned count_ = 0;
    /// The SIGCONT that ended (or will end) the last stop came from the command.
    bool accounted_ = false;
    /// The last stop that others ended, while a SIGCONT that came with its end is still expected.
    unsigned continued_by_others_ = 0;
};

/// Whether a thread of this child is stopped now. The kernel reports no continuation of a child
/// that has begun to exit, long before its end can be waited for. True also if /proc doesn't show
/// our children.
[[nodiscard]] bool may_be_stopped(pid_t child);

} // namespace clone2::cli
