// SPDX-License-Identifier: MIT
#include "cli/own_failure.hpp"

#include "base/diagnostics.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <cstring>
#include <system_error>

namespace clone2::cli
{

namespace
{

/// "8" or "unlimited".
template <typename Resource>
std::string soft_limit(Resource resource)
{
    rlimit limit{};
    (void)::getrlimit(resource, &limit);
    return limit.rlim_cur == RLIM_INFINITY ? "unlimited" : std::to_string(limit.rlim_cur);
}

/// The limit that an errno speaks of, in brackets; or nothing.
std::string limit_behind(int err)
{
    switch (err) {
    case EMFILE:
        return " (ulimit -n is " + soft_limit(RLIMIT_NOFILE) + ")";
    case EAGAIN: // of fork() and pthread_create()
        return " (ulimit -u is " + soft_limit(RLIMIT_NPROC) +
               "; a control group may limit processes, too)";
    default:
        return "";
    }
}

} // namespace

std::string reason(int err)
{
    return std::strerror(err) + limit_behind(err);
}

std::string no_namespace(int err)
{
    return reason(err) + (err == ENOSPC ? " (pid and user namespaces nest at most 32 deep, and "
                                          "/proc/sys/user/max_*_namespaces limit their number)"
                                        : "");
}

std::string reason_of(const Error &error)
{
    return error.operation + (": " + reason(error.err));
}

std::string reason_of(const std::exception &error)
{
    const auto *const system = dynamic_cast<const std::system_error *>(&error);
    return error.what() + (system != nullptr ? limit_behind(system->code().value()) : "");
}

void fail(const std::string &message)
{
    Diagnostics::line(message);
    ::_exit(own_failure);
}

} // namespace clone2::cli
