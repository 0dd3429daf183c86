// SPDX-License-Identifier: MIT
#pragma once

#include "base/fd.hpp"
#include "base/remote_ptr.hpp"
#include "base/result.hpp"

#include <optional>
#include <string>
#include <vector>

namespace clone2
{

/// The value of the line "field:" in the text of a status file, without its leading blanks.
/// nullopt: there is no such line. Thread-safe.
[[nodiscard]] std::optional<std::string> status_value(const std::string &status, const char *field);

/// The /proc of the supervisor's own pid namespace, held open as a directory.
///
/// A supervisor may be started where /proc shows another namespace (unshare without
/// --mount-proc), or may outlive a /proc mount; tids from notifications mean something only in
/// the right one. Thread-safe after construction.
class Procfs
{
public:
    /// Uses /proc if it shows our own pid namespace, else a private mount of our own.
    /// Throws std::system_error where neither is to be had.
    Procfs();

    /// openat() of "TID/name" with O_CLOEXEC.
    [[nodiscard]] Result<Fd> open(pid_t tid, const char *name, int flags) const;
    /// The whole of the (small) file "TID/name"; nullopt when the target is gone.
    [[nodiscard]] std::optional<std::string> read_if_alive(pid_t tid, const char *name) const;
    /// "Name:" line's value in TID/status, without the leading blank.
    [[nodiscard]] std::optional<std::string> status_field(pid_t tid, const char *field) const;
    /// The state letter of a thread (proc(5), "S", "D", "R" ...); 0 when it is gone.
    [[nodiscard]] char state(pid_t tid) const;
    /// All pids (thread group leaders) seen here.
    [[nodiscard]] std::vector<pid_t> pids() const;
    /// The command name (comm) of a thread; empty when it is gone.
    [[nodiscard]] std::string comm(pid_t tid) const;

private:
    Fd root_;
};

} // namespace clone2
