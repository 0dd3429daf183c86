// SPDX-License-Identifier: MIT
#include "cli/pid_namespace.hpp"

#include "base/capabilities.h"
#include "base/fd.hpp"
#include "cli/own_failure.hpp"
#include "pids/pid_users.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <stdexcept>
#include <string>

namespace clone2::cli
{

namespace
{

/// Whether each pid namespace has its own pid_max. The version decides: on an older kernel root
/// would set everybody's, and nothing else shows the difference.
bool has_own_pid_max()
{
    utsname kernel{};
    int major = 0;
    int minor = 0;
    return ::uname(&kernel) == 0 && std::sscanf(kernel.release, "%d.%d", &major, &minor) == 2 &&
           (major > 6 || (major == 6 && minor >= 14));
}

/// Returns whether it could.
bool write_sysctl(const std::string &name, pid_t value)
{
    const std::string text = std::to_string(value);
    const Fd file{::open(("/proc/sys/kernel/" + name).c_str(), O_WRONLY | O_CLOEXEC)};
    return file && ::write(file.get(), text.data(), text.size()) == std::ssize(text);
}

UserMapping mapping_of(const Options &options, const AutomaticMapping &automatic)
{
    return {options.map_current_user, options.map_auto ? &automatic : nullptr};
}

void check_pid(const char *option, pid_t pid, pid_t limit)
{
    if (pid >= limit) {
        throw std::runtime_error(std::string(option) + ": " + std::to_string(pid) +
                                 " is out of range: pids here are 1.." + std::to_string(limit - 1));
    }
}

} // namespace

bool enter_shared_user_namespace(const Options &options, const AutomaticMapping &automatic)
{
    const bool wanted =
        options.map_auto && (effective_capabilities(0) & CAPABILITY(CAP_SYS_ADMIN)) == 0;
    if (wanted) {
        enter_user_namespace(0, mapping_of(options, automatic));
    }
    return wanted;
}

bool enter_namespaces(const Options &options, const AutomaticMapping &automatic)
{
    bool user_namespace = false;
    if (::unshare(CLONE_NEWPID) != 0) {
        if (errno != EPERM) {
            throw std::runtime_error("--pidns: new namespaces: " + no_namespace(errno));
        }
        enter_user_namespace(CLONE_NEWPID, mapping_of(options, automatic));
        user_namespace = true;
    }
    return user_namespace;
}

void mount_proc()
{
    // The parent, outside, keeps the /proc of its own pid namespace.
    if (::unshare(CLONE_NEWNS) != 0) {
        throw std::runtime_error("--pidns: a new mount namespace: " + no_namespace(errno));
    }
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
        throw std::runtime_error("--pidns: making mounts private: " + reason());
    }
    if (::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0) {
        throw std::runtime_error("--pidns: a new /proc: " + reason());
    }
}

void limit_pids(const Options &options)
{
    if (options.pid_max != 0) {
        if (!has_own_pid_max()) {
            throw std::runtime_error(
                "--pid-max: this kernel has one pid_max for all (Linux 6.14 has one per pid "
                "namespace)");
        }
        if (!write_sysctl("pid_max", options.pid_max)) {
            throw std::runtime_error("--pid-max: " + std::to_string(options.pid_max) + ": " +
                                     reason() +
                                     (errno == EINVAL ? " (the kernel's minimum is 8 for each "
                                                        "possible CPU, and at least 301)"
                                                      : ""));
        }
    }
    const pid_t limit = read_pid_max();
    check_pid("--pid", options.program_pid, limit);
    check_pid("--first-pid", options.first_pid, limit);
}

void count_pids_from(pid_t next, const char *option)
{
    if (!write_sysctl("ns_last_pid", next - 1)) {
        throw std::runtime_error(
            std::string(option) + ": /proc/sys/kernel/ns_last_pid: " + reason() +
            (errno == ENOENT ? " (this kernel has no CONFIG_CHECKPOINT_RESTORE)" : ""));
    }
}

} // namespace clone2::cli
