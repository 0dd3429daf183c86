// SPDX-License-Identifier: MIT
#include "listener/filter.hpp"

#include "listener/seccomp_filter.h"

#include <seccomp.h>

#include <cassert>
#include <cstdlib>
#include <memory>

namespace clone2
{

std::vector<sock_filter> build_filter(const CallTable &table)
{
    std::vector<sock_filter> steps(table.calls().size() * FILTER_NOTIFY_STEPS + 1);
    sock_fprog program{0, steps.data()};
    for (const TrappedCall &call : table.calls()) {
        assert(call.number != any_number);
        filter_notify(&program, call.arch, call.number);
    }
    filter_answer(&program, SECCOMP_RET_ALLOW);
    return steps;
}

std::optional<std::string> number_in_use(const CallTable &table)
{
    for (const TrappedCall &call : table.calls()) {
        const std::unique_ptr<char, decltype(&std::free)> name(
            seccomp_syscall_resolve_num_arch(call.arch, call.number), std::free);
        if (name) {
            return number_text(call.arch, call.number) + " is the system call " + name.get();
        }
    }
    return std::nullopt;
}

} // namespace clone2
