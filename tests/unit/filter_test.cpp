// SPDX-License-Identifier: MIT
#include "filter/filter.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <initializer_list>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <optional>
#include <string>

using namespace clone2;
using namespace clone2::test;

namespace
{

constexpr std::uint32_t x32 = 0x40000000;

/// What the program returns for this call; nullopt: it does something that the kernel's
/// constant-action bitmap does not follow, or never ends.
std::optional<std::uint32_t> run(const std::vector<sock_filter> &program, std::uint32_t arch,
                                 std::uint32_t nr,
                                 const std::optional<std::array<std::uint64_t, 3>> &args = {})
{
    std::uint32_t accumulator = 0;
    for (std::size_t at = 0; at < program.size(); ++at) {
        const sock_filter &step = program[at];
        switch (step.code) {
        case BPF_LD | BPF_W | BPF_ABS:
            if (step.k == offsetof(seccomp_data, nr)) {
                accumulator = nr;
            } else if (step.k == offsetof(seccomp_data, arch)) {
                accumulator = arch;
            } else if (args && step.k >= offsetof(seccomp_data, args)) {
                const std::size_t half = (step.k - offsetof(seccomp_data, args)) / 4;
                accumulator = static_cast<std::uint32_t>(args->at(half / 2) >> (32 * (half % 2)));
            } else {
                return std::nullopt;
            }
            break;
        case BPF_JMP | BPF_JGE | BPF_K:
            at += accumulator >= step.k ? step.jt : step.jf;
            break;
        case BPF_JMP | BPF_JEQ | BPF_K:
            at += accumulator == step.k ? step.jt : step.jf;
            break;
        case BPF_RET | BPF_K:
            return step.k;
        default:
            return std::nullopt;
        }
    }
    return std::nullopt;
}

std::vector<sock_filter> filter_for(int nr)
{
    return build_filter(by(nr));
}

} // namespace

TEST_CASE("build_filter: asks for one number of the native architecture only")
{
    const auto program = filter_for(387);
    for (std::uint32_t nr = 0; nr <= 600; ++nr) {
        CAPTURE(nr);
        CHECK(run(program, AUDIT_ARCH_X86_64, nr) ==
              (nr == 387 ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_ALLOW));
        CHECK(run(program, AUDIT_ARCH_X86_64, x32 | nr) == SECCOMP_RET_ALLOW);
        for (const std::uint32_t other :
             {std::uint32_t{AUDIT_ARCH_I386}, std::uint32_t{AUDIT_ARCH_AARCH64},
              std::uint32_t{AUDIT_ARCH_RISCV64}, 0U, 0xffffffffU}) {
            CHECK(run(program, other, nr) == SECCOMP_RET_ALLOW);
        }
    }
    for (const std::uint32_t nr : {0xffffffffU, 0x80000000U | 387U, 0x10000U | 387U, 387U << 8U}) {
        CHECK(run(program, AUDIT_ARCH_X86_64, nr) == SECCOMP_RET_ALLOW);
    }
}

TEST_CASE("build_filter: numbers at both ends of the range")
{
    for (const int nr : {0, 1, 337, 386, 388, 600, 0x3ffffffe, 0x3fffffff}) {
        CAPTURE(nr);
        const auto program = filter_for(nr);
        const auto own = static_cast<std::uint32_t>(nr);
        CHECK(run(program, AUDIT_ARCH_X86_64, own) == SECCOMP_RET_USER_NOTIF);
        CHECK(run(program, AUDIT_ARCH_X86_64, own + 1) == SECCOMP_RET_ALLOW);
        CHECK(run(program, AUDIT_ARCH_X86_64, own - 1) == SECCOMP_RET_ALLOW);
        CHECK(run(program, AUDIT_ARCH_X86_64, 387) ==
              (nr == 387 ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_ALLOW));
        CHECK(run(program, AUDIT_ARCH_I386, own) == SECCOMP_RET_ALLOW);
    }
}

TEST_CASE("build_filter: several calls, also of other architectures")
{
    const Abi dummy{"dummy", 0, "", nullptr, nullptr, nullptr};
    const CallTable table({{AUDIT_ARCH_X86_64, 387, standard_call.abi},
                           {AUDIT_ARCH_I386, 120, &dummy},
                           {AUDIT_ARCH_X86_64, 500, &dummy}});
    const auto program = build_filter(table);
    for (const std::uint32_t arch :
         {std::uint32_t{AUDIT_ARCH_X86_64}, std::uint32_t{AUDIT_ARCH_I386},
          std::uint32_t{AUDIT_ARCH_AARCH64}}) {
        for (std::uint32_t nr = 0; nr <= 600; ++nr) {
            CAPTURE(arch);
            CAPTURE(nr);
            const bool trapped = table.find(arch, static_cast<int>(nr)) != nullptr;
            CHECK(run(program, arch, nr) == (trapped ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_ALLOW));
        }
    }
    std::vector<TrappedCall> most;
    while (most.size() < max_calls) {
        most.push_back({AUDIT_ARCH_X86_64, static_cast<int>(most.size()), &dummy});
    }
    const auto longest = build_filter(CallTable(most));
    CHECK(longest.size() <= BPF_MAXINSNS);
    CHECK(run(longest, AUDIT_ARCH_X86_64, max_calls - 1) == SECCOMP_RET_USER_NOTIF);
    CHECK(run(longest, AUDIT_ARCH_X86_64, max_calls) == SECCOMP_RET_ALLOW);
    CHECK(run(build_filter(CallTable().without_standard()), AUDIT_ARCH_X86_64, 387) ==
          SECCOMP_RET_ALLOW);
}

TEST_CASE("mistaken_calls: numbers that a user expects to be served, and that are no other call's")
{
    const auto texts = [](const char *table) {
        std::string found;
        for (const TrappedCall &call : mistaken_calls(*CallTable::parse(table))) {
            found += " " + number_text(call.arch, call.number);
        }
        return found;
    };
    CHECK(texts("387,i386:387") == " i386:337 i386:338 299 300 337 338 x32:387");
    CHECK(texts("387") == " i386:387 i386:337 i386:338 299 300 337 338 x32:387");
    CHECK(texts("500") == " 387 i386:387 i386:337 i386:338 299 300 i386:500 337 338 x32:500");
    // 300 is fstatat64 of i386, and 520 execve of x32.
    CHECK(texts("387,i386:387,300=eclone,i386:337,i386:338=eclone,520") ==
          " 299 337 338 i386:520 x32:387");
}

TEST_CASE("build_filter: mistaken calls, but no other call by their numbers")
{
    const CallTable table;
    const auto program = build_filter(table, mistaken_calls(table));
    const std::array<std::uint64_t, 3> pointers{0x8049000, 0x8049000, 48};
    const std::array<std::uint64_t, 3> numbers{5, 0x80000, 48};
    struct Case {
        std::uint32_t arch;
        std::uint32_t nr;
        bool always; ///< whatever the arguments are
    };
    for (const Case &each : std::initializer_list<Case>{
             {AUDIT_ARCH_X86_64, x32 | 387, true},
             {AUDIT_ARCH_X86_64, 337, true},
             {AUDIT_ARCH_X86_64, 299, false},
             {AUDIT_ARCH_X86_64, 300, false},
             {AUDIT_ARCH_I386, 337, false},
             {AUDIT_ARCH_I386, 338, false},
         }) {
        CAPTURE(each.arch);
        CAPTURE(each.nr);
        CHECK(run(program, each.arch, each.nr, pointers) == SECCOMP_RET_USER_NOTIF);
        CHECK(run(program, each.arch, each.nr, numbers) ==
              (each.always ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_ALLOW));
    }
    // Without a look at the arguments.
    for (const std::uint32_t nr : {39U, 298U, 386U, 388U, x32 | 39U, x32 | 337U}) {
        CHECK(run(program, AUDIT_ARCH_X86_64, nr) == SECCOMP_RET_ALLOW);
        CHECK(run(program, AUDIT_ARCH_I386, nr) == SECCOMP_RET_ALLOW);
    }
    std::vector<TrappedCall> most;
    while (most.size() < max_calls) {
        most.push_back(call_by(1000 + static_cast<int>(most.size())));
    }
    const CallTable full(most);
    CHECK(build_filter(full, mistaken_calls(full)).size() <= BPF_MAXINSNS);
}

TEST_CASE("build_filter: a number that belongs to another call, too, is trapped by its arguments")
{
    struct Case {
        std::array<std::uint64_t, 3> args;
        bool ours;
    };
    const auto check = [](const char *calls, std::uint32_t arch, std::uint32_t nr,
                          const std::vector<Case> &cases) {
        const auto program = build_filter(*CallTable::parse(calls));
        for (const Case &one : cases) {
            CAPTURE(calls);
            CAPTURE(one.args[0]);
            CAPTURE(one.args[1]);
            CAPTURE(one.args[2]);
            CHECK(run(program, arch, nr, one.args) ==
                  (one.ours ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_ALLOW));
        }
        // Each other number is answered without a look at the arguments.
        CHECK(run(program, arch, nr + 1) == SECCOMP_RET_ALLOW);
        CHECK(run(program, AUDIT_ARCH_AARCH64, nr) == SECCOMP_RET_ALLOW);
    };
    check("i386:337", AUDIT_ARCH_I386, 337,
          {{{0, 0x8049000, 0}, false},
           {{1048576, 0, 0}, false},
           {{0x07ffffff, 0, 0}, false},
           {{0x08000000, 0, 0}, true},
           {{0xffffd000, 0, 0}, true},
           {{0xffffe000, 0, 0}, false},
           {{0xffffffff, 0, 0}, false}});
    check("i386:337=clone_with_pids", AUDIT_ARCH_I386, 337, {{{0, 0, 0}, true}});
    for (const char *const calls : {"299", "299=clone2,500", "387,x86_64:299,500"}) {
        check(calls, AUDIT_ARCH_X86_64, 299,
              {{{0, 0x7ffd00000000, 0}, false},
               {{1048576, 0, 0}, false},
               {{0x3fffff, 0, 0}, false},
               {{0x400000, 0, 0}, true},
               {{0x7fffffff, 0, 0}, true},
               {{0x80000000, 0, 0}, false},
               {{0xffffffff, 0, 0}, false}, // -1
               {{0x100000000, 0, 0}, true}, // the lower half alone is small
               {{0x7ffdffffffff, 0, 0}, true},
               {{0xffffffffffffff, 0, 0}, true},
               {{0x100000000000000, 0, 0}, false},
               {{0xffffffffffffffff, 0, 0}, false}}); // -1
    }
    for (const char *const calls : {"300=eclone", "387,300=eclone,500"}) {
        check(calls, AUDIT_ARCH_X86_64, 300,
              {{{0, 0x80000, 48}, false},
               {{0, 0x1fffff, 48}, false},
               {{0, 0x200000, 48}, true},
               {{0, 0x200000, 47}, false},
               {{0, 0x100000000, 48}, true}, // the lower half alone is small
               {{0, 0x7ffd00000000, 0x500000030}, true},
               {{0, 0x7ffd00000000, 0}, false}});
    }
    check("i386:338=eclone", AUDIT_ARCH_I386, 338,
          {{{0, 0x8000, 48}, false}, {{0, 0xffffd000, 48}, true}});
    CHECK(number_in_use(*CallTable::parse("i386:337,300=eclone")) == std::nullopt);
    CHECK(number_in_use(by(300)).has_value());
    CHECK_FALSE(number_in_use(by(299)).has_value());
    CHECK(number_in_use(*CallTable::parse("i386:338")).has_value());
    CHECK(warnings_of(*CallTable::parse("i386:337,300=eclone")).empty());
    const auto warnings = warnings_of(*CallTable::parse("387,i386:337=clone_with_pids"));
    REQUIRE(warnings.size() == 1);
    CHECK(warnings[0].find("recvmmsg") != std::string::npos);
}

TEST_CASE("number_in_use")
{
    CHECK(number_in_use(by(0)) == "0 is the system call read");
    CHECK(number_in_use(by(56)) == "56 is the system call clone");
    CHECK(number_in_use(by(435)) == "435 is the system call clone3");
    CHECK(number_in_use(CallTable()) == std::nullopt);
    CHECK(number_in_use(by(0x3fffffff)) == std::nullopt);
    CHECK(number_in_use(*CallTable::parse("387,39")) == "39 is the system call getpid");
    // Each by the table of its own architecture.
    const CallTable i386({{AUDIT_ARCH_I386, 120, standard_call.abi}});
    CHECK(number_in_use(i386) == "i386:120 is the system call clone");
}

TEST_CASE("install_filter: a listener, and EBUSY the second time")
{
    const auto program = filter_for(387);
    enum Status { good, first_failed, no_refusal, unpaired };
    for (const bool prefer : {true, false}) {
        Child child([&] {
            const auto no_new_privs = [] {
                return procfs()->status_field(getpid(), "NoNewPrivs") == "1";
            };
            const bool before = no_new_privs();
            const auto first = install_filter(program, prefer);
            if (!first || (first->wait_killable && !prefer)) {
                return first_failed;
            }
            // It is reported if and only if it was set, unless the test's caller already had it.
            if (!before && no_new_privs() != first->no_new_privs) {
                return unpaired;
            }
            const auto second = install_filter(program, prefer);
            return !second && second.error().err == EBUSY &&
                           second.error().cause == Cause::second_listener
                       ? good
                       : no_refusal;
        });
        CHECK(WEXITSTATUS(child.wait()) == good);
    }
}

TEST_CASE("install_filter: an invalid program is refused with an errno")
{
    Child child([] {
        const sock_filter nonsense{0xffff, 0, 0, 0};
        const auto installed = install_filter({&nonsense, 1});
        return installed ? 0 : installed.error().err;
    });
    CHECK(WEXITSTATUS(child.wait()) == EINVAL);
}
