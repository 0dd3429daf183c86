// SPDX-License-Identifier: MIT
#include "arch/trial.hpp"

#include "arch/i386/trial.h"
#include "base/arch/native.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <linux/audit.h>
#include <vector>

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U // 6.3
#endif

extern "C" {
extern const std::byte clone2_i386_trial_begin[];
extern const std::byte clone2_i386_trial_parameters[];
extern const std::byte clone2_i386_trial_end[];
std::int32_t clone2_int80_trial(int number, const std::uint64_t *args);
}

namespace clone2
{

namespace
{

using Describe = std::function<TrialCall(std::uint64_t)>;

std::int32_t call_by_syscall(int number, const std::uint64_t *args)
{
    return static_cast<std::int32_t>(
        raw_call(number, args[0], args[1], args[2], args[3], args[4], args[5]));
}

/// In this process.
template <std::int32_t (*call)(int, const std::uint64_t *)>
int try_here(int number, const Describe &describe, int report)
{
    constexpr int child_status = 7;
    // An i386 call needs it below 4 GiB.
    void *const room = ::mmap(nullptr, sizeof(TrialCall::data), PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    if (room == MAP_FAILED) {
        return errno;
    }
    const TrialCall trial = describe(reinterpret_cast<std::uint64_t>(room));
    std::memcpy(room, trial.data.data(), sizeof trial.data);
    std::int32_t result = call(number, trial.args.data());
    if (result == 0) {
        ::_exit(child_status);
    }
    int status = 0;
    if (result > 0 && (::waitpid(result, &status, 0) != result || !WIFEXITED(status) ||
                       WEXITSTATUS(status) != child_status)) {
        result = -ECHILD;
    }
    ::_exit(::write(report, &result, sizeof result) == sizeof result ? 0 : EIO);
}

/// As trial.S has it.
struct Parameters {
    std::uint32_t number;
    std::array<std::uint32_t, 6> args;
    std::uint32_t report;
    std::uint32_t by_vdso;
    alignas(std::uint64_t) std::array<std::byte, sizeof(TrialCall::data)> data;
};
static_assert(offsetof(Parameters, number) == TRIAL_NUMBER);
static_assert(offsetof(Parameters, args) == TRIAL_ARGS);
static_assert(offsetof(Parameters, report) == TRIAL_REPORT);
static_assert(offsetof(Parameters, by_vdso) == TRIAL_BY_VDSO);
static_assert(offsetof(Parameters, data) == TRIAL_DATA);

int make_executable_file()
{
    const int file = ::memfd_create("clone2-trial", MFD_CLOEXEC | MFD_EXEC);
    return file >= 0 || errno != EINVAL ? file : ::memfd_create("clone2-trial", MFD_CLOEXEC);
}

/// In a 32-bit program, which this process becomes.
template <bool by_vdso>
int try_in_program(int number, const Describe &describe, int report)
{
    std::vector<std::byte> image(clone2_i386_trial_begin, clone2_i386_trial_end);
    const auto offset =
        static_cast<std::size_t>(clone2_i386_trial_parameters - clone2_i386_trial_begin);
    const TrialCall trial = describe(TRIAL_BASE + offset + TRIAL_DATA);
    Parameters parameters{};
    parameters.number = static_cast<std::uint32_t>(number);
    std::transform(trial.args.begin(), trial.args.end(), parameters.args.begin(),
                   [](std::uint64_t value) { return static_cast<std::uint32_t>(value); });
    parameters.report = static_cast<std::uint32_t>(report);
    parameters.by_vdso = by_vdso ? 1 : 0;
    parameters.data = trial.data;
    std::memcpy(image.data() + offset, &parameters, sizeof parameters);

    const int file = make_executable_file();
    if (file < 0 || ::write(file, image.data(), image.size()) < 0 ||
        ::fcntl(report, F_SETFD, 0) != 0) {
        return errno;
    }
    std::array<char, 13> name{"clone2-trial"};
    std::array<char *, 2> argv{name.data(), nullptr};
    std::array<char *, 1> environment{nullptr};
    ::syscall(SYS_execveat, file, "", argv.data(), environment.data(), AT_EMPTY_PATH);
    return errno;
}

constexpr std::array ways{
    TrialWay{AUDIT_ARCH_X86_64, "a 64-bit program", try_here<call_by_syscall>},
    TrialWay{AUDIT_ARCH_I386, "int $0x80 of a 32-bit program", try_in_program<false>},
    TrialWay{AUDIT_ARCH_I386, "the vdso of a 32-bit program", try_in_program<true>},
    TrialWay{AUDIT_ARCH_I386, "int $0x80 of a 64-bit program", try_here<clone2_int80_trial>},
};

} // namespace

std::span<const TrialWay> trial_ways()
{
    return ways;
}

} // namespace clone2
