// SPDX-License-Identifier: MIT
#pragma once

#include "base/result.hpp"
#include "cli/messages.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <exception>
#include <optional>
#include <system_error>

namespace clone2::cli
{

/// What `look` sees in a child, which may change its own state for good. T is sent from process to
/// process; pointers to static storage are valid in both, as the child is a fork.
/// Cause::child_killed: nothing, as a filter kills for example. Fails with the errno of a
/// std::system_error that `look` throws. Throws std::system_error itself.
template <typename T, typename Look>
[[nodiscard]] Result<T> in_child(const Look &look)
{
    // T may begin with an Error, which would convert to T, too.
    const auto failed = [](const Error &error) {
        return Result<T>(boost::system::in_place_error, error);
    };
    struct Seen {
        Error failure; ///< err 0: none
        T value{};
    };
    auto [here, there] = make_socket_pair();
    const pid_t child = ::fork();
    if (child < 0) {
        return failed(last_error("fork()"));
    }
    if (child == 0) {
        here.reset();
        Seen seen;
        try {
            seen.value = look();
        } catch (const std::system_error &error) {
            seen.failure = {"a child", 0, error.code().value()};
        } catch (const std::exception &) {
            ::_exit(0); // without a message the result is unknown
        }
        send_value(there, seen);
        ::_exit(0);
    }
    there.reset();
    const std::optional<Seen> seen = receive_value<Seen>(here);
    int status = 0;
    const bool killed = ::waitpid(child, &status, 0) == child && WIFSIGNALED(status);
    if (seen && seen->failure.err != 0) {
        return failed(seen->failure);
    }
    if (seen) {
        return seen->value;
    }
    return failed(killed ? Error(Cause::child_killed) : Error{"a message from a child", 0, EIO});
}

} // namespace clone2::cli
