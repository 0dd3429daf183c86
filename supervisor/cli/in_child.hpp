// SPDX-License-Identifier: MIT
#pragma once

#include "base/result.hpp"
#include "cli/messages.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <exception>
#include <optional>

namespace clone2::cli
{

/// What `look` sees in a child, which may change its own state for good. T is sent from process to
/// process; pointers to static storage are valid in both, as the child is a fork.
/// Cause::child_killed: nothing, as a filter kills for example. Throws std::system_error.
template <typename T, typename Look>
[[nodiscard]] Result<T> in_child(const Look &look)
{
    // T may begin with an Error, which would convert to T, too.
    const auto failed = [](const Error &error) {
        return Result<T>(boost::system::in_place_error, error);
    };
    auto [here, there] = make_socket_pair();
    const pid_t child = ::fork();
    if (child < 0) {
        return failed(last_error("fork()"));
    }
    if (child == 0) {
        here.reset();
        try {
            send_value<T>(there, look());
        } catch (const std::exception &) { // without a message the result is unknown
        }
        ::_exit(0);
    }
    there.reset();
    const std::optional<T> seen = receive_value<T>(here);
    int status = 0;
    const bool killed = ::waitpid(child, &status, 0) == child && WIFSIGNALED(status);
    if (seen) {
        return *seen;
    }
    return failed(killed ? Error(Cause::child_killed) : Error{"a message from a child", 0, EIO});
}

} // namespace clone2::cli
