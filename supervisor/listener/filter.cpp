// SPDX-License-Identifier: MIT
#include "listener/filter.hpp"

#include "base/fd.hpp"

#include <fcntl.h>
#include <seccomp.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <memory>

namespace clone2
{

namespace
{

struct ReleaseContext {
    void operator()(void *context) const { seccomp_release(context); }
};

Error libseccomp_error(const char *operation, int result)
{
    return Error{operation, 0, result < 0 ? -result : EIO};
}

/// Exports the program through a pipe, because RLIMIT_FSIZE does not limit pipes and a filter is
/// far smaller than a pipe's buffer. libseccomp does not load it: version 2.5 can't ask for
/// WAIT_KILLABLE_RECV.
Result<std::vector<sock_filter>> export_program(void *context)
{
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) {
        return last_error("pipe2()");
    }
    const Fd from{ends[0]};
    Fd to{ends[1]};
    if (const int r = seccomp_export_bpf(context, to.get()); r != 0) {
        return libseccomp_error("seccomp_export_bpf()", r);
    }
    to.reset();
    std::vector<sock_filter> program(BPF_MAXINSNS);
    const ssize_t size = ::read(from.get(), program.data(), program.size() * sizeof(sock_filter));
    if (size < 0) {
        return last_error("read(pipe)");
    }
    program.resize(static_cast<std::size_t>(size) / sizeof(sock_filter));
    return program;
}

} // namespace

Result<std::vector<sock_filter>> build_filter(int nr)
{
    // Otherwise libseccomp probes this kernel and reports a refused seccomp(2) as "Invalid
    // argument". Installing the filter shows what the kernel supports.
    constexpr unsigned with_notification = 5;
    [[maybe_unused]] static const int set = seccomp_api_set(with_notification);
    const std::unique_ptr<void, ReleaseContext> context(seccomp_init(SCMP_ACT_ALLOW));
    if (!context) {
        return Error{"seccomp_init()", 0, ENOMEM};
    }
    if (const int r = seccomp_attr_set(context.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ALLOW);
        r != 0) {
        return libseccomp_error("seccomp_attr_set(ACT_BADARCH)", r);
    }
    if (const int r = seccomp_rule_add(context.get(), SCMP_ACT_NOTIFY, nr, 0); r != 0) {
        return libseccomp_error("seccomp_rule_add()", r);
    }
    return export_program(context.get());
}

std::optional<std::string> name_of_system_call(int nr)
{
    const std::unique_ptr<char, decltype(&std::free)> name(
        seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, nr), std::free);
    if (!name) {
        return std::nullopt;
    }
    return std::string(name.get());
}

} // namespace clone2
