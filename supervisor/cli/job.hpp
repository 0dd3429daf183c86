// SPDX-License-Identifier: MIT
#pragma once

#include "cli/messages.hpp"

#include <optional>
#include <vector>

namespace clone2::cli
{

/// The command's part in the shell's job that PROGRAM is: it hands signals on to PROGRAM, stops
/// when PROGRAM has stopped and goes on when PROGRAM does. One in a process, not thread-safe; the
/// signals of forwarded_signals() are blocked, SIGCHLD has its default.
///
/// The news comes later than the stop, so what it says may be past. Whoever continues a job as a
/// whole has continued PROGRAM before us (the kernel begins with who joined the group last), so a
/// stop is made only once the reaper has said, asked after that, that PROGRAM still is stopped.
///
/// What was sent to the whole process group PROGRAM has, too. Of the terminal's signals we know
/// that here; of others, which we hand on, the reaper does (Witness).
class Job
{
public:
    /// From here on news of PROGRAM's going on or its end continues this process. Throws
    /// std::system_error.
    explicit Job(ReaperLink reaper);

    /// Its descriptors, which the process is to keep.
    [[nodiscard]] std::vector<int> fds() const;

    /// Until PROGRAM has ended. nullopt: nobody is left to tell how. `server`, a child, gets each
    /// SIGHUP, too: it opens the log anew.
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
    unsigned stops_ = 0;  ///< of PROGRAM, as far as we have heard
    int stop_signal_ = 0; ///< of the last of them; 0: it goes on
    int question_ = 0;    ///< the last one's number
    pid_t helper_ = 0;    ///< whose SIGCONT, taking a stop back, is still to be read; or 0
};

} // namespace clone2::cli
