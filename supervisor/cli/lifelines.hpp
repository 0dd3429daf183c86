// SPDX-License-Identifier: MIT
#pragma once

#include "base/fd.hpp"

#include <array>
#include <poll.h>
#include <sys/types.h>

namespace clone2::cli
{

/// The processes without which PROGRAM must not run (--die-with-parent): the command and its parent
/// when it was started. They are watched by pidfds. A parent-death signal would come when the
/// *thread* that started the command ends, and would not reach PROGRAM if the command is killed.
class Lifelines
{
public:
    /// None: PROGRAM runs whoever dies.
    Lifelines() = default;
    /// Those of the calling process. Throws std::runtime_error if they can't be watched or the
    /// parent has died already.
    static Lifelines of_this_process();

    [[nodiscard]] std::array<int, 2> fds() const { return {parent_.get(), command_.get()}; }
    /// For poll(2), which ignores those that there are not.
    [[nodiscard]] std::array<pollfd, 2> polled() const;
    /// Whether one of the processes has ended.
    [[nodiscard]] bool cut() const;

private:
    Fd parent_;
    Fd command_;
};

/// Sends SIGKILL to all children of this process, or, from the init of a pid namespace, to all
/// processes in the namespace. Only of its own children can a process know that their pids are
/// still theirs. If this process is a subreaper, descendants become its children as their parents
/// die: call it again whenever a child has ended. Where /proc shows another pid namespace, only
/// `program` is known, a child, or 0 if it has ended.
void kill_children(pid_t program);

} // namespace clone2::cli
