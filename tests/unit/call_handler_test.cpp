// SPDX-License-Identifier: MIT
// Calls that are refused: none of these needs a target that calls.
#include "call_bench.hpp"

#include <sys/mman.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>
#include <vector>

using namespace clone2;
using namespace clone2::test;

namespace
{

/// The answer to a call, from the handler or the kernel.
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

/// Refuses chosen pids below 1000 in any namespace.
class Strict final : public ListenerOwner
{
public:
    using ListenerOwner::ListenerOwner;
    [[nodiscard]] bool judges() const override { return true; }
    std::optional<Refusal> judge(const Notification &caller, const Request &request) override
    {
        last_tid = caller.tid;
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

TEST_CASE("CallHandler: a failure is injected once for each call, however often it is looked at")
{
    struct Failing final : ListenerOwner {
        using ListenerOwner::ListenerOwner;
        std::optional<Refusal> inject() override
        {
            ++asked;
            return Refusal{EIO, "injected"};
        }
        int asked = 0;
    };
    Bench bench;
    Failing owner(bench.records);
    const auto sleeper = make_sleeper();
    for (const bool postponed : {false, true}) {
        FakeSource source(true);
        // Without its arguments the call fails anyhow.
        Notification call = call_of(sleeper->pid(), 0, 0);
        call.postponed = postponed;
        CHECK(bench.handler.serve({source, call}, owner) == CallHandler::Served::yes);
        REQUIRE(source.answers.size() == 1);
        CHECK(source.answers[0].value == (postponed ? -EFAULT : -EIO));
        CHECK(owner.asked == 1);
    }
}

TEST_CASE("CallHandler: a tid reused by another process is left alone")
{
    // The notification is no longer valid. The process with its tid lives but is not the caller.
    const CloneStruct args = args_of(sigchld, 0);
    const auto sleeper = make_sleeper();
    wait_for_state(sleeper->pid(), "S");
    const auto before = procfs()->read_if_alive(sleeper->pid(), "syscall");
    for (const auto &kernel_call : {std::optional<TrappedCall>(), std::optional(call_by(nr + 1))}) {
        Bench bench(kernel_call);
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
    const Refused no_args(RemotePtr{16}, nowhere);
    CHECK(no_args.value == -EFAULT);
    CHECK(no_args.record.why == "clone_struct unreadable: 40 bytes at 0x10");
    CHECK(Refused(args_of(sigchld | 1ULL << 40U, 0), nullptr).value == -EINVAL);
    CHECK(Refused(args_of(sigchld | 1ULL << 33U, 1), nowhere).value == -EINVAL);
    CHECK(Refused(args_of(sigchld, 34), nowhere).value == -EINVAL);
    CHECK(Refused(args_of(sigchld, 0xffffffff), nowhere).value == -EINVAL);
    const Refused no_pids(args_of(sigchld, 1), nowhere);
    CHECK(no_pids.value == -EFAULT);
    CHECK(no_pids.record.why == "pids unreadable: 4 bytes at 0x8");
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
        CHECK(records[0].why == "the call is from another architecture (" +
                                    architecture_name(other) + "), which is not served");
    }
    CHECK(architecture_name(AUDIT_ARCH_AARCH64) == "0xc00000b7");
    CHECK(architecture_name(AUDIT_ARCH_I386) == "i386");
}

TEST_CASE("A call by the kernel's own number is not passed to the kernel")
{
    // The filter that sent it would send it again, endlessly.
    Bench bench(call_by(nr));
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

TEST_CASE("CallHandler: the listener's owner learns of a judged call that is not made")
{
    /// Its calls' notifications end while they are judged, as by a signal. The callers live on.
    class Interrupted final : public ListenerOwner
    {
    public:
        Interrupted(AuditSink &audit, FakeSource &source) : ListenerOwner(audit), source_(source) {}
        [[nodiscard]] bool judges() const override { return true; }
        std::optional<Refusal> judge(const Notification &caller, const Request &) override
        {
            judged.push_back(caller.id);
            CHECK(source_.answer(caller.id, -EINTR).has_value());
            return std::nullopt;
        }
        void not_made(const Notification &caller) override { unmade.push_back(caller.id); }

        std::vector<std::uint64_t> judged;
        std::vector<std::uint64_t> unmade;

    private:
        FakeSource &source_;
    };

    Bench bench;
    FakeSource source(true);
    Interrupted owner(bench.records, source);
    const CloneStruct args = args_of(sigchld, 0);
    const auto sleeper = make_sleeper();
    const Notification call = call_of(sleeper->pid(), remote(&args).value(), 0);
    CHECK(bench.handler.serve({source, call}, owner) == CallHandler::Served::yes);
    CHECK(source.answers.size() == 1);
    CHECK(bench.records.all().empty());
    CHECK(owner.judged == std::vector{call.id});
    CHECK(owner.unmade == owner.judged);
}
