// SPDX-License-Identifier: MIT
#pragma once

#include "cli/signals.hpp"

#include <vector>

namespace clone2::cli
{

/// Finds out which of the signals that the command forwards were sent to its whole process group,
/// so that PROGRAM already has them. siginfo doesn't say that. But the reaper is in the same group,
/// so a signal that both received was sent to the group. Not thread-safe.
///
/// A signal that the reaper received is kept until the command has been asked and has forwarded
/// everything that it had received by then. Until then the command may still forward the same
/// signal; afterwards an equal one is another signal.
class Witness
{
public:
    /// From now on notes all forwarded_signals(), which are blocked. Throws std::system_error.
    Witness();

    [[nodiscard]] const Fd &fd() const { return signals_; }
    /// Forgets what was received before PROGRAM existed.
    void begin();
    /// Notes what has been received.
    void look();
    /// Asks the command if signals need an answer.
    void ask(const Fd &command);
    /// Whether this signal, forwarded by the command, was sent to the whole group.
    [[nodiscard]] bool has(const SentSignal &signal);
    /// Whether another received signal may have discarded this one here (SIGCONT and the stopping
    /// signals do that to each other). The next answer decides, or the other signal when it is
    /// forwarded.
    [[nodiscard]] bool may_have_lost(const SentSignal &signal) const;
    /// Handles the command's answer. Returns the signals sent to this process alone.
    [[nodiscard]] std::vector<SentSignal> answered(int question);

private:
    struct Heard {
        SentSignal signal;
        int question = 0; ///< number of the question asked about it; 0: not asked yet
        bool for_group = false;
    };

    Fd signals_;
    std::vector<Heard> heard_;
    int question_ = 0; ///< number of the last question
    bool waiting_ = false;
};

} // namespace clone2::cli
