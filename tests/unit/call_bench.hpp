// SPDX-License-Identifier: MIT
// A CallHandler with everything it needs, and calls for it: fake ones, or from a real listener.
#pragma once

#include "abi/clone_struct.hpp"
#include "calls/call_handler.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <poll.h>
#include <sys/wait.h>

#include <cerrno>
#include <linux/audit.h>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace clone2::test
{

inline constexpr int nr = 387;
inline constexpr std::uint64_t sigchld = 17;

struct Answer {
    std::uint64_t id;
    std::int64_t value;
};

/// A kernel that only accepts answers.
class FakeSource final : public NotificationSource
{
public:
    explicit FakeSource(bool alive) : alive_(alive) {}
    /// Among the answers.
    static constexpr std::int64_t left_to_kernel = -10000;

    Result<Notification> receive() override { return Error{"fake", 0, ENOENT}; }
    [[nodiscard]] bool still_valid(std::uint64_t id) const override
    {
        return alive_ && !answered(id);
    }
    Result<void> answer(std::uint64_t id, std::int64_t value) override
    {
        if (!still_valid(id)) {
            ++refused;
            return Error{"fake", 0, ENOENT};
        }
        answers.push_back({id, value});
        return {};
    }
    Result<void> leave_to_kernel(std::uint64_t id) override { return answer(id, left_to_kernel); }
    [[nodiscard]] std::optional<bool> wait_killable() const override { return true; }
    void learn_wait_killable(bool) override {}

    std::vector<Answer> answers;
    int refused = 0;

private:
    [[nodiscard]] bool answered(std::uint64_t id) const
    {
        for (const Answer &answer : answers) {
            if (answer.id == id) {
                return true;
            }
        }
        return false;
    }
    bool alive_;
};

class Records final : public AuditSink
{
public:
    void record(const CallRecord &record) override
    {
        const std::lock_guard lock(mutex_);
        records_.push_back(record);
    }
    [[nodiscard]] bool wants_successes() const override { return true; }
    [[nodiscard]] bool wants_details() const override { return true; }
    [[nodiscard]] std::vector<CallRecord> all() const
    {
        const std::lock_guard lock(mutex_);
        return records_;
    }

private:
    mutable std::mutex mutex_;
    std::vector<CallRecord> records_;
};

struct Bench {
    explicit Bench(std::optional<TrappedCall> kernel_call = std::nullopt,
                   CallTable calls = CallTable())
        : owner(records, std::move(calls)), handler(procfs(), diagnostics, kernel_call)
    {
    }
    Records records;
    ListenerOwner owner;
    Diagnostics diagnostics{Verbosity::quiet};
    CallHandler handler;
};

inline void serve(Bench &bench, NotificationSource &source, const Notification &notification)
{
    while (bench.handler.serve({source, notification}, bench.owner) == CallHandler::Served::later) {
        std::this_thread::yield();
    }
}

inline Notification call_of(pid_t tid, std::uint64_t args, std::uint64_t pids)
{
    Notification notification;
    notification.id = 0x1234567890;
    notification.tid = tid;
    notification.arch = AUDIT_ARCH_X86_64;
    notification.nr = nr;
    notification.instruction_pointer = 0x401000;
    notification.args = {args, pids, 0, 0, 0, 0};
    return notification;
}

inline CloneStruct args_of(std::uint64_t flags, std::uint32_t nr_pids)
{
    CloneStruct args{};
    args.flags = flags;
    args.nr_pids = nr_pids;
    args.reserved1 = 0xdeadbeef; // ignored
    args.reserved2 = ~std::uint64_t{0};
    return args;
}

/// Runs in a target: creates a child that exits with `exit_status`, and reaps it. False: that
/// failed.
inline bool make_and_reap(CloneStruct &args, int exit_status)
{
    const long pid = syscall(nr, &args, nullptr);
    if (pid == 0) {
        _exit(exit_status);
    }
    int status = 0;
    return pid >= 0 && waitpid(static_cast<pid_t>(pid), &status, 0) == pid &&
           WEXITSTATUS(status) == exit_status;
}

/// Serves it until its last target is gone.
inline void serve_until_the_end(Bench &bench, Listener &listener)
{
    while (listener.pending() != Listener::Pending::hung_up) {
        pollfd entry{listener.fd(), POLLIN, 0};
        REQUIRE(poll(&entry, 1, -1) == 1);
        if (const auto notification = listener.receive()) {
            serve(bench, listener, *notification);
        }
    }
}

/// Serves the target that sends its listener through `sockets`, until it has ended. `told`: whether
/// the Listener is told how the filter was installed. Returns what it knows at the end.
inline std::optional<bool> serve_all(Bench &bench, Sockets &sockets, bool told = true)
{
    sockets.theirs.reset();
    ReceivedListener received = receive_listener(sockets.ours.get());
    REQUIRE(received.fd);
    Listener listener(std::move(received.fd),
                      told ? std::optional(received.wait_killable) : std::nullopt);
    serve_until_the_end(bench, listener);
    return listener.wait_killable();
}

} // namespace clone2::test
