// SPDX-License-Identifier: MIT
#include "listener/filter.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <sys/wait.h>

#include <cerrno>
#include <cstddef>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <optional>

using namespace clone2;
using namespace clone2::test;

namespace
{

constexpr std::uint32_t x32 = 0x40000000;

/// What the program returns for this call; nullopt: it does something that the kernel's
/// constant-action bitmap does not follow, or never ends.
std::optional<std::uint32_t> run(const std::vector<sock_filter> &program, std::uint32_t arch,
                                 std::uint32_t nr)
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
            } else {
                return std::nullopt;
            }
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
    const Abi dummy{"dummy", 0, nullptr, nullptr, nullptr};
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
    CHECK(run(build_filter(CallTable().without(standard_call)), AUDIT_ARCH_X86_64, 387) ==
          SECCOMP_RET_ALLOW);
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
