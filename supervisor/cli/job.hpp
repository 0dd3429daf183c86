// SPDX-License-Identifier: MIT
#pragma once

#include "cli/messages.hpp"

#include <optional>
#include <vector>

namespace clone2::cli
{

/// Makes the command act as PROGRAM's stand-in in the shell's job: it forwards signals to PROGRAM,
/// stops when PROGRAM has stopped and continues when PROGRAM does. One per process; not
/// thread-safe. The signals of forwarded_signals() are blocked and SIGCHLD has its default action.
///
/// News of a stop arrives after the stop and may be out of date. A shell that continues the whole
/// job continues PROGRAM before us (the kernel starts with the process that joined the group last).
/// So we stop only after we have asked the reaper, and it has answered that PROGRAM is still
/// stopped.
///
/// PROGRAM already has every signal that was sent to the whole process group. This class recognises
/// those of the terminal; it forwards the others, and the reaper recognises them (Witness).
class Job
{
public:
    /// From now on, news that PROGRAM has continued or ended continues this process. Throws
    /// std::system_error.
    explicit Job(ReaperLink reaper);

    /// Descriptors that the process must keep open.
    [[nodiscard]] std::vector<int> fds() const;

    /// Waits until PROGRAM has ended. nullopt: no process is left to report how. `server`, a child,
    /// receives each SIGHUP, too, and reopens the log.
    std::optional<ProgramStatus> wait(pid_t server);

private:
    void forward_signals();
    void ask();
    void stop();
    void stop_by_helper();

    [[nodiscard]] bool is_for_program(const SentSignal &signal) const;

    ReaperLink reaper_;
    Fd signals_;
    pid_t server_ = 0;
    unsigned stops_ = 0;  ///< stops of PROGRAM that were reported
    int stop_signal_ = 0; ///< the last one's signal; 0: PROGRAM is running
    int question_ = 0;    ///< number of the last question
    pid_t helper_ = 0;    ///< sender of a SIGCONT still to be read, which discarded a stop; or 0
};

} // namespace clone2::cli
