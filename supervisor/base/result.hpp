// SPDX-License-Identifier: MIT
#pragma once

#include <boost/system/result.hpp>

#include <cerrno>
#include <string>
#include <sys/types.h>

namespace clone2
{

/// What failed: the operation, on which target, with which errno.
struct Error {
    const char *operation = ""; ///< as in the man page: "ptrace(PTRACE_SEIZE)"; static storage
    pid_t tid = 0;              ///< the target's tid in the supervisor's pid namespace, or 0: none
    int err = 0;                ///< errno value, > 0
    /// The target's call has already ended with ENOSYS; only the reason remains to be reported.
    bool answered = false;

    /// The target is gone. That is normal and not worth a message.
    [[nodiscard]] bool target_gone() const { return err == ESRCH || err == ENOENT; }
    /// "ptrace(PTRACE_SEIZE, 4711): Operation not permitted"
    [[nodiscard]] std::string to_string() const;
};

/// An Error with the current errno.
inline Error last_error(const char *operation, pid_t tid = 0)
{
    return Error{operation, tid, errno};
}

[[noreturn]] void throw_exception_from_error(const Error &error,
                                             const boost::source_location &where);

/// A value or an Error. Only constructors throw, at start-up.
template <typename T>
using Result = boost::system::result<T, Error>;

} // namespace clone2
