// SPDX-License-Identifier: MIT
#include "cli/signals.hpp"

#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <system_error>

namespace clone2::cli
{

namespace
{

/// The sigqueue(3) value that marks our SIGCONT; a plain SIGCONT could be one for the group.
constexpr int wake_up = 0x434c4f4e;

} // namespace

sigset_t forwarded_signals()
{
    sigset_t set;
    sigfillset(&set);
    for (const int signal : {SIGKILL, SIGSTOP, SIGCHLD}) {
        sigdelset(&set, signal);
    }
    return set;
}

sigset_t only(int signal)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal);
    return set;
}

bool is_stop(int signal)
{
    return signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;
}

bool take_each_other_back(int one, int other)
{
    return (one == SIGCONT && is_stop(other)) || (other == SIGCONT && is_stop(one));
}

Fd open_signals(const sigset_t &set)
{
    Fd signals(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!signals) {
        throw std::system_error(errno, std::generic_category(), "signalfd()");
    }
    return signals;
}

std::optional<SentSignal> read_signal(const Fd &signals)
{
    signalfd_siginfo info{};
    if (::read(signals.get(), &info, sizeof info) != sizeof info) {
        return std::nullopt;
    }
    return SentSignal{static_cast<int>(info.ssi_signo), info.ssi_code, info.ssi_pid, info.ssi_uid,
                      info.ssi_ptr};
}

void hand_on(const SentSignal &signal, pid_t process)
{
    if (signal.code == SI_QUEUE) {
        siginfo_t info{};
        info.si_signo = signal.number;
        info.si_code = SI_QUEUE;
        info.si_pid = static_cast<pid_t>(signal.pid);
        info.si_uid = signal.uid;
        // Passed on unchanged, whether a number or a pointer.
        info.si_value.sival_ptr = reinterpret_cast<void *>(signal.value); // NOLINT(*-int-to-ptr)
        if (::syscall(SYS_rt_sigqueueinfo, process, signal.number, &info) == 0) {
            return;
        }
    }
    ::kill(process, signal.number); // also if the signal queue is full
}

void wait_for_the_group()
{
    // While the kernel signals a group, it holds a read lock on the process list. setpgid() takes
    // the write lock before it fails with ESRCH (pids are below 2^22).
    (void)::setpgid(INT_MAX, INT_MAX);
}

bool is_wake_up(const SentSignal &signal)
{
    return signal.number == SIGCONT && signal.code == SI_QUEUE &&
           static_cast<int>(signal.value) == wake_up;
}

void wake_reaper(pid_t reaper)
{
    sigval value{};
    value.sival_int = wake_up;
    (void)::sigqueue(reaper, SIGCONT, value);
}

} // namespace clone2::cli
