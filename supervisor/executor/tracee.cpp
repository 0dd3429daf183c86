// SPDX-License-Identifier: MIT
#include "executor/tracee.hpp"

#include <sys/ptrace.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

namespace clone2
{

namespace
{

/// Waits for a change of the tracee, a stop or its end, and takes it.
int wait_for_change(pid_t tid, siginfo_t &info)
{
    for (;;) {
        info = {};
        // WEXITED: a dead tracee stays a zombie that its parent can't see until its tracer has
        // taken notice.
        const int result = ::waitid(P_PID, static_cast<id_t>(tid), &info,
                                    WSTOPPED | WEXITED | __WALL | __WNOTHREAD);
        if (result == 0 || errno != EINTR) {
            return result;
        }
    }
}

} // namespace

Result<Tracee> Tracee::seize(pid_t tid)
{
    if (::ptrace(PTRACE_SEIZE, tid, nullptr, nullptr) != 0) {
        return last_error("ptrace(PTRACE_SEIZE)", tid);
    }
    return Tracee(tid);
}

Tracee::Tracee(Tracee &&other) noexcept
    : tid_(other.tid_), state_(std::exchange(other.state_, State::gone)), signal_(other.signal_)
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
        state_ = State::interrupted; // dying: what remains is to take its end
        return error;
    }
    state_ = State::interrupted;
    return {};
}

Result<void> Tracee::wait_for_stop()
{
    siginfo_t info{};
    if (wait_for_change(tid_, info) != 0 || info.si_code == CLD_EXITED ||
        info.si_code == CLD_KILLED || info.si_code == CLD_DUMPED) {
        state_ = State::gone;
        return Error{"waitid()", tid_, ESRCH};
    }
    state_ = State::stopped;
    // Our own stop, and a group-stop, have PTRACE_EVENT_STOP above the signal. Without it a
    // signal was being delivered, and is lost unless it is handed on.
    signal_ = (info.si_status >> 8) == 0 ? info.si_status : 0;
    return {};
}

Result<void> Tracee::detach()
{
    if (::ptrace(PTRACE_DETACH, tid_, nullptr, static_cast<long>(signal_)) != 0) {
        const Error error = last_error("ptrace(PTRACE_DETACH)", tid_);
        siginfo_t info{};
        (void)wait_for_change(tid_, info); // killed while stopped
        state_ = State::gone;
        return error;
    }
    state_ = State::gone;
    return {};
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

} // namespace clone2
