// SPDX-License-Identifier: MIT
#pragma once

#include "base/fd.hpp"
#include "base/remote_ptr.hpp"
#include "base/result.hpp"
#include "base/spare_fds.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace clone2
{

/// The value of the line "field:" in the text of a status file, without leading blanks. nullopt: no
/// such line. Thread-safe.
[[nodiscard]] std::optional<std::string> status_value(const std::string &status, const char *field);

/// Whether the procfs at `root` has the pids of our own pid namespace. That its /proc/self has our
/// pid is no proof: in another namespace it may be the same by chance. Thread-safe.
[[nodiscard]] bool shows_own_pids(int root);

/// Whether /proc itself does. False also if there is none. Thread-safe.
[[nodiscard]] bool proc_shows_own_pids();

/// The state letter in the text of a thread's stat file (proc(5): "S", "D", "R" ...); 0: there is
/// none. Thread-safe.
[[nodiscard]] char state_in_stat(const std::string &stat);

/// The command name in the text of a status file, as raw bytes. Thread-safe.
[[nodiscard]] std::string comm_in_status(const std::string &status);

/// The /proc of the supervisor's own pid namespace, held open as a directory.
///
/// /proc may show another namespace when the supervisor starts (unshare without --mount-proc), and
/// the mount may go away later. Tids from notifications are valid only in the right one.
/// Thread-safe after construction.
class Procfs
{
public:
    /// Uses /proc if it shows our own pid namespace, else a private mount. Throws std::system_error
    /// if neither works.
    Procfs();

    /// openat() of "TID/name" with O_CLOEXEC, through spare_fds().
    [[nodiscard]] Result<Fd> open(pid_t tid, const char *name, int flags) const;
    /// The inode number of the namespace "TID/ns/name"; 0 if the target is gone, or there is none.
    [[nodiscard]] std::uint64_t namespace_inode(pid_t tid, const char *name) const;
    /// The whole (small) file "TID/name".
    [[nodiscard]] Result<std::string> read(pid_t tid, const char *name) const;
    /// The same; nullopt if the target is gone.
    [[nodiscard]] std::optional<std::string> read_if_alive(pid_t tid, const char *name) const;
    /// The value of the "field:" line in TID/status, without leading blanks.
    [[nodiscard]] std::optional<std::string> status_field(pid_t tid, const char *field) const;
    /// The state letter of a thread (proc(5): "S", "D", "R" ...); 0 if it is gone.
    [[nodiscard]] char state(pid_t tid) const;
    /// All pids (thread group leaders) visible here.
    [[nodiscard]] std::vector<pid_t> pids() const;
    /// The command name (comm) of a thread; empty if it is gone.
    [[nodiscard]] std::string comm(pid_t tid) const;
    /// For messages: '4711 "prog"', printable.
    [[nodiscard]] std::string name_of(pid_t tid) const;

    /// Those of all users of this /proc.
    [[nodiscard]] SpareFds &spare_fds() const { return spare_fds_; }

private:
    Fd root_;
    mutable SpareFds spare_fds_;
};

} // namespace clone2
