// SPDX-License-Identifier: MIT
#pragma once

#include <boost/system/result.hpp>

#include <cerrno>
#include <cstdint>
#include <string>
#include <sys/types.h>

namespace clone2
{

/// Why something failed, set where that is known. Each has its text and its errno in result.cpp.
enum class Cause : std::uint8_t {
    // The operation failed.
    errno_alone, ///< its errno says all that is known
    forbidden,
    missing,
    target_gone,   ///< normal, and not worth a message
    no_descriptor, ///< for us, not for the target
    not_traceable, ///< a thread has only one tracer
    // No operation failed.
    target_moved, ///< it is not where its notification came from
    slots_in_use,
    no_room, ///< for the code
    no_exit, ///< of the code, for one more place in the program
    other_code_segment,
    no_memory,        ///< in the target, for the area
    calls_dispatched, ///< an emulator would take the system calls of our code for the program's
    second_listener,
    no_notifications,
    child_killed,
};

/// Whether this errno says that no descriptor is left, for the process or the system.
[[nodiscard]] constexpr bool is_lack_of_descriptors(int err)
{
    return err == EMFILE || err == ENFILE;
}

/// What failed, on which target, and why.
struct Error {
    const char *operation = ""; ///< as in the man page: "ptrace(PTRACE_SEIZE)"; static storage
    pid_t tid = 0;              ///< the target's tid in the supervisor's pid namespace, or 0: none
    int err = 0;                ///< errno value, > 0
    Cause cause = Cause::errno_alone;
    /// The target's call has already ended with ENOSYS; only the reason remains to be reported.
    bool answered = false;

    Error() = default;
    /// An operation failed with this errno.
    Error(const char *failed, pid_t target, int errno_value);
    Error(const char *failed, pid_t target, int errno_value, Cause why)
        : operation(failed), tid(target), err(errno_value), cause(why)
    {
    }
    /// Something else than an operation.
    explicit Error(Cause why, pid_t target = 0);

    [[nodiscard]] bool target_gone() const { return cause == Cause::target_gone; }
    [[nodiscard]] bool no_descriptor() const { return cause == Cause::no_descriptor; }
    /// What a target gets whose call is refused for it. `err` may mean something else to a program.
    [[nodiscard]] int errno_for_target() const;
    /// "ptrace(PTRACE_SEIZE, 4711): Operation not permitted", or the cause's text where no
    /// operation failed.
    [[nodiscard]] std::string to_string() const;
    /// The same, and what it means to a target whose call is refused for it.
    [[nodiscard]] std::string refusal() const;
};

/// An Error with the current errno.
inline Error last_error(const char *operation, pid_t tid = 0)
{
    return {operation, tid, errno};
}

[[noreturn]] void throw_exception_from_error(const Error &error,
                                             const boost::source_location &where);

/// A value or an Error. Only constructors throw, at start-up.
template <typename T>
using Result = boost::system::result<T, Error>;

} // namespace clone2
