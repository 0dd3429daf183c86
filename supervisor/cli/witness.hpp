// SPDX-License-Identifier: MIT
#pragma once

#include "cli/signals.hpp"

#include <vector>

namespace clone2::cli
{

/// Which signals that the command hands on have been sent to its whole process group, so that
/// PROGRAM has them already. siginfo doesn't say that. But the reaper is in this group, too: what
/// both have got is the group's. Not thread-safe.
///
/// What the reaper gets is kept until the command, asked after that, has handed on all that it had
/// got by then: until then it may be about to hand the same signal on, later it is another one.
class Witness
{
public:
    /// From here on all forwarded_signals(), which are blocked, are noted. Throws
    /// std::system_error.
    Witness();

    [[nodiscard]] const Fd &fd() const { return signals_; }
    /// Forgets what has come so far: PROGRAM did not exist yet.
    void begin();
    /// Takes note of what has come.
    void look();
    /// Asks the command, if there is something to ask about.
    void ask(const Fd &command);
    /// Whether this signal, which the command hands on, has been sent to the whole group.
    [[nodiscard]] bool has(const SentSignal &signal);
    /// Whether one has come that may have taken this signal out of what has come here before it:
    /// SIGCONT and the stopping signals do that to each other. The next answer, or the other one
    /// when it is handed on, decides.
    [[nodiscard]] bool may_have_lost(const SentSignal &signal) const;
    /// The command's answer. Returns what was sent to this process alone.
    [[nodiscard]] std::vector<SentSignal> answered(int question);

private:
    struct Heard {
        SentSignal signal;
        int question = 0; ///< with which the command was asked; 0: not yet
        bool for_group = false;
    };

    Fd signals_;
    std::vector<Heard> heard_;
    int question_ = 0; ///< the last one's number
    bool waiting_ = false;
};

} // namespace clone2::cli
