// SPDX-License-Identifier: MIT
#include "cli/provider.hpp"

#include "base/kernel_clone2.hpp"
#include "cli/own_failure.hpp"
#include "filter/announcements.hpp"
#include "filter/filter.hpp"

namespace clone2::cli
{

bool kernel_makes_calls(Provider provider)
{
    // Behind a filter the answer may come from another supervisor, so it proves nothing.
    if (provider == Provider::supervisor || (provider == Provider::automatic && is_filtered())) {
        return false;
    }
    const KernelClone2 found = probe_kernel_clone2(standard_call.number);
    if (provider == Provider::kernel && found == KernelClone2::absent) {
        fail("--provider=kernel: this kernel has no clone2 (system call " +
             std::to_string(standard_call.number) + ")");
    }
    return provider == Provider::kernel || found == KernelClone2::present;
}

std::vector<TrappedCall> watched_calls(const Options &options, bool kernel_serves)
{
    std::vector<TrappedCall> mistaken = mistaken_calls(options.calls);
    if (kernel_serves) {
        std::erase_if(mistaken, is_standard);
    }
    if (options.log) {
        const std::vector<TrappedCall> announcing = announcements();
        mistaken.insert(mistaken.end(), announcing.begin(), announcing.end());
    }
    return mistaken;
}

CallTable trapped_calls(const Options &options, bool kernel_serves)
{
    return kernel_serves ? options.calls.without_standard() : options.calls;
}

} // namespace clone2::cli
