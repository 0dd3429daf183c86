// SPDX-License-Identifier: MIT
#pragma once

#include "base/result.hpp"
#include "plan/planner.hpp"
#include "plan/request.hpp"
#include "target/namespaces.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <sys/types.h>

namespace clone2
{

/// How the pids that a call asks for are obtained. Implementations are thread-safe.
///
/// A call goes through prepare(), perhaps a policy that refuses it, choose(), the call in the
/// target, and judge(); through the last two again as often as judge() wants that. A target may die
/// at any point, and its call is then never judged: what a strategy holds for a call, it has to
/// release by itself.
class PidStrategy
{
public:
    PidStrategy() = default;
    PidStrategy(const PidStrategy &) = delete;
    PidStrategy &operator=(const PidStrategy &) = delete;
    virtual ~PidStrategy() = default;

    struct Prepared {
        Plan plan;
        bool reports_success = false; ///< judge() has to see a success, too
        /// What was looked up about the target, if anything was.
        std::optional<TargetNamespaces> target;
    };
    /// Plans the call. Whether this caller may choose pids is the strategy's verdict.
    /// Error with target_gone() when the target died meanwhile. `user_end`: see plan().
    [[nodiscard]] virtual Result<Prepared> prepare(pid_t tid, const Request &request,
                                                   std::uint64_t user_end) = 0;

    /// The last step before the target is sent into the call. The plan is a CloneCall, and may
    /// become a Refusal.
    virtual void choose(pid_t tid, Prepared &prepared) = 0;

    /// A call that was made.
    struct Made {
        CloneCall &call; ///< changed where the call is to be made again
        std::uint32_t nr_pids = 0;
        std::uint32_t attempts = 0; ///< how often it was made again
        bool changed = false;       ///< the target has changed what was planned
        std::int64_t result = 0;    ///< a pid, or -errno; the target's word
        /// `why` will be read, so a search for what exactly was wrong is worth its time.
        bool explain = false;
    };
    struct Verdict {
        std::int64_t result = 0; ///< for the program: a pid, or -errno
        std::string why;         ///< for an errno: one clause for the log
        bool again = false;      ///< make the call again; `result` counts if that fails
    };
    /// Decides the result of the call.
    [[nodiscard]] virtual Verdict judge(pid_t tid, const Made &made) = 0;
};

} // namespace clone2
