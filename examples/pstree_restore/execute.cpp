// SPDX-License-Identifier: MIT
#include "execute.hpp"
#include "proc_files.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <system_error>

namespace pstree
{

namespace
{

constexpr int look_again = 200; // milliseconds until a process that doesn't answer is looked after

std::string meaning_for_clone2(int error)
{
    switch (error) {
    case ENOSYS:
        return " (nothing here provides clone2: run me under clone2-supervise --pidns)";
    case EPERM:
        return " (choosing pids takes CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE over the pid "
               "namespace: run me under clone2-supervise --pidns)";
    case EBUSY:
        return " (a pid that was asked for is in use)";
    case EINVAL:
        return " (a pid is not below pid_max, or there are more pids than nested namespaces)";
    case EAGAIN:
        return " (a limit on processes: ulimit -u, pids.max of the cgroup, or pid_max)";
    case ENOMEM:
        return " (out of memory, or the pid namespace has lost its pid 1)";
    default:
        return "";
    }
}

bool interrupted()
{
    sigset_t pending;
    sigpending(&pending);
    return sigismember(&pending, SIGINT) == 1 || sigismember(&pending, SIGTERM) == 1 ||
           sigismember(&pending, SIGHUP) == 1;
}

} // namespace

Restoration::Restoration(const Plan &plan, long number)
    : plan_(plan), slots_(plan.nodes.size()), self_(plan, slots_, number),
      alive_(plan.nodes.size(), false)
{
    // All orphans come here: adopted ones that belong here, and everybody at the end.
    if (prctl(PR_SET_CHILD_SUBREAPER, 1L) < 0)
        throw std::system_error(errno, std::generic_category(), "prctl(PR_SET_CHILD_SUBREAPER)");
    (void)std::signal(SIGCHLD,
                      SIG_DFL); // ignored, as it may be inherited, children reap themselves
}

Restoration::~Restoration()
{
    end_all();
}

std::optional<std::string> Restoration::run()
{
    for (std::size_t i = 0; i < plan_.steps.size(); i++) {
        if (interrupted())
            return "interrupted by a signal";
        if (auto fault = carry_out(static_cast<int>(i)))
            return fault;
    }
    for (std::size_t i = 0; i < plan_.nodes.size(); i++) {
        if (!alive_[i])
            continue;
        const Outcome outcome = order(static_cast<int>(i), settle_down);
        if (outcome.stage != Stage::none)
            return name(static_cast<int>(i)) + " died unexpectedly";
    }
    return std::nullopt;
}

std::optional<std::string> Restoration::carry_out(int index)
{
    const Step &step = plan_.steps[static_cast<std::size_t>(index)];
    const auto node = static_cast<std::size_t>(step.node);
    if (step.kind == Step::Kind::finish)
        tell(step.node, exit_now);
    if (step.kind == Step::Kind::birth)
        alive_[node] = true; // if it fails halfway, end_all() must know of it
    Outcome outcome;
    if (step.actor != restorer) {
        outcome = order(step.actor, index);
    } else {
        outcome = self_.perform(step);
        if (outcome.stage == Stage::newborn)
            self_.live(step.node);
    }
    if (outcome.stage != Stage::none) {
        if (step.kind == Step::Kind::birth &&
            (outcome.stage == Stage::clone2 || outcome.stage == Stage::wrong_pid))
            alive_[node] = false; // there is none, the number may be somebody else's
        return failure(step, outcome);
    }
    if (step.kind == Step::Kind::finish)
        alive_[node] = false;
    if (step.kind == Step::Kind::birth && !wait_for(step.node))
        return name(step.node) + " died as soon as it was created";
    return std::nullopt;
}

Outcome Restoration::order(int node, int step)
{
    tell(node, step);
    if (!wait_for(node))
        return {Stage::died, 0, node};
    const Slot &slot = slots_[node];
    return {slot.stage, slot.error, slot.detail};
}

void Restoration::tell(int node, int step)
{
    Slot &slot = slots_[node];
    slot.step = step;
    slot.stage = Stage::none;
    slot.turn.store(Slot::commanded);
    futex_wake(slot.turn);
}

/// Until the process is ready for a command; false when it has died.
bool Restoration::wait_for(int node)
{
    Slot &slot = slots_[node];
    for (;;) {
        const std::uint32_t turn = slot.turn.load();
        if (turn == Slot::waiting)
            return true;
        if (futex_wait(slot.turn, turn, look_again))
            continue;
        const int pid = plan_.nodes[static_cast<std::size_t>(node)].pids[0];
        const auto stat = read_stat(std::to_string(pid));
        if (!stat || stat->state == 'Z' || stat->state == 'X')
            return slot.turn.load() == Slot::waiting;
    }
}

std::string Restoration::name(int node) const
{
    if (node == restorer)
        return "the restorer";
    const Node &it = plan_.nodes[static_cast<std::size_t>(node)];
    return "process " + to_text(it.pids) + " (" + escape_name(it.name) + ")";
}

std::string Restoration::failure(const Step &step, const Outcome &outcome) const
{
    const std::string reason = std::string(": ") + std::strerror(outcome.error);
    const std::string by = " by " + name(step.actor);
    switch (outcome.stage) {
    case Stage::died:
        return name(outcome.detail) + " died unexpectedly";
    case Stage::clone2:
        return "clone2 of " + name(step.node) + by + reason + meaning_for_clone2(outcome.error);
    case Stage::wrong_pid:
        return "clone2 for " + name(step.node) + by + ": made pid " +
               std::to_string(outcome.detail) + " instead";
    case Stage::enter_ns:
        return "setns to the pid namespace of " + name(step.node) + by + reason;
    case Stage::setsid:
        return "setsid" + by + reason;
    case Stage::setpgid:
        return "setpgid(" + std::to_string(step.pid) + ", " + std::to_string(step.pgid) + ") for " +
               name(step.node) + by + reason;
    case Stage::reap:
        return "waitpid for " + name(step.node) + by + reason;
    case Stage::subreaper:
        return "prctl(PR_SET_CHILD_SUBREAPER)" + by + reason;
    case Stage::stacks:
        return "mmap of the threads' stacks" + by + reason;
    case Stage::thread: {
        const Node &node = plan_.nodes[static_cast<std::size_t>(step.node)];
        const Thread &thread = node.threads[static_cast<std::size_t>(outcome.detail)];
        return "clone2 of thread " + to_text(thread.tids) + " (" + escape_name(thread.name) + ")" +
               by + reason + meaning_for_clone2(outcome.error);
    }
    default:
        return "unexpected answer" + by + reason;
    }
}

void Restoration::end_all()
{
    // Nobody in here reaps, so no number is free for others to take before its process was killed
    // - but for a namespace's pid 1, with which all in it vanish: those come last.
    const auto end = [&](std::size_t i) {
        if (alive_[i])
            kill(plan_.nodes[i].pids[0], SIGKILL);
    };
    for (std::size_t i = 0; i < plan_.nodes.size(); i++)
        if (plan_.nodes[i].ns == 0 || plan_.nodes[i].pids.back() != 1)
            end(i);
    for (std::size_t ns = plan_.ns_inits.size(); ns-- > 1;) // inner ones have higher numbers
        end(static_cast<std::size_t>(plan_.ns_inits[ns]));
    while (waitpid(-1, nullptr, __WALL) > 0 || errno == EINTR)
        continue;
}

} // namespace pstree
