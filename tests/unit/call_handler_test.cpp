// SPDX-License-Identifier: MIT
#include "abi/clone_struct.hpp"
#include "calls/call_handler.hpp"
#include "image/identity.hpp"
#include "listener/seccomp_filter.h"
#include "mark_of.hpp"
#include "support.hpp"
#include "target/memory.hpp"

#include <doctest/doctest.h>

#include <poll.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <fstream>
#include <linux/audit.h>
#include <linux/sched.h>
#include <mutex>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

using namespace clone2;
using namespace clone2::test;

namespace
{

constexpr int nr = 387;
constexpr std::uint64_t sigchld = 17;

struct Answer {
    std::uint64_t id;
    std::int64_t value;
};

/// A kernel that only accepts answers.
class FakeSource final : public NotificationSource
{
public:
    explicit FakeSource(bool alive) : alive_(alive) {}

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
    explicit Bench(std::optional<int> kernel_nr = std::nullopt)
        : owner(records), handler(procfs(), diagnostics, kernel_nr)
    {
    }
    Records records;
    ListenerOwner owner;
    Diagnostics diagnostics{Verbosity::quiet};
    CallHandler handler;
};

void serve(Bench &bench, NotificationSource &source, const Notification &notification)
{
    while (bench.handler.serve({source, notification}, bench.owner) == CallHandler::Served::later) {
        std::this_thread::yield();
    }
}

Notification call_of(pid_t tid, std::uint64_t args, std::uint64_t pids)
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

/// The answer to a call, whoever gives it: handler or kernel.
std::int64_t answer_to(Bench &bench, const Notification &notification)
{
    FakeSource source(true);
    serve(bench, source, notification);
    REQUIRE(source.answers.size() == 1);
    return source.answers[0].value;
}

/// The answer that a sleeping copy of this process gets for these arguments.
struct Refused {
    Refused(const CloneStruct &args, const pid_t *pids) : Refused(remote(&args), pids) {}
    Refused(RemotePtr args, const pid_t *pids)
    {
        const auto sleeper = make_sleeper();
        FakeSource source(true);
        serve(bench, source, call_of(sleeper->pid(), args.value(), remote(pids).value()));
        REQUIRE(source.answers.size() == 1); // exactly once
        CHECK(source.refused == 0);
        value = source.answers[0].value;
        const auto records = bench.records.all();
        REQUIRE(records.size() == 1);
        record = records[0];
        CHECK(record.tid == sleeper->pid());
        CHECK(record.result == value);
        CHECK_FALSE(record.why.empty());
        CHECK(record.comm == procfs()->comm(getpid()));
        CHECK(record.level == bench.handler.namespaces().own_level());
    }

    Bench bench;
    std::int64_t value = 0;
    CallRecord record;
};

CloneStruct args_of(std::uint64_t flags, std::uint32_t nr_pids)
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
bool make_and_reap(CloneStruct &args, int exit_status)
{
    const long pid = syscall(nr, &args, nullptr);
    if (pid == 0) {
        _exit(exit_status);
    }
    int status = 0;
    return pid >= 0 && waitpid(static_cast<pid_t>(pid), &status, 0) == pid &&
           WEXITSTATUS(status) == exit_status;
}

/// Serves the target that sends its listener through `sockets`, until it has ended. `told`: whether
/// the Listener is told how the filter was installed. Returns what it knows at the end.
std::optional<bool> serve_all(Bench &bench, Sockets &sockets, bool told = true)
{
    sockets.theirs.reset();
    ReceivedListener received = receive_listener(sockets.ours.get());
    REQUIRE(received.fd);
    Listener listener(std::move(received.fd),
                      told ? std::optional(received.wait_killable) : std::nullopt);
    while (listener.pending() != Listener::Pending::hung_up) {
        pollfd entry{listener.fd(), POLLIN, 0};
        REQUIRE(poll(&entry, 1, -1) == 1);
        if (const auto notification = listener.receive()) {
            serve(bench, listener, *notification);
        }
    }
    return listener.wait_killable();
}

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

bool is_traced(pid_t pid)
{
    std::ifstream status("/proc/" + std::to_string(pid) + "/status");
    std::string word;
    while (status >> word && word != "TracerPid:") {
    }
    pid_t tracer = 0;
    return status >> tracer && tracer != 0;
}

} // namespace

TEST_CASE("CallHandler: a caller that is gone gets no result")
{
    const pid_t dead = dead_pid();
    const CloneStruct args = args_of(sigchld, 0);
    for (const std::uint64_t address : {std::uint64_t{0}, remote(&args).value()}) {
        Bench bench;
        FakeSource source(false);
        serve(bench, source, call_of(dead, address, 0));
        CHECK(source.answers.empty());
        for (const CallRecord &record : bench.records.all()) {
            CHECK(record.result < 0);
        }
    }
}

namespace
{

/// Refuses chosen pids below 1000 in any namespace.
class Strict final : public ListenerOwner
{
public:
    using ListenerOwner::ListenerOwner;
    [[nodiscard]] bool judges() const override { return true; }
    std::optional<Refusal> judge(pid_t tid, const Request &request) override
    {
        last_tid = tid;
        for (const pid_t pid : request.asked()) {
            if (pid < 1000) {
                return Refusal{EPERM, "too low"};
            }
        }
        return std::nullopt;
    }
    pid_t last_tid = 0;
};

} // namespace

TEST_CASE("CallHandler: the listener's owner may refuse valid calls, and is asked about no others")
{
    struct Case {
        std::uint64_t flags;
        std::uint32_t nr_pids;
        pid_t pid;
        std::int64_t answer;
        const char *why; ///< nullptr: any
        bool asked;
    };
    for (const Case &one : {Case{sigchld, 1, 999, -EPERM, "too low", true},
                            // An invalid call gets its errno without asking the owner.
                            Case{1ULL << 40, 1, 999, -EINVAL, nullptr, false},
                            Case{sigchld, 99, 999, -EINVAL, nullptr, false}}) {
        if (one.asked && geteuid() != 0) {
            MESSAGE("without privilege the call is refused before its owner is asked");
            continue;
        }
        Bench bench;
        Strict owner(bench.records);
        const CloneStruct args = args_of(one.flags, one.nr_pids);
        const auto sleeper = make_sleeper();
        FakeSource source(true);
        const Notification call =
            call_of(sleeper->pid(), remote(&args).value(), remote(&one.pid).value());
        CHECK(bench.handler.serve({source, call}, owner) == CallHandler::Served::yes);
        REQUIRE(source.answers.size() == 1);
        CHECK(source.answers[0].value == one.answer);
        CHECK(owner.last_tid == (one.asked ? sleeper->pid() : 0));
        REQUIRE(bench.records.all().size() == 1);
        if (one.why != nullptr) {
            CHECK(bench.records.all()[0].why == one.why);
        }
    }
}

TEST_CASE("CallHandler: a tid reused by another process is left alone")
{
    // The notification is no longer valid. The process with its tid lives but is not the caller.
    const CloneStruct args = args_of(sigchld, 0);
    const auto sleeper = make_sleeper();
    wait_for_state(sleeper->pid(), "S");
    const auto before = procfs()->read_if_alive(sleeper->pid(), "syscall");
    for (const std::optional<int> kernel_nr : {std::optional<int>(), std::optional<int>(nr + 1)}) {
        Bench bench(kernel_nr);
        Strict owner(bench.records);
        FakeSource source(false);
        const Notification call = call_of(sleeper->pid(), remote(&args).value(), 0);
        CHECK(bench.handler.serve({source, call}, owner) == CallHandler::Served::yes);
        CHECK(source.answers.empty());
        CHECK(owner.last_tid == 0); // its memory must not be revealed
        CHECK(bench.records.all().empty());
    }
    wait_for_state(sleeper->pid(), "S");
    CHECK(procfs()->status_field(sleeper->pid(), "TracerPid") == "0");
    CHECK(procfs()->read_if_alive(sleeper->pid(), "syscall") == before);
}

TEST_CASE("CallHandler: refusals, in the order of SPEC.md")
{
    const pid_t chosen = 1;
    const auto *const nowhere = reinterpret_cast<const pid_t *>(8);
    CHECK(Refused(RemotePtr{8}, nowhere).value == -EFAULT);
    CHECK(Refused(args_of(sigchld | 1ULL << 40U, 0), nullptr).value == -EINVAL);
    CHECK(Refused(args_of(sigchld | 1ULL << 33U, 1), nowhere).value == -EINVAL);
    CHECK(Refused(args_of(sigchld, 34), nowhere).value == -EINVAL);
    CHECK(Refused(args_of(sigchld, 0xffffffff), nowhere).value == -EINVAL);
    CHECK(Refused(args_of(sigchld, 1), nowhere).value == -EFAULT);
    const Refused unknown(args_of(sigchld | 1ULL << 40U, 1), &chosen);
    CHECK(unknown.record.flags == (sigchld | 1ULL << 40U));
    CHECK(unknown.record.nr_pids == 1);
    const unsigned level = unknown.bench.handler.namespaces().own_level();
    if (level < 32) {
        CHECK(Refused(args_of(sigchld, level + 2), nowhere).value == -EINVAL);
    }
}

TEST_CASE("CallHandler: pids need privilege, zeros too")
{
    const std::array<pid_t, 2> zeros{};
    const NamespaceInspector inspector(procfs());
    const auto own = inspector.inspect(getpid());
    REQUIRE(own.has_value());
    if (own->facts(1).privileged) {
        left_out("refusal of unprivileged callers", "the test is privileged");
        return;
    }
    const Refused refused(args_of(sigchld, 1), zeros.data());
    CHECK(refused.value == -EPERM);
    CHECK(refused.record.pids == std::vector<pid_t>{0});
}

TEST_CASE("CallHandler: arguments at the end of mapped memory")
{
    const Pages pages;
    const std::size_t page = Pages::page_size();
    const CloneStruct args = args_of(sigchld | 1ULL << 40U, 0);
    for (const std::size_t missing : {0U, 1U, 8U, 39U}) {
        CAPTURE(missing);
        pages.protect(1, PROT_READ | PROT_WRITE);
        auto *const place = pages.at(page - sizeof args + missing);
        std::memcpy(place, &args, sizeof args);
        pages.protect(1, PROT_NONE);
        const Refused refused(remote(place), nullptr);
        CHECK(refused.value == (missing == 0 ? -EINVAL : -EFAULT));
    }
    // copy_from_user() also reads memory that is write-only.
    pages.protect(1, PROT_READ | PROT_WRITE);
    std::memcpy(pages.at(page), &args, sizeof args);
    pages.protect(1, PROT_WRITE);
    CHECK(Refused(remote(pages.at(page)), nullptr).value == -EINVAL);
}

TEST_CASE("CallHandler: a call of another architecture is refused, and that is what the log says")
{
    const CloneStruct args = args_of(sigchld, 0);
    for (const std::uint32_t other :
         std::array<std::uint32_t, 2>{AUDIT_ARCH_AARCH64, AUDIT_ARCH_S390}) {
        CAPTURE(other);
        Bench bench;
        Notification call = call_of(getpid(), remote(&args).value(), 0);
        call.arch = other;
        CHECK(answer_to(bench, call) == -ENOSYS);
        const auto records = bench.records.all();
        REQUIRE(records.size() == 1);
        CHECK(records[0].why == "the call is one of another architecture (" +
                                    architecture_name(other) + "), which is not served");
    }
    CHECK(architecture_name(AUDIT_ARCH_AARCH64) == "0xc00000b7");
    CHECK(architecture_name(AUDIT_ARCH_I386) == "i386");
}

TEST_CASE("CallHandler: a real caller behind a real listener")
{
    Sockets sockets = make_sockets();
    Grandchild target([&] {
        sockets.ours.reset();
        if (!install_and_send(sockets.theirs.get(), nr)) {
            return 98;
        }
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
    if (!records.empty() && records[0].result == -EPERM) {
        left_out("a real call", records[0].why);
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
        Grandchild target([&] {
            sockets.ours.reset();
            if (!install_and_send(sockets.theirs.get(), nr, prefer_wait_killable)) {
                return 98;
            }
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
        if (!records.empty() && records[0].result == -EPERM) {
            left_out("a real call", records[0].why);
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

TEST_CASE("CallHandler: calls are passed to the kernel under another number, arguments and all")
{
    Sockets sockets = make_sockets();
    CloneStruct args = args_of(sigchld, 1);
    const pid_t wanted = 77;
    Grandchild target([&] {
        sockets.ours.reset();
        if (!install_and_send(sockets.theirs.get(), nr)) {
            return 98;
        }
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
    Bench bench(SYS_write);
    serve_all(bench, sockets);
    const auto records = bench.records.all();
    if (!records.empty() && records[0].result == -EPERM) {
        left_out("a real call", records[0].why);
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

TEST_CASE("A call by the kernel's own number is not passed to the kernel")
{
    // The filter that sent it would send it again, endlessly.
    Bench bench(nr);
    const auto sleeper = make_sleeper();
    CHECK(answer_to(bench, call_of(sleeper->pid(), 0, 0)) == -EFAULT);
}

TEST_CASE("A caller that can't be seen from here gets EPERM, with the reason")
{
    Bench bench;
    CHECK(answer_to(bench, call_of(0, 0, 0)) == -EPERM);
    REQUIRE(bench.records.all().size() == 1);
    CHECK(bench.records.all()[0].why.find("pid namespace") != std::string::npos);
}

namespace
{

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

} // namespace

TEST_CASE("CallHandler: a successor can take over at any point, with the existing code and area")
{
    // A first call has three notifications (call, boot report, report); each later call has two.
    constexpr int notifications = 7;
    for (int taken_over = 0; taken_over <= notifications; ++taken_over) {
        CAPTURE(taken_over);
        Sockets sockets = make_sockets();
        Pipe done = make_pipe();
        CloneStruct args = args_of(sigchld, 0);
        Grandchild target([&] {
            sockets.ours.reset();
            if (!install_and_send(sockets.theirs.get(), nr)) {
                return 98;
            }
            const int result = three_children(args);
            put_byte(done.write);
            for (;;) {
                pause();
            }
            return result;
        });
        sockets.theirs.reset();
        ReceivedListener received = receive_listener(sockets.ours.get());
        REQUIRE(received.fd);
        Listener listener(std::move(received.fd), received.wait_killable);
        Bench first;
        Bench second;
        const std::size_t inherited = find_areas(target.pid()).size();
        for (int i = 0; i < notifications; ++i) {
            const auto notification = listener.receive();
            REQUIRE(notification.has_value());
            serve(i < taken_over ? first : second, listener, *notification);
            const auto records = second.records.all();
            if (!records.empty() && records[0].result == -EPERM) {
                left_out("a real call", records[0].why);
                return;
            }
        }
        CHECK(get_byte(done.read) == 'x');
        CHECK(find_areas(target.pid()).size() == inherited + 1);
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
    Grandchild target([&] {
        sockets.ours.reset();
        if (!install_and_send(sockets.theirs.get(), nr)) {
            return 98;
        }
        // A success stays one; a failure becomes ENOSYS.
        return three_children(args) == 0 && syscall(nr, &wrong, &busy) == -1 && errno == ENOSYS ? 0
                                                                                                : 1;
    });
    sockets.theirs.reset();
    ReceivedListener received = receive_listener(sockets.ours.get());
    REQUIRE(received.fd);
    Listener listener(std::move(received.fd), received.wait_killable);
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
        if (!records.empty() && records[0].result == -EPERM && foreign == 0) {
            left_out("a real call", records[0].why);
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
    sockets.theirs.reset();
    ReceivedListener received = receive_listener(sockets.ours.get());
    REQUIRE(received.fd);
    Listener listener(std::move(received.fd), received.wait_killable);
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
    Grandchild target([&] {
        sockets.ours.reset();
        if (!install_and_send(sockets.theirs.get(), nr)) {
            return 98;
        }
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

namespace
{

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
