// SPDX-License-Identifier: MIT
#include "listener/filter.hpp"
#include "listener/seccomp_filter.h"
#include "support.hpp"

#include <doctest/doctest.h>

#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <cstddef>
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
        case BPF_JMP | BPF_JA:
            at += step.k;
            break;
        case BPF_JMP | BPF_JEQ | BPF_K:
            at += accumulator == step.k ? step.jt : step.jf;
            break;
        case BPF_JMP | BPF_JGE | BPF_K: // libseccomp's x32 check
            at += accumulator >= step.k ? step.jt : step.jf;
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
    auto built = build_filter(nr);
    REQUIRE(built.has_value());
    CHECK(built->size() <= BPF_MAXINSNS);
    return *built;
}

/// The filter of who can't have libseccomp.
std::vector<sock_filter> freestanding_filter_for(int nr)
{
    std::vector<sock_filter> steps(FILTER_NOTIFY_STEPS + 1);
    sock_fprog program{0, steps.data()};
    filter_notify(&program, NATIVE_AUDIT_ARCH, nr);
    filter_answer(&program, SECCOMP_RET_ALLOW);
    CHECK(program.len == steps.size());
    return steps;
}

} // namespace

TEST_CASE("filter_notify: answers each call as libseccomp's filter does")
{
    constexpr std::array<int, 9> numbers{0, 1, 337, 386, 387, 388, 600, 0x3ffffffe, 0x3fffffff};
    std::vector<std::uint32_t> called;
    for (std::uint32_t nr = 0; nr <= 1000; ++nr) {
        called.push_back(nr);
    }
    for (unsigned bit = 0; bit < 32; ++bit) {
        for (const int nr : numbers) {
            called.push_back(static_cast<std::uint32_t>(nr) ^ (1U << bit));
        }
    }
    for (const std::uint32_t nr : {0x3ffffffdU, 0x3fffffffU, x32, 0x7fffffffU, 0xffffffffU}) {
        called.push_back(nr);
    }
    for (const int nr : numbers) {
        const auto oracle = filter_for(nr);
        const auto program = freestanding_filter_for(nr);
        for (const std::uint32_t arch :
             {std::uint32_t{AUDIT_ARCH_X86_64}, std::uint32_t{AUDIT_ARCH_I386},
              std::uint32_t{AUDIT_ARCH_AARCH64}, std::uint32_t{AUDIT_ARCH_RISCV64},
              std::uint32_t{AUDIT_ARCH_S390X}, 0U, 0xffffffffU}) {
            for (const std::uint32_t call : called) {
                const auto expected = run(oracle, arch, call);
                REQUIRE(expected.has_value());
                if (run(program, arch, call) != expected) {
                    CAPTURE(nr);
                    CAPTURE(arch);
                    CAPTURE(call);
                    FAIL_CHECK("they differ");
                }
            }
        }
    }
}

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

TEST_CASE("name_of_system_call")
{
    CHECK(name_of_system_call(0) == "read");
    CHECK(name_of_system_call(56) == "clone");
    CHECK(name_of_system_call(435) == "clone3");
    CHECK_FALSE(name_of_system_call(387).has_value());
    CHECK_FALSE(name_of_system_call(0x3fffffff).has_value());
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
