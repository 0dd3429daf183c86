// SPDX-License-Identifier: MIT
//
// eclone(u32 flags_low, struct clone_args *, int args_size, pid_t *pids): the last form of the
// series that the proposal belongs to.
#include "abi/abi.hpp"

#include <csignal>
#include <cstring>

namespace clone2
{

namespace
{

struct EcloneArgs {
    std::uint64_t clone_flags_high;
    std::uint64_t child_stack;
    std::uint64_t child_stack_size;
    std::uint64_t parent_tid_ptr;
    std::uint64_t child_tid_ptr;
    std::uint32_t nr_pids;
    std::uint32_t reserved0;
};
static_assert(sizeof(EcloneArgs) == 48);

bool has_known_size(const Arguments &args)
{
    return static_cast<std::uint32_t>(args[2]) == sizeof(EcloneArgs);
}

} // namespace

const Abi eclone_abi = {
    "eclone",
    sizeof(EcloneArgs),
    "clone_args",
    // Of another size it is not even read.
    [](const Arguments &args) {
        return has_known_size(args) ? std::optional(RemotePtr{args[1]}) : std::nullopt;
    },
    [](const Arguments &args) { return std::optional(RemotePtr{args[3]}); },
    [](const Arguments &args, std::span<const std::byte> structure, const Architecture &arch) {
        Request request;
        if (structure.empty()) {
            request.malformed = "args_size is not 48";
            return request;
        }
        EcloneArgs raw{};
        std::memcpy(&raw, structure.data(), sizeof raw);
        request.flags = static_cast<std::uint32_t>(args[0]);
        request.child_stack = arch.address(raw.child_stack);
        request.parent_tid = arch.address(raw.parent_tid_ptr);
        request.pidfd = request.parent_tid; // one field, as clone(2) has it
        request.child_tid = arch.address(raw.child_tid_ptr);
        request.tls = args.at(arch.tls_argument());
        request.pids_address = args[3];
        request.nr_pids = raw.nr_pids;
        if (raw.reserved0 != 0) {
            request.malformed = "reserved0 is not 0";
        } else if (raw.clone_flags_high != 0) {
            request.malformed = "clone_flags_high is not 0";
        } else if (raw.child_stack_size != 0) {
            request.malformed = "child_stack_size is not 0: child_stack is the stack pointer here";
        }
        return request;
    },
    [](std::uint64_t data_address, pid_t pid) {
        EcloneArgs raw{};
        raw.nr_pids = pid != 0 ? 1 : 0;
        TrialCall trial;
        trial.args = {SIGCHLD, data_address, sizeof raw, data_address + TrialCall::pid_offset};
        trial.set_data(raw, pid);
        return trial;
    },
};

} // namespace clone2
