// SPDX-License-Identifier: MIT
#include "target/tracee.hpp"

#include <sys/ptrace.h>
#include <sys/wait.h>

#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <utility>

namespace clone2
{

namespace
{

int wait_again(idtype_t type, pid_t tid, siginfo_t &info, int options)
{
    for (;;) {
        info = {};
        const int result = ::waitid(type, static_cast<id_t>(tid), &info, options);
        if (result == 0 || errno != EINTR) {
            return result;
        }
    }
}

/// waitid(2) for events of the calling thread's tracee, or of a child. Must not sleep: see Tracee.
int look_at(pid_t tid, siginfo_t &info, int options)
{
    return wait_again(P_PID, tid, info, options | WNOHANG | __WALL);
}

/// Sleeps until an event of the calling thread's tracee. Does not wait for a tid: see Tracee.
/// __WCLONE excludes children that are not tracees; tracees are always included (4.7).
int sleep_for_tracee(siginfo_t &info, int options)
{
    return wait_again(P_ALL, 0, info, options | static_cast<int>(__WNOTHREAD | __WCLONE));
}

bool has_ended(const siginfo_t &info)
{
    return info.si_code == CLD_EXITED || info.si_code == CLD_KILLED || info.si_code == CLD_DUMPED;
}

/// Newer than Debian 12's headers (linux/ptrace.h, 6.4).
constexpr auto get_syscall_user_dispatch = static_cast<__ptrace_request>(0x4211);
struct SyscallUserDispatch {
    std::uint64_t mode; ///< 0: off
    std::uint64_t selector;
    std::uint64_t offset; ///< with length: the range whose system calls always go to the kernel
    std::uint64_t length;
};
constexpr std::uint8_t selector_allow = 0;

/// A stop usually comes within 50 us of the answer: until then only yield the CPU.
constexpr unsigned looks_before_sleep = 100;
constexpr timespec sleep_between_looks{0, 100'000};

} // namespace

Result<Tracee> Tracee::seize(pid_t tid, Waiting waiting)
{
    // Asked before it is our tracee: so only a parent gets an answer.
    siginfo_t info{};
    const EndFor end = waiting == Waiting::shared && look_at(tid, info, WEXITED | WNOWAIT) == 0
                           ? EndFor::parent_here
                           : EndFor::tracer;
    if (::ptrace(PTRACE_SEIZE, tid, nullptr, nullptr) != 0) {
        const char *const operation = "ptrace(PTRACE_SEIZE)";
        return errno == EPERM ? Error(operation, tid, EPERM, Cause::not_traceable)
                              : last_error(operation, tid);
    }
    return Tracee(tid, waiting, end);
}

Tracee::Tracee(Tracee &&other) noexcept
    : tid_(other.tid_), waiting_(other.waiting_), end_for_(other.end_for_),
      state_(std::exchange(other.state_, State::gone)), signal_(other.signal_)
{
}

Tracee::~Tracee()
{
    // Only a stopped tracee can be detached.
    if (state_ == State::attached) {
        (void)interrupt();
    }
    if (state_ == State::interrupted) {
        (void)wait_for_stop();
    }
    if (state_ == State::stopped) {
        (void)detach();
    }
}

Result<void> Tracee::interrupt()
{
    if (::ptrace(PTRACE_INTERRUPT, tid_, nullptr, nullptr) != 0) {
        const Error error = last_error("ptrace(PTRACE_INTERRUPT)", tid_);
        state_ = State::interrupted; // dying: only its end remains to be taken
        return error;
    }
    state_ = State::interrupted;
    return {};
}

Result<void> Tracee::wait_for_stop()
{
    if (waiting_ == Waiting::alone ? !sleep_until_stop() : !look_for_stop()) {
        state_ = State::gone;
        return Error{"waitid()", tid_, ESRCH};
    }
    state_ = State::stopped;
    return {};
}

// In our own stop, and in a group-stop, PTRACE_EVENT_STOP is above the signal. Without it, a signal
// was being delivered, and is lost unless it is passed on.

bool Tracee::sleep_until_stop()
{
    siginfo_t info{};
    // WEXITED: a dead tracee stays a zombie, invisible to its parent, until its tracer has
    // collected its end. WNOWAIT: once a stop has been collected, the kernel drops its signal if
    // the tracer dies.
    if (sleep_for_tracee(info, WSTOPPED | WEXITED | WNOWAIT) != 0) {
        return false;
    }
    if (has_ended(info)) {
        take_end();
        return false;
    }
    signal_ = (info.si_status >> 8) == 0 ? info.si_status : 0;
    return true;
}

bool Tracee::look_for_stop()
{
    for (unsigned looks = 0;; ++looks) {
        siginfo_t info{};
        // WEXITED even if only a stop is wanted: without it a zombie counts as no child (ECHILD).
        if (look_at(tid_, info, WSTOPPED | WEXITED | WNOWAIT | __WNOTHREAD) != 0) {
            return false; // another thread has taken its end
        }
        if (info.si_pid == tid_ && has_ended(info)) {
            take_end();
            return false;
        }
        // Works only on stopped tracees, even if another thread has consumed the stop.
        if (::ptrace(PTRACE_GETSIGINFO, tid_, nullptr, &info) == 0) {
            signal_ = (info.si_code >> 8) == PTRACE_EVENT_STOP ? 0 : info.si_signo;
            // Take the stop at once, so that it reaches other waits as rarely as possible.
            (void)look_at(tid_, info, WSTOPPED | __WNOTHREAD);
            return true;
        }
        if (looks < looks_before_sleep) {
            ::sched_yield();
        } else if (!is_traced()) {
            return false; // if the tid is a child's, the wait does not show that
        } else {
            ::nanosleep(&sleep_between_looks, nullptr);
        }
    }
}

void Tracee::take_end() const
{
    if (end_for_ == EndFor::parent_here) {
        return;
    }
    siginfo_t info{};
    if (waiting_ == Waiting::alone) {
        while (sleep_for_tracee(info, WEXITED) == 0 && !has_ended(info)) {
        }
        return;
    }
    while (look_at(tid_, info, WEXITED | __WNOTHREAD) == 0 && !has_ended(info) && is_traced()) {
        ::nanosleep(&sleep_between_looks, nullptr);
    }
}

bool Tracee::is_traced() const
{
    // No effect on a tracee on its way to this stop, or in it: we detach from there. EIO if it is
    // dead.
    return ::ptrace(PTRACE_INTERRUPT, tid_, nullptr, nullptr) == 0 || errno != ESRCH;
}

Result<void> Tracee::detach()
{
    if (::ptrace(PTRACE_DETACH, tid_, nullptr, static_cast<long>(signal_)) != 0) {
        const Error error = last_error("ptrace(PTRACE_DETACH)", tid_);
        take_end(); // killed while stopped
        state_ = State::gone;
        return error;
    }
    state_ = State::gone;
    return {};
}

bool Tracee::dispatches_calls(RemotePtr begin, RemotePtr end) const
{
    SyscallUserDispatch config{};
    if (::ptrace(get_syscall_user_dispatch, tid_, reinterpret_cast<void *>(sizeof config),
                 &config) != 0 ||
        config.mode == 0) {
        return false;
    }
    // Compares like the kernel: the range may wrap around.
    if (begin.value() - config.offset < config.length &&
        end.value() - config.offset <= config.length) {
        return false;
    }
    if (config.selector == 0) {
        return true;
    }
    errno = 0; // the result may be any word
    const long word =
        ::ptrace(PTRACE_PEEKDATA, tid_, reinterpret_cast<void *>(config.selector), nullptr);
    return errno != 0 || static_cast<std::uint8_t>(word) != selector_allow;
}

Result<void> Tracee::poke_text(RemotePtr to, std::span<const std::byte> from)
{
    for (std::size_t done = 0; done < from.size(); done += sizeof(std::uint64_t)) {
        std::uint64_t word = 0;
        const std::size_t n = std::min(sizeof word, from.size() - done);
        if (n < sizeof word) {
            errno = 0; // the result may be any word
            word = static_cast<std::uint64_t>(::ptrace(
                PTRACE_PEEKDATA, tid_, reinterpret_cast<void *>((to + done).value()), nullptr));
            if (errno != 0) {
                return last_error("ptrace(PTRACE_PEEKDATA)", tid_);
            }
        }
        std::memcpy(&word, from.data() + done, n);
        if (::ptrace(PTRACE_POKEDATA, tid_, reinterpret_cast<void *>((to + done).value()),
                     reinterpret_cast<void *>(word)) != 0) {
            return last_error("ptrace(PTRACE_POKEDATA)", tid_);
        }
    }
    return {};
}

Result<void> Tracee::poke_changes(RemotePtr to, std::span<const std::byte> from,
                                  std::span<const std::byte> there)
{
    constexpr std::size_t word = sizeof(std::uint64_t);
    for (std::size_t done = 0; done < from.size(); done += word) {
        const std::size_t n = std::min(word, from.size() - done);
        const std::span<const std::byte> piece = from.subspan(done, n);
        if (std::memcmp(piece.data(), there.data() + done, n) == 0) {
            continue;
        }
        if (auto written = poke_text(to + done, piece); !written) {
            return written;
        }
    }
    return {};
}

} // namespace clone2
