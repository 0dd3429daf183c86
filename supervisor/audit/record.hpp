// SPDX-License-Identifier: MIT
#pragma once

#include "abi/call_table.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace clone2
{

/// One finished call.
struct CallRecord {
    std::int64_t time_ns = 0; ///< CLOCK_REALTIME when it ended
    pid_t tid = 0;            ///< the caller, in the supervisor's pid namespace
    std::string comm;         ///< its command name; raw bytes
    /// Absolute nesting level of the child's pid namespace; nullopt: the caller is gone.
    std::optional<unsigned> level;
    /// Whose call it is: the uid of the peer that handed the listener over; without a peer, the
    /// caller's effective uid. nullopt: the caller is gone.
    std::optional<uid_t> uid;
    std::string peer; ///< see ListenerOwner; raw bytes
    const Abi *abi = standard_call.abi;
    std::uint64_t flags = 0; ///< as asked; 0 if the arguments could not be read
    std::uint32_t nr_pids = 0;
    std::vector<pid_t> pids; ///< as asked, oldest namespace first, at most 33
    /// The kernel's own clone2 makes the call, so the result is not known here.
    bool passed_to_kernel = false;
    std::int64_t result = 0; ///< a pid in the caller's namespace, or -errno
    /// The child's pid in the supervisor's pid namespace; 0: no child, or it can't be seen.
    pid_t child_here = 0;
    std::string why; ///< the reason for an errno, one clause
    /// One clause if the target's report does not match what the target was sent to do; else empty.
    /// A result without a doubt is still only the target's word.
    std::string doubt;
    std::int64_t latency_us = 0; ///< from the notification's arrival to the answer
};

/// Receives finished calls. Implementations are thread-safe.
class AuditSink
{
public:
    AuditSink() = default;
    AuditSink(const AuditSink &) = delete;
    AuditSink &operator=(const AuditSink &) = delete;
    virtual ~AuditSink() = default;

    virtual void record(const CallRecord &record) = 0;
    /// Whether to report successes too; each then costs one more round trip.
    [[nodiscard]] virtual bool wants_successes() const = 0;
    /// Whether to fill in comm, level, uid and child_here, which costs some system calls.
    [[nodiscard]] virtual bool wants_details() const = 0;
};

} // namespace clone2
