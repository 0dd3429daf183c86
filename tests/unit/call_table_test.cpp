// SPDX-License-Identifier: MIT
#include "abi/call_table.hpp"
#include "audit/log.hpp"
#include "call_bench.hpp"
#include "real_call.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <string>

using namespace clone2;
using namespace clone2::test;

namespace
{

/// Flags, pids and their number in registers, and no structure.
constexpr Abi dummy{
    "dummy",
    0,
    "",
    [](const Arguments & /*args*/) { return std::optional<RemotePtr>(); },
    [](const Arguments &args) { return std::optional(RemotePtr{args[2]}); },
    [](const Arguments &args, std::span<const std::byte> /*structure*/,
       const Architecture & /*arch*/) {
        Request request;
        request.flags = args[1];
        request.pids_address = args[2];
        request.nr_pids = static_cast<std::uint32_t>(args[3]);
        return request;
    },
};

/// Hears of calls that are not its own.
class Hearing final : public ListenerOwner
{
public:
    using ListenerOwner::ListenerOwner;
    Unserved not_trapped(const Notification &notification) override
    {
        heard = notification.nr;
        return unserved;
    }
    int heard = -1;
    Unserved unserved = Unserved::gets_enosys;
};

} // namespace

TEST_CASE("CallTable: by default, one call of each architecture")
{
    const CallTable table;
    REQUIRE(table.calls().size() == architectures().size());
    CHECK(table.calls()[0] == standard_call);
    CHECK(std::all_of(table.calls().begin(), table.calls().end(), is_standard));
    CHECK(table.text() == "387,i386:387");
    CHECK(table.find(AUDIT_ARCH_I386, 387) != nullptr);
    CHECK(table.without_standard().calls().empty());
}

TEST_CASE("CallTable: each call is found by its architecture and number")
{
    const TrappedCall other{AUDIT_ARCH_X86_64, 500, &dummy};
    const TrappedCall foreign{AUDIT_ARCH_I386, 387, &dummy};
    const CallTable table({standard_call, other, foreign});
    const auto found = [&](std::uint32_t arch, int number) {
        const TrappedCall *const call = table.find(arch, number);
        return call != nullptr ? std::optional(*call) : std::nullopt;
    };
    CHECK(found(AUDIT_ARCH_X86_64, 387) == standard_call);
    CHECK(found(AUDIT_ARCH_X86_64, 500) == other);
    CHECK(found(AUDIT_ARCH_I386, 387) == foreign);
    CHECK_FALSE(found(AUDIT_ARCH_I386, 500));
    CHECK_FALSE(found(AUDIT_ARCH_AARCH64, 387));
    for (const int number : {-1, 0, 386, 388, 0x40000000 + 387}) {
        CHECK_FALSE(found(AUDIT_ARCH_X86_64, number));
    }
    CHECK(table.text() == "387,500=dummy,i386:387=dummy");
    CHECK(table.without_standard() == CallTable({other, foreign}));
}

TEST_CASE("CallTable: by any number")
{
    const CallTable any = CallTable::by_any_number();
    for (const int number : {0, 387, 0x3fffffff}) {
        const TrappedCall *const call = any.find(AUDIT_ARCH_X86_64, number);
        REQUIRE(call != nullptr);
        CHECK(call->abi == standard_call.abi);
        CHECK(any.find(AUDIT_ARCH_AARCH64, number) == nullptr);
    }
    for (const Architecture *const arch : architectures()) {
        CHECK(any.find(arch->audit_arch(), 387) != nullptr);
        CHECK(CallTable().of_all_architectures().find(arch->audit_arch(), 387) != nullptr);
        CHECK(CallTable().of_all_architectures().find(arch->audit_arch(), 388) == nullptr);
    }
}

TEST_CASE("CallTable: text, there and back")
{
    for (const char *const text : {"387", "0", "1073741823", "387,337", "500,0,387"}) {
        CAPTURE(text);
        const auto table = CallTable::parse(text);
        REQUIRE(table.has_value());
        CHECK(table->text() == text);
    }
    CHECK(CallTable::parse("x86_64:387=clone2") == by(387));
    CHECK(CallTable::parse("387,i386:387") == CallTable());
    CHECK(CallTable::parse("x86_64:1,2=clone2") == CallTable({call_by(1), call_by(2)}));
    for (const char *const text : {"",
                                   " ",
                                   "x",
                                   "-1",
                                   "+1",
                                   "1 ",
                                   " 1",
                                   "0x1",
                                   "1073741824",
                                   "99999999999999999999",
                                   ",",
                                   "1,",
                                   ",1",
                                   "1,,2",
                                   "1,1",
                                   "1,x86_64:1",
                                   "any",
                                   "1=",
                                   "1=x",
                                   "=clone2",
                                   "1=clone2=clone2",
                                   ":1",
                                   "x:1",
                                   "x86_64:",
                                   "x86_64:x86_64:1",
                                   "1:x86_64"}) {
        CAPTURE(text);
        CHECK_FALSE(CallTable::parse(text).has_value());
    }
    // A peer's text may be long.
    std::string many = "0";
    for (std::size_t i = 1; i < max_calls; ++i) {
        many += "," + std::to_string(i);
    }
    CHECK(CallTable::parse(many).has_value());
    CHECK_FALSE(CallTable::parse(many + ",1000").has_value());
}

TEST_CASE(
    "CallHandler: a call that the table does not have is its owner's to decide, and not logged")
{
    Bench bench;
    Hearing owner(bench.records, CallTable({call_by(nr), call_by(500)}));
    const auto sleeper = make_sleeper();
    const auto answered = [&](const Notification &call) {
        FakeSource source(true);
        owner.heard = -1;
        CHECK(bench.handler.serve({source, call}, owner) == CallHandler::Served::yes);
        REQUIRE(source.answers.size() == 1);
        return source.answers[0].value;
    };
    Notification call = call_of(sleeper->pid(), 0, 0);
    for (const int number : {nr, 500}) {
        call.nr = number;
        CHECK(answered(call) == -EFAULT);
        CHECK(owner.heard == -1);
    }
    CHECK(bench.records.all().size() == 2);
    call.nr = 501;
    CHECK(answered(call) == -ENOSYS);
    CHECK(owner.heard == 501);
    owner.unserved = ListenerOwner::Unserved::is_left_to_kernel;
    CHECK(answered(call) == FakeSource::left_to_kernel);
    CHECK(owner.heard == 501);
    CHECK(bench.records.all().size() == 2);
}

TEST_CASE("CallHandler: another ABI is another entry of the table")
{
    constexpr int other = 500;
    const CallTable calls({standard_call, {standard_call.arch, other, &dummy}});
    Sockets sockets = make_sockets();
    Grandchild target = target_under_filter(sockets, calls, [&] {
        CloneStruct args = args_of(sigchld, 0);
        if (!make_and_reap(args, 1)) {
            return 1;
        }
        const long pid = syscall(other, 0L, sigchld, nullptr, 0L);
        if (pid == 0) {
            _exit(2);
        }
        int status = 0;
        if (pid < 0 || waitpid(static_cast<pid_t>(pid), &status, 0) != pid ||
            WEXITSTATUS(status) != 2) {
            return 2;
        }
        const pid_t pids[] = {0, -1};
        return syscall(other, 0L, sigchld, pids, 99L) == -1 && errno == EINVAL ? 0 : 3;
    });
    // The kernel has clone2 itself, and nothing of the other.
    Bench bench(standard_call, calls);
    serve_all(bench, sockets);
    const auto records = bench.records.all();
    if (may_not_trace(records)) {
        return;
    }
    CHECK(WEXITSTATUS(target.status()) == 0);
    REQUIRE(records.size() == 3);
    CHECK(format_text(records[0]).find(" clone2(SIGCHLD, {}) = ") != std::string::npos);
    CHECK(format_text(records[1]).find(" dummy(SIGCHLD, {}) = ") != std::string::npos);
    CHECK(format_text(records[2]).find(" dummy(SIGCHLD, (99 pids)) = -1 EINVAL") !=
          std::string::npos);
}
