// SPDX-License-Identifier: MIT
#pragma once

#include "../unit/support.hpp"

#include <clone2/supervise.h>

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

/// Shared by the tests of the API: targets, and a supervisor that remembers what was reported.

namespace clone2::test::api
{

/// Makes one clone2 call, as any program would; the child exits with `child_status`. Returns the
/// child's pid, or -errno.
long call_clone2(std::uint64_t flags, std::initializer_list<pid_t> pids = {}, int child_status = 0);
/// Makes `count` calls and waits for each child. Returns 0, or the first error.
int call_many(int count);
/// Waits for this child. Returns its exit status, or -1 if it did not exit.
int reap(long pid);

/// A child of the test that has installed the filter and then runs `body`.
class Target
{
public:
    explicit Target(const Child::Body &body, unsigned filter_flags = 0);

    [[nodiscard]] pid_t pid() const { return child_.pid(); }
    /// The listener (>= 0); the caller owns it.
    [[nodiscard]] int take_listener();
    [[nodiscard]] std::uint32_t listener_flags() const { return listener_flags_; }
    /// Whether it has ended. Does not wait, and ignores stops.
    [[nodiscard]] bool has_ended() const;
    /// Waits with a pidfd. Returns waitpid(2)'s status.
    int wait();
    /// It has been reaped elsewhere.
    void forget() { child_.forget(); }

private:
    Sockets sockets_;
    Child child_;
    Fd pidfd_;
    Fd listener_;
    std::uint32_t listener_flags_ = 0;
};

/// The contents of an event.
struct Told {
    void *cookie;
    pid_t tid;
    std::uint64_t flags;
    std::uint32_t nr_pids;
    std::vector<pid_t> pids;
    std::int64_t result;
    std::string reason;
    bool has_reason;
    std::int64_t latency_us;
    std::int64_t time_ns;
    std::string comm;
    int level;
    std::int64_t uid;
};

struct End {
    void *cookie;
    clone2_ended why;
};

/// A supervisor that is freed at the end, and what it reported. Set the hooks before it serves.
class Watched
{
public:
    explicit Watched(unsigned flags = 0, unsigned dispatch_limit = 0);
    Watched(const Watched &) = delete;
    Watched &operator=(const Watched &) = delete;
    ~Watched();

    [[nodiscard]] clone2_supervisor *get() const { return supervisor_; }
    /// clone2_supervisor_free().
    int free();
    void add(Target &target, void *cookie = nullptr);
    /// Calls poll() and dispatch() until `done`.
    void dispatch_until(const std::function<bool()> &done);
    /// ... until the target has ended. Returns its wait status.
    int dispatch_until_end_of(Target &target);

    [[nodiscard]] std::vector<Told> events() const;
    [[nodiscard]] std::vector<End> ends() const;

    std::function<void(const clone2_event &)> on_event;
    std::function<int(const clone2_request &, char *)> on_policy;
    std::function<void(const End &)> on_ended;

private:
    clone2_supervisor *supervisor_ = nullptr;
    mutable std::mutex mutex_;
    std::vector<Told> events_;
    std::vector<End> ends_;
};

} // namespace clone2::test::api
