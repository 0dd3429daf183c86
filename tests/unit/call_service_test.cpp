// SPDX-License-Identifier: MIT
// Calls of real targets behind real listeners, from the first notification to the last.
#include "base/printable.hpp"
#include "call_bench.hpp"
#include "filter/seccomp_filter.h"
#include "image/identity.hpp"
#include "mark_of.hpp"
#include "real_call.hpp"
#include "target/memory.hpp"

#include <poll.h>
#include <sys/wait.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <fstream>
#include <linux/sched.h>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

using namespace clone2;
using namespace clone2::test;

namespace
{

/// Calls of a leader that has lost its tid: the thread that seemed to wait there is gone.
class StaleSource final : public NotificationSource
{
public:
    Result<Notification> receive() override { return Error{"fake", 0, ENOENT}; }
    [[nodiscard]] bool still_valid(std::uint64_t) const override { return !gone_; }
    Result<void> answer(std::uint64_t, std::int64_t) override
    {
        gone_ = true;
        return Error{"fake", 0, ENOENT};
    }
    [[nodiscard]] std::optional<bool> wait_killable() const override { return true; }
    void learn_wait_killable(bool) override {}

private:
    bool gone_ = false;
};

/// Without WAIT_KILLABLE_RECV, but as if with it, on a kernel that takes an answer to a call that
/// the stop has just interrupted.
class LateAnswers final : public Listener
{
public:
    explicit LateAnswers(Fd fd) : Listener(std::move(fd), true) {}
    Result<void> answer(std::uint64_t id, std::int64_t value) override
    {
        if (value != -ENOSYS) { // no stop comes before it
            return Listener::answer(id, value);
        }
        while (still_valid(id)) { // alarm() is the limit
            std::this_thread::yield();
        }
        return {};
    }
};

bool is_traced(pid_t pid)
{
    std::ifstream status("/proc/" + std::to_string(pid) + "/status");
    std::string word;
    while (status >> word && word != "TracerPid:") {
    }
    pid_t tracer = 0;
    return status >> tracer && tracer != 0;
}

/// Runs in a target: creates three children, one after the other. 0: all were right.
int three_children(CloneStruct &args)
{
    for (int status = 1; status <= 3; ++status) {
        if (!make_and_reap(args, status)) {
            return status;
        }
    }
    return 0;
}

/// Finds areas in a target by the signature at their beginning. An area may be adjacent to another
/// mapping, and memory inherited from this process may look like an area.
std::set<RemotePtr> find_areas(pid_t pid)
{
    constexpr std::uint64_t most = 16 << 20; // a sanitizer's mappings are larger
    const Signature ours = make_signature(*procfs(), native_architecture());
    std::istringstream maps(procfs()->read_if_alive(pid, "maps").value_or(""));
    std::set<RemotePtr> found;
    for (std::string line; std::getline(maps, line);) {
        unsigned long begin = 0;
        unsigned long end = 0;
        if (std::sscanf(line.c_str(), "%lx-%lx rw-p 00000000 00:00 0", &begin, &end) != 2 ||
            end - begin > most) {
            continue;
        }
        for (RemotePtr at{begin}; at < RemotePtr{end}; at = at + Pages::page_size()) {
            Signature there{};
            if (read_exactly(pid, at, bytes_of(there)) && there == ours) {
                found.insert(at);
            }
        }
    }
    return found;
}

/// From now on this process can't map memory for an area.
bool refuse_area()
{
    std::array<sock_filter, 6> steps{};
    sock_fprog program{0, steps.data()};
    filter_load(&program, nr);
    filter_if_equal(&program, SYS_mmap, 0, 3);
    filter_load(&program, args[1]);
    filter_if_equal(&program, static_cast<std::uint32_t>(native_architecture().area_size()), 0, 1);
    filter_answer(&program, SECCOMP_RET_ERRNO | ENOMEM);
    filter_answer(&program, SECCOMP_RET_ALLOW);
    filter_options how{0, 0, true, 0};
    return filter_install(&program, &how) == 0;
}

} // namespace

TEST_CASE("CallHandler: a real caller behind a real listener")
{
    Sockets sockets = make_sockets();
    Grandchild target = target_under_filter(sockets, by(nr), [&] {
        CloneStruct args = args_of(sigchld, 0);
        for (int i = 0; i < 5; ++i) {
            if (!make_and_reap(args, 40 + i)) {
                return 1;
            }
        }
        args.flags = sigchld | 1ULL << 40U;
        return syscall(nr, &args, nullptr) == -1 && errno == EINVAL ? 0 : 2;
    });
    Bench bench;
    serve_all(bench, sockets);
    const auto records = bench.records.all();
    if (may_not_trace(records)) {
        return;
    }
    CHECK(WEXITSTATUS(target.status()) == 0);
    REQUIRE(records.size() == 6);
    for (std::size_t i = 0; i < 5; ++i) {
        CHECK(records[i].result > 0);
        CHECK(records[i].flags == sigchld);
        CHECK(records[i].why.empty());
        CHECK(records[i].latency_us >= 0);
        CHECK(records[i].time_ns > 0);
    }
    CHECK(records[5].result == -EINVAL);
}

TEST_CASE("CallHandler: the first call shows how a listener was installed")
{
    for (const bool prefer_wait_killable : {true, false}) {
        Sockets sockets = make_sockets();
        Grandchild target = target_under_filter(sockets, by(nr), prefer_wait_killable, [&] {
            CloneStruct args = args_of(sigchld, 0);
            for (int i = 0; i < 50; ++i) {
                if (!make_and_reap(args, 3)) {
                    return 1;
                }
            }
            return 0;
        });
        Bench bench;
        const std::optional<bool> learnt = serve_all(bench, sockets, false);
        const auto records = bench.records.all();
        if (may_not_trace(records)) {
            return;
        }
        CHECK(WEXITSTATUS(target.status()) == 0);
        CHECK(records.size() == 50);
        CHECK(learnt.has_value());
        // Before 5.19 it is always false.
        if (!prefer_wait_killable) {
            CHECK(learnt == false);
        }
    }
}

TEST_CASE("CallHandler: a call that was interrupted before its answer came is not restarted")
{
    Sockets sockets = make_sockets();
    Grandchild target = target_under_filter(sockets, by(nr), false, [&] {
        CloneStruct args = args_of(sigchld, 0);
        return three_children(args);
    });
    Bench bench;
    sockets.theirs.reset();
    LateAnswers listener(receive_listener(sockets.ours.get()).fd);
    serve_until_the_end(bench, listener);
    if (may_not_trace(bench.records.all())) {
        return;
    }
    CHECK(target.status() == 0);
}

TEST_CASE("CallHandler: calls are passed to the kernel under another number, arguments and all")
{
    Sockets sockets = make_sockets();
    CloneStruct args = args_of(sigchld, 1);
    const pid_t wanted = 77;
    Grandchild target = target_under_filter(sockets, by(nr), [&] {
        // write(2), which every kernel has, stands in for clone2.
        const Pipe pipe = make_pipe();
        const auto from = reinterpret_cast<long>("0123456789");
        for (int i = 0; i < 50; ++i) {
            std::array<char, 16> seen{};
            if (syscall(nr, pipe.write.get(), from + 3, 5L) != 5 ||
                read(pipe.read.get(), seen.data(), seen.size()) != 5 ||
                std::memcmp(seen.data(), "34567", 5) != 0) {
                return 1;
            }
        }
        if (syscall(nr, -1, from, 5L) != -1 || errno != EBADF) {
            return 2;
        }
        return syscall(nr, &args, &wanted) == -1 && errno == EBADF ? 0 : 3;
    });
    Bench bench(call_by(SYS_write));
    serve_all(bench, sockets);
    const auto records = bench.records.all();
    if (may_not_trace(records)) {
        return;
    }
    CHECK(WEXITSTATUS(target.status()) == 0);
    REQUIRE(records.size() == 52);
    for (const CallRecord &record : records) {
        CHECK(record.passed_to_kernel);
    }
    // The log still shows what was asked for.
    CHECK(records.back().flags == sigchld);
    CHECK(records.back().pids == std::vector<pid_t>{77});
}

TEST_CASE("CallHandler: a successor can take over at any point, with the existing code and area")
{
    // A first call has three notifications (call, boot report, report); each later call has two.
    constexpr int notifications = 7;
    for (int taken_over = 0; taken_over <= notifications; ++taken_over) {
        CAPTURE(taken_over);
        Sockets sockets = make_sockets();
        Pipe done = make_pipe();
        CloneStruct args = args_of(sigchld, 0);
        Grandchild target = target_under_filter(sockets, by(nr), [&] {
            const int result = three_children(args);
            put_byte(done.write);
            for (;;) {
                pause();
            }
            return result;
        });
        Listener listener = take_listener(sockets);
        Bench first;
        Bench second;
        const std::size_t inherited = find_areas(target.pid()).size();
        for (int i = 0; i < notifications; ++i) {
            const auto notification = listener.receive();
            REQUIRE(notification.has_value());
            serve(i < taken_over ? first : second, listener, *notification);
            const auto records = second.records.all();
            if (may_not_trace(records)) {
                return;
            }
        }
        CHECK(get_byte(done.read) == 'x');
        const std::set<RemotePtr> areas = find_areas(target.pid());
        std::string where; // for the message
        for (const RemotePtr area : areas) {
            where += " " + hex(area.value());
        }
        CAPTURE(where);
        CAPTURE(procfs()->read_if_alive(target.pid(), "maps").value_or(""));
        CHECK(areas.size() == inherited + 1);
        std::vector<CallRecord> records = first.records.all();
        for (const CallRecord &record : second.records.all()) {
            records.push_back(record);
        }
        CHECK(records.size() == 3);
        for (const CallRecord &record : records) {
            CHECK(record.result > 0);
        }
    }
}

TEST_CASE(
    "CallReader: a report from another supervisor's code is recognised, and any answer ends it")
{
    Sockets sockets = make_sockets();
    Pipe done = make_pipe();
    CloneStruct args = args_of(sigchld, 0);
    CloneStruct wrong = args_of(sigchld, 1);
    const pid_t busy = 1; // in use, or invisible
    Grandchild target = target_under_filter(sockets, by(nr), [&] {
        // A success stays one; a failure becomes ENOSYS.
        return three_children(args) == 0 && syscall(nr, &wrong, &busy) == -1 && errno == ENOSYS ? 0
                                                                                                : 1;
    });
    Listener listener = take_listener(sockets);
    Bench bench;
    Images images(procfs(), {3, 4});
    CallReader other(procfs(), images);
    int foreign = 0;
    while (listener.pending() != Listener::Pending::hung_up) {
        pollfd entry{listener.fd(), POLLIN, 0};
        REQUIRE(poll(&entry, 1, -1) == 1);
        const auto notification = listener.receive();
        if (!notification) {
            continue;
        }
        const auto seen = other.read(*notification, clone2_abi);
        REQUIRE(seen.has_value());
        const bool from_code = CallReader::is_from_code(*notification);
        CHECK(std::holds_alternative<ForeignReport>(*seen) == from_code);
        // The boot report is for the supervisor that booted the target.
        if (mark_of(*notification).is_report()) {
            ++foreign;
            CHECK(listener.answer(notification->id, -ENOSYS).has_value());
        } else {
            serve(bench, listener, *notification);
        }
        const auto records = bench.records.all();
        if (foreign == 0 && may_not_trace(records)) {
            return;
        }
    }
    CHECK(foreign == 4);
    CHECK(WEXITSTATUS(target.status()) == 0);
}

TEST_CASE(
    "CallHandler: a call of a new program, whose tid a thread of ours still takes for that of "
    "a thread discarded by an exec")
{
    Sockets sockets = make_sockets();
    Child target([&] {
        CloneStruct args = args_of(sigchld, 0);
        return install_and_send(sockets.theirs.get(), nr) && make_and_reap(args, 7) ? 0 : 1;
    });
    Listener listener = take_listener(sockets);
    const auto call = listener.receive();
    REQUIRE(call.has_value());
    Bench bench;
    StaleSource stale;
    Notification old = *call;
    old.id = ~call->id;
    // It can't detach before the target stops, and the target waits for the answer to its call.
    std::thread other([&] { serve(bench, stale, old); });
    while (!is_traced(target.pid())) {
        std::this_thread::yield();
    }
    serve(bench, listener, *call);
    other.join();
    while (listener.pending() != Listener::Pending::hung_up) {
        pollfd entry{listener.fd(), POLLIN, 0};
        REQUIRE(poll(&entry, 1, -1) == 1);
        if (const auto notification = listener.receive()) {
            serve(bench, listener, *notification);
        }
    }
    CHECK(target.wait() == 0);
}

TEST_CASE("CallHandler: calls that fail use up no slots")
{
    Sockets sockets = make_sockets();
    const pid_t busy = 1; // in use
    CloneStruct args = args_of(CLONE_VM | sigchld, 1);
    std::vector<std::byte> stack(std::size_t{64} << 10);
    args.child_stack = remote(stack.data()).value() + stack.size();
    // In the parent's memory, so that a slot has two users.
    const int calls = 2 * static_cast<int>(native_architecture().slot_count());
    Grandchild target = target_under_filter(sockets, by(nr), [&] {
        for (int i = 0; i < calls; ++i) {
            if (syscall(nr, &args, &busy) != -1 || (errno != EBUSY && errno != EPERM)) {
                return 1;
            }
        }
        return 0;
    });
    Bench bench;
    serve_all(bench, sockets);
    CHECK(WEXITSTATUS(target.status()) == 0);
    CHECK(bench.records.all().size() == calls);
}

TEST_CASE("CallHandler: threads whose first calls are refused keep no boot slot")
{
    Sockets sockets = make_sockets();
    constexpr int threads = 12; // more than there are boot slots
    CloneStruct args = args_of(CLONE_VM | CLONE_SIGHAND | CLONE_THREAD, 0);
    std::vector<std::byte> stack(std::size_t{64} << 10);
    args.child_stack = remote(stack.data()).value() + stack.size();
    Grandchild target([&] {
        sockets.ours.reset();
        if (!refuse_area() || !install_and_send(sockets.theirs.get(), nr)) {
            return 98;
        }
        std::atomic<int> turn{0};
        std::atomic<int> wrong{0};
        for (int i = 0; i < threads; ++i) {
            std::thread([&, i] {
                while (turn != i) {
                    std::this_thread::yield();
                }
                // A thread can't be created without memory for the area.
                if (syscall(nr, &args, nullptr) != -1 || (errno != ENOMEM && errno != EPERM)) {
                    ++wrong;
                }
                ++turn;
                for (;;) {
                    pause();
                }
            }).detach();
        }
        while (turn != threads) {
            std::this_thread::yield();
        }
        _exit(wrong == 0 ? 0 : 1);
        return 0;
    });
    Bench bench;
    serve_all(bench, sockets);
    CHECK(WEXITSTATUS(target.status()) == 0);
    CHECK(bench.records.all().size() == threads);
}
