// SPDX-License-Identifier: MIT
//
// clone_with_pids(flags, child_stack, parent_tid, tls, child_tid, struct target_pid_set *): the
// call as it was one version before the proposal. It existed for i386 only.
#include "abi/abi.hpp"

#include <csignal>
#include <cstring>

namespace clone2
{

namespace
{

struct TargetPidSet {
    std::int32_t num_pids;
    std::uint32_t target_pids; ///< their address
};

} // namespace

const Abi clone_with_pids_abi = {
    "clone_with_pids",
    sizeof(TargetPidSet),
    "target_pid_set",
    [](const Arguments &args) {
        return args[5] != 0 ? std::optional(RemotePtr{args[5]}) : std::nullopt;
    },
    [](const Arguments &) -> std::optional<RemotePtr> { return std::nullopt; },
    [](const Arguments &args, std::span<const std::byte> structure, const Architecture &) {
        Request request;
        request.flags = static_cast<std::uint32_t>(args[0]);
        request.child_stack = args[1];
        request.pidfd = args[2]; // one argument, as clone(2) has it
        request.parent_tid = args[2];
        request.tls = args[3];
        request.child_tid = args[4];
        if (!structure.empty()) {
            TargetPidSet set{};
            std::memcpy(&set, structure.data(), sizeof set);
            if (set.num_pids < 0) {
                request.malformed = "num_pids is negative";
                return request;
            }
            request.nr_pids = static_cast<std::uint32_t>(set.num_pids);
            request.pids_address = set.target_pids;
        }
        return request;
    },
    [](std::uint64_t data_address, pid_t pid) {
        const TargetPidSet set{pid != 0 ? 1 : 0,
                               static_cast<std::uint32_t>(data_address + TrialCall::pid_offset)};
        TrialCall trial;
        trial.args = {SIGCHLD, 0, 0, 0, 0, data_address};
        trial.set_data(set, pid);
        return trial;
    },
};

} // namespace clone2
