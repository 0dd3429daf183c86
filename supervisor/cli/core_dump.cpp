// SPDX-License-Identifier: MIT
#include "cli/core_dump.hpp"

#include "base/fd.hpp"
#include "cli/user_namespace.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <exception>
#include <fstream>
#include <string>

namespace clone2::cli
{

namespace
{

/// The directory of which the kernel's core_pattern makes a file: "" for the current one. A text
/// that can't be a directory, "|", if it is something else than a file, or not certain.
std::string directory_of_cores()
{
    std::ifstream file("/proc/sys/kernel/core_pattern");
    std::string pattern;
    std::getline(file, pattern);
    const std::size_t slash = pattern.rfind('/');
    const std::string directory = slash == std::string::npos ? "" : pattern.substr(0, slash);
    const bool certain = !pattern.empty() && pattern[0] != '|' && pattern[0] != '@' &&
                         directory.find('%') == std::string::npos &&
                         (slash == std::string::npos || pattern[0] == '/');
    return certain ? directory + (slash == 0 ? "/" : "") : "|";
}

dev_t device_of(const char *path)
{
    struct stat status {
    };
    return ::stat(path, &status) == 0 ? status.st_dev : 0;
}

/// Whether cores now go to a file system of our own. A mount over "/" does not change where our own
/// paths begin.
bool hide_directory(std::string directory)
{
    const bool current = directory.empty();
    const dev_t before = device_of(current ? "." : directory.c_str());
    if (current) {
        directory = "/proc"; // it surely exists, and nothing needs it any more
    }
    return ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
           ::mount("none", directory.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "size=1m") == 0 &&
           (!current || ::chdir(directory.c_str()) == 0) &&
           device_of(current ? "." : directory.c_str()) != before;
}

} // namespace

void dump_no_core()
{
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    ::prctl(PR_SET_DUMPABLE, 0);
}

bool dump_hidden_core()
{
    bool hidden = false;
    try {
        const std::string directory = directory_of_cores();
        // Only the headers, no memory.
        const Fd filter{::open("/proc/self/coredump_filter", O_WRONLY | O_CLOEXEC)};
        // Otherwise the kernel uses the first process's directories.
        const bool ordinary = ::prctl(PR_GET_DUMPABLE) == 1;
        if (directory != "|" && ordinary && filter && ::write(filter.get(), "0", 1) == 1) {
            if (::unshare(CLONE_NEWNS) != 0) {
                enter_user_namespace(CLONE_NEWNS, {true, nullptr});
            }
            hidden = hide_directory(directory);
        }
    } catch (const std::exception &) {
        hidden = false; // no new namespaces here
    }
    if (!hidden) {
        dump_no_core();
        return false;
    }
    rlimit limit{};
    if (::getrlimit(RLIMIT_CORE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        ::setrlimit(RLIMIT_CORE, &limit);
    }
    return true;
}

} // namespace clone2::cli
