// SPDX-License-Identifier: MIT
//
// Reports that a target has made up, or that do not match what it was sent to do.
#include "abi/clone_struct.hpp"
#include "base/clock.hpp"
#include "calls/call_handler.hpp"
#include "image/identity.hpp"
#include "mark_of.hpp"
#include "real_call.hpp"
#include "support.hpp"
#include "target/memory.hpp"

#include <doctest/doctest.h>

#include <poll.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <limits>
#include <linux/audit.h>
#include <linux/sched.h>
#include <string>
#include <thread>
#include <vector>

using namespace clone2;
using namespace clone2::test;

namespace
{

constexpr int nr = 387;
constexpr std::uint64_t sigchld = 17;
constexpr std::int64_t highest_pid = 1 << 22;

bool write_to(pid_t pid, RemotePtr to, std::span<const std::byte> bytes)
{
    const iovec from{const_cast<std::byte *>(bytes.data()), bytes.size()};
    const iovec there{reinterpret_cast<void *>(to.value()), bytes.size()};
    return process_vm_writev(pid, &from, 1, &there, 1, 0) == static_cast<ssize_t>(bytes.size());
}

/// A source with one waiting call after another.
class WaitingCaller final : public NotificationSource
{
public:
    Result<Notification> receive() override { return Error{"fake", 0, ENOENT}; }
    [[nodiscard]] bool still_valid(std::uint64_t id) const override { return id == waiting; }
    Result<void> answer(std::uint64_t id, std::int64_t value) override
    {
        REQUIRE(id == waiting); // once
        waiting = 0;
        answered = value;
        return {};
    }
    [[nodiscard]] std::optional<bool> wait_killable() const override { return true; }
    void learn_wait_killable(bool) override {}

    std::uint64_t waiting = 0;
    std::int64_t answered = 0;
};

class Heard final : public AuditSink
{
public:
    void record(const CallRecord &record) override { records.push_back(record); }
    [[nodiscard]] bool wants_successes() const override { return true; }
    [[nodiscard]] bool wants_details() const override { return false; }
    std::vector<CallRecord> records;
};

/// What a target can write after any of its system call instructions, at any address.
struct Forged {
    std::array<std::byte, sizeof(CodeMark) + 16> behind{}; ///< the bytes after the instruction
    alignas(8) std::array<std::byte, 512> slot{};
};
Forged forged;

/// A handler, and a target that reports anything.
class Liar
{
public:
    Liar() : owner_(heard), handler_(procfs(), diagnostics_)
    {
        const CodeMark mark{MARK_REPORT, make_signature(*procfs(), native_architecture())[0]};
        std::memcpy(forged.behind.data() + native_architecture().mark_offset(), &mark, sizeof mark);
        sleeper_ = make_sleeper(); // a copy of this process, with the same addresses
        put(&forged.behind, sizeof forged.behind);
    }

    /// Returns its answer; `heard` has what was logged.
    std::int64_t report(const SlotCall &slot, std::int64_t result)
    {
        const RemotePtr at = remote(forged.slot.data());
        const std::vector<std::byte> bytes = native_architecture().encode_slot(slot, at);
        std::memcpy(forged.slot.data(), bytes.data(), bytes.size());
        return report(result);
    }
    std::int64_t report_bytes(Random &random, std::int64_t result)
    {
        for (std::byte &byte : forged.slot) {
            byte = static_cast<std::byte>(random.next());
        }
        return report(result);
    }

    Heard heard;

private:
    void put(const void *from, std::size_t size)
    {
        const auto *const bytes = static_cast<const std::byte *>(from);
        REQUIRE(write_to(sleeper_->pid(), remote(from), {bytes, size}));
    }
    std::int64_t report(std::int64_t result)
    {
        put(forged.slot.data(), forged.slot.size());
        const RemotePtr slot = remote(forged.slot.data());
        Notification notification;
        source_.waiting = notification.id = ++ids_;
        notification.tid = sleeper_->pid();
        notification.arch = AUDIT_ARCH_X86_64;
        notification.nr = nr;
        notification.instruction_pointer = remote(&forged.behind).value();
        notification.args = {slot.value() - native_architecture().slot_of_report(0).value(),
                             static_cast<std::uint64_t>(result) + REPORT_BIAS};
        REQUIRE(handler_.serve({source_, notification}, owner_) == CallHandler::Served::yes);
        REQUIRE(source_.waiting == 0);
        return source_.answered;
    }

    std::unique_ptr<Child> sleeper_;
    ListenerOwner owner_;
    Diagnostics diagnostics_{Verbosity::quiet};
    CallHandler handler_;
    WaitingCaller source_;
    std::uint64_t ids_ = 0;
};

SlotCall plausible()
{
    SlotCall slot;
    slot.report_success = true;
    slot.started_ns = now_ns(CLOCK_MONOTONIC);
    slot.request_flags = sigchld;
    slot.call.exit_signal = sigchld;
    return slot;
}

void check_is_nonsense(Liar &liar, const SlotCall &slot, std::int64_t result)
{
    liar.heard.records.clear();
    CAPTURE(result);
    CHECK(liar.report(slot, result) == -EBADMSG);
    REQUIRE(liar.heard.records.size() == 1);
    const CallRecord &record = liar.heard.records[0];
    CHECK(record.result == -EBADMSG);
    CHECK(record.why.find("nonsense") != std::string::npos);
    CHECK(record.latency_us >= 0);
    CHECK(record.latency_us < std::int64_t{3600} * 1'000'000);
}

} // namespace

TEST_CASE("a report of a call that was never made is logged as unknown")
{
    Liar liar;
    CHECK(liar.report(plausible(), 4711) == 1);
    REQUIRE(liar.heard.records.size() == 1);
    CHECK(liar.heard.records[0].result == 4711);
    CHECK(liar.heard.records[0].doubt.find("not known") != std::string::npos);
}

TEST_CASE("a result that clone3 can't give is logged as nonsense")
{
    Liar liar;
    for (const std::int64_t result :
         {std::int64_t{0}, highest_pid + 1, std::int64_t{1} << 31, std::int64_t{-4096},
          std::int64_t{std::numeric_limits<std::int32_t>::min()},
          std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()}) {
        check_is_nonsense(liar, plausible(), result);
    }
}

TEST_CASE("a start before boot time or in the future, or too many pids, is nonsense")
{
    Liar liar;
    for (const std::int64_t started : {std::numeric_limits<std::int64_t>::min(), std::int64_t{-1},
                                       now_ns(CLOCK_MONOTONIC) + std::int64_t{3600} * 1'000'000'000,
                                       std::numeric_limits<std::int64_t>::max()}) {
        SlotCall slot = plausible();
        slot.started_ns = started;
        check_is_nonsense(liar, slot, 77);
        check_is_nonsense(liar, slot, -EAGAIN);
    }
    for (const std::uint32_t pids :
         {std::uint32_t{34}, std::numeric_limits<std::uint32_t>::max()}) {
        SlotCall slot = plausible();
        slot.nr_pids = pids;
        check_is_nonsense(liar, slot, 77);
    }
}

TEST_CASE("any report is answered once, and a valid result is logged")
{
    Liar liar;
    Random random(12);
    for (int round = 0; round < 400; ++round) {
        liar.heard.records.clear();
        const std::uint64_t bits = random.next();
        // Any 64 bits; a pid; an errno; "in use", which asks for other pids.
        const std::int64_t result = round % 4 == 0   ? static_cast<std::int64_t>(bits)
                                    : round % 4 == 1 ? static_cast<std::int64_t>(bits % 5'000'000)
                                    : round % 4 == 2 ? -static_cast<std::int64_t>(bits % 5000)
                                                     : -EEXIST;
        std::int64_t answer = 0;
        if (round % 8 < 4) {
            answer = liar.report_bytes(random, result);
        } else {
            SlotCall slot = plausible();
            slot.started_ns -= static_cast<std::int64_t>(random.next() >> (1 + random.next() % 60));
            slot.nr_pids = static_cast<std::uint32_t>(random.next() % 36);
            slot.attempts = static_cast<std::uint32_t>(random.next());
            slot.call.flags = random.next();
            slot.call.set_tid_size = random.next() % (PLAN_MAX_SET_TID + 1);
            slot.call.to_pick = random.next();
            answer = liar.report(slot, result);
        }
        CAPTURE(round);
        if (answer == 0) {
            CHECK(result == -EEXIST); // again; each repetition is another report
            CHECK(liar.heard.records.empty());
            continue;
        }
        REQUIRE(liar.heard.records.size() == 1);
        const CallRecord &record = liar.heard.records[0];
        CHECK(record.result >= -4095);
        CHECK(record.result != 0);
        CHECK(record.result <= highest_pid);
        CHECK(record.latency_us >= 0);
        CHECK(record.pids.size() <= max_pids);
        CHECK(answer == (record.result < 0 ? record.result : 1));
        CHECK_FALSE(record.doubt.empty());
    }
}

TEST_CASE("a slot changed before its report: the plan is logged, with a doubt")
{
    Sockets sockets = make_sockets();
    Grandchild target = target_under_filter(sockets, by(nr), [&] {
        CloneStruct args{};
        args.flags = sigchld;
        for (int i = 0; i < 4; ++i) {
            const long pid = syscall(nr, &args, nullptr);
            if (pid == 0) {
                _exit(0);
            }
            if (pid < 0 || waitpid(static_cast<pid_t>(pid), nullptr, 0) != pid) {
                return 1;
            }
        }
        return 0;
    });
    Listener listener = take_listener(sockets);
    Heard heard;
    ListenerOwner owner(heard);
    Diagnostics diagnostics{Verbosity::quiet};
    CallHandler handler(procfs(), diagnostics);

    const std::vector<std::function<void(SlotCall &)>> changes{
        [](SlotCall &) {}, [](SlotCall &slot) { slot.request_flags |= CLONE_NEWPID; },
        [](SlotCall &slot) { slot.started_ns -= 1; },
        [](SlotCall &slot) {
            slot.call.set_tid_size = slot.nr_pids = 1;
            slot.call.set_tid[0] = 4711;
        }};
    std::size_t reports = 0;
    while (listener.pending() != Listener::Pending::hung_up) {
        pollfd entry{listener.fd(), POLLIN, 0};
        REQUIRE(poll(&entry, 1, -1) == 1);
        const auto notification = listener.receive();
        if (!notification) {
            continue;
        }
        if (mark_of(*notification).is_report() && reports < changes.size()) {
            // As another thread of the target could.
            const RemotePtr at = native_architecture().slot_of_report(notification->args[0]);
            std::vector<std::byte> bytes(native_architecture().slot_size());
            REQUIRE(read_exactly(notification->tid, at, bytes).has_value());
            SlotCall slot = native_architecture().decode_slot(bytes);
            changes[reports++](slot);
            bytes = native_architecture().encode_slot(slot, at);
            REQUIRE(write_to(notification->tid, at, bytes));
        }
        while (handler.serve({listener, *notification}, owner) == CallHandler::Served::later) {
            std::this_thread::yield();
        }
    }
    if (may_not_trace(heard.records)) {
        return;
    }
    CHECK(WEXITSTATUS(target.status()) == 0);
    REQUIRE(heard.records.size() == changes.size());
    CHECK(heard.records[0].doubt.empty());
    for (std::size_t i = 1; i < changes.size(); ++i) {
        CAPTURE(i);
        CHECK(heard.records[i].doubt.find("changed") != std::string::npos);
    }
    for (const CallRecord &record : heard.records) {
        CHECK(record.result > 0);
        CHECK(record.flags == sigchld);
        CHECK(record.nr_pids == 0);
        CHECK(record.pids.empty());
    }
}

TEST_CASE("PlannedCalls: each is taken once, and those of ended threads are dropped")
{
    PlannedCalls planned(16);
    Executor::Order order;
    order.started_ns = 5;
    CHECK_FALSE(planned.take(getpid()));
    planned.remember(getpid(), {});
    planned.remember(getpid(), order, 3);
    const auto found = planned.take(getpid());
    REQUIRE(found);
    CHECK(found->order.started_ns == 5);
    CHECK(found->attempts == 3);
    CHECK_FALSE(planned.take(getpid()));

    planned.remember(getpid(), order);
    constexpr pid_t nobody = 1 << 23; // higher than any pid
    for (pid_t tid = nobody; tid < nobody + 10'000; ++tid) {
        planned.remember(tid, order);
        CHECK(planned.size() <= 16);
    }
    CHECK(planned.take(getpid()));
}
