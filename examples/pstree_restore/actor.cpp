// SPDX-License-Identifier: MIT
// Also runs in the restored processes: copies of the restorer, single-threaded until their last
// step, which continue from the place of their birth.

#include "actor.hpp"
#include "clone2_call.hpp"
#include "descriptor.hpp"

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <fstream>
#include <linux/futex.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

namespace pstree
{

namespace
{

constexpr int abandoned_after = 60000; // milliseconds without a command: the restorer was killed

[[noreturn]] void fail(const std::string &call, int error)
{
    const char *hint = "";
    if (error == ENOSYS) {
        hint = " (nothing here provides clone2: run this under clone2-supervise --pidns)";
    } else if (error == EPERM) {
        hint = " (choosing pids needs CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE over the pid "
               "namespace: run this under clone2-supervise --pidns)";
    } else if (error == EBUSY) {
        hint = " (a pid that was asked for is in use)";
    } else if (error == EINVAL) {
        hint = " (a pid is not below pid_max?)";
    }
    throw Failure(call + ": " + std::strerror(error) + hint);
}

void check(bool good, const char *call)
{
    if (!good) {
        throw Failure(std::string(call) + ": " + std::strerror(errno));
    }
}

void enter_pid_namespace(const std::string &pid)
{
    const Descriptor file(open(("/proc/" + pid + "/ns/pid").c_str(), O_RDONLY | O_CLOEXEC));
    check(file.get() >= 0 && setns(file.get(), CLONE_NEWPID) == 0, "setns to a pid namespace");
}

} // namespace

void Slot::set_turn(std::uint32_t value)
{
    turn.store(value);
    syscall(SYS_futex, &turn, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

bool Slot::wait_while(std::uint32_t value, int milliseconds)
{
    const timespec limit = {milliseconds / 1000, (milliseconds % 1000) * 1000000L};
    return syscall(SYS_futex, &turn, FUTEX_WAIT, value, &limit, nullptr, 0) == 0 ||
           errno != ETIMEDOUT;
}

bool Actor::perform(const Step &step)
{
    const Process &node = plan_.nodes[step.node];
    switch (step.kind) {
    case Step::Kind::birth:
        return give_birth(step);
    case Step::Kind::setsid:
        check(setsid() >= 0, "setsid");
        break;
    case Step::Kind::setpgid:
        check(setpgid(step.pid, step.pgid) == 0, "setpgid");
        break;
    case Step::Kind::subreaper:
        check(prctl(PR_SET_CHILD_SUBREAPER, step.on ? 1L : 0L) == 0, "PR_SET_CHILD_SUBREAPER");
        break;
    case Step::Kind::finish:
        if (step.node == self_) {
            _exit(0);
        }
        check(waitpid(node.pids[level()], nullptr, __WALL) > 0, "waitpid");
        break;
    case Step::Kind::threads:
        start_threads(node);
        break;
    case Step::Kind::settle:
        check(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0, "PR_SET_PDEATHSIG");
        settled_ = true;
        break;
    }
    return false;
}

bool Actor::give_birth(const Step &step)
{
    const Process &node = plan_.nodes[step.node];
    Pids pids = node.pids;
    clone_struct args = {};
    args.flags = SIGCHLD;
    args.nr_pids = static_cast<std::uint32_t>(pids.size());
    if (step.new_ns) {
        args.flags |= CLONE_NEWPID;
        args.nr_pids--; // the new namespace's own pid is 1 and not in the list
    }
    if (step.enter != restorer) {
        enter_pid_namespace(std::to_string(plan_.nodes[step.enter].id()));
    }
    const long pid = clone2(number_, &args, pids.data());
    if (pid == 0) {
        return true;
    }
    const int error = errno;
    if (step.enter != restorer) {
        enter_pid_namespace("self");
    }
    if (pid < 0) {
        fail("clone2 of " + who(node), error);
    }
    if (pid != pids[level()]) {
        kill(static_cast<pid_t>(pid), SIGKILL);
        waitpid(static_cast<pid_t>(pid), nullptr, __WALL);
        slots_[step.node].turn.store(Slot::unborn);
        throw Failure("clone2 of " + who(node) + " made pid " + std::to_string(pid) + " instead");
    }
    return false;
}

void Actor::start_threads(const Process &node) const
{
    for (const Thread &thread : node.threads) {
        Pids tids = thread.tids;
        clone_struct args = {};
        args.flags =
            CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
        args.nr_pids = static_cast<std::uint32_t>(tids.size());
        const long tid = clone2_sleeping_thread(number_, &args, tids.data());
        const std::string call = "clone2 of thread " + to_text(tids) + " of " + who(node);
        if (tid < 0) {
            fail(call, static_cast<int>(-tid));
        }
        if (tid != tids.back()) {
            throw Failure(call + " made thread " + std::to_string(tid) + " instead");
        }
        // Writes the NUL, too, because a write of nothing would not clear the name.
        std::ofstream comm("/proc/self/task/" + std::to_string(tids[0]) + "/comm");
        comm << thread.name << '\0' << std::flush;
        check(comm.good(), "naming a thread");
    }
}

void Actor::introduce(std::size_t node)
{
    self_ = node;
    prctl(PR_SET_NAME, plan_.nodes[node].name.c_str());
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
}

void Actor::live(std::size_t node)
{
    introduce(node);
    for (;;) {
        Slot &slot = slots_[self_];
        slot.set_turn(Slot::waiting);
        while (slot.turn.load() == Slot::waiting) {
            if (!slot.wait_while(Slot::waiting, abandoned_after) && !settled_ &&
                slot.turn.load() == Slot::waiting) {
                _exit(1);
            }
        }
        try {
            const Step &step = plan_.steps[slot.step];
            if (perform(step)) { // a newborn; not a nested call, because there may be many
                                 // generations
                introduce(step.node);
            }
        } catch (const std::exception &error) {
            (void)std::snprintf(slot.error, sizeof slot.error, "%s", error.what());
        }
    }
}

} // namespace pstree
