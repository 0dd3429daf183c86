// SPDX-License-Identifier: MIT
//
// clone2(struct clone_struct *, pid_t *pids, ..., tls in clone(2)'s register): version 7 of the
// proposal.
#include "abi/abi.hpp"
#include "abi/clone_struct.hpp"

#include <csignal>
#include <cstring>

namespace clone2
{

const Abi clone2_abi = {
    "clone2",
    sizeof(CloneStruct),
    "clone_struct",
    [](const Arguments &args) { return std::optional(RemotePtr{args[0]}); },
    [](const Arguments &args) { return std::optional(RemotePtr{args[1]}); },
    [](const Arguments &args, std::span<const std::byte> structure, const Architecture &arch) {
        CloneStruct raw{};
        std::memcpy(&raw, structure.data(), sizeof raw);
        Request request;
        request.flags = raw.flags;
        request.child_stack = raw.child_stack;
        request.pidfd = raw.parent_tid; // one field for both, as in clone(2)
        request.parent_tid = raw.parent_tid;
        request.child_tid = raw.child_tid;
        request.tls = args.at(arch.tls_argument());
        request.pids_address = args[1];
        request.nr_pids = raw.nr_pids;
        return request;
    },
    [](std::uint64_t data_address, pid_t pid) {
        CloneStruct raw{};
        raw.flags = SIGCHLD;
        raw.nr_pids = pid != 0 ? 1 : 0;
        TrialCall trial;
        trial.args = {data_address, data_address + TrialCall::pid_offset};
        trial.set_data(raw, pid);
        return trial;
    },
};

} // namespace clone2
