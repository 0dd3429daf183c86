// SPDX-License-Identifier: MIT
#include "listener/filter.hpp"

#include "base/fd.hpp"

#include <seccomp.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
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

} // namespace

Result<std::vector<sock_filter>> build_filter(int nr)
{
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
    // Exported, not loaded: libseccomp 2.5 can't ask for WAIT_KILLABLE_RECV.
    const Fd file{::memfd_create("clone2-filter", MFD_CLOEXEC)};
    if (!file) {
        return last_error("memfd_create()");
    }
    if (const int r = seccomp_export_bpf(context.get(), file.get()); r != 0) {
        return libseccomp_error("seccomp_export_bpf()", r);
    }
    const off_t size = ::lseek(file.get(), 0, SEEK_END);
    std::vector<sock_filter> program(static_cast<std::size_t>(size) / sizeof(sock_filter));
    if (::pread(file.get(), program.data(), program.size() * sizeof(sock_filter), 0) != size) {
        return last_error("pread(memfd)");
    }
    return program;
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
