// SPDX-License-Identifier: MIT
#include "cli/program_owner.hpp"

#include <unistd.h>

#include <utility>

namespace clone2::cli
{

namespace
{

agent::Subject caller()
{
    agent::Subject subject;
    subject.uid = ::geteuid();
    return subject;
}

} // namespace

ProgramOwner::ProgramOwner(const Shared &shared, std::vector<Injection> injections,
                           Mistakes &mistakes)
    : JudgedOwner(shared, caller(), "--policy"), injections_(std::move(injections)),
      mistakes_(mistakes)
{
}

ListenerOwner::Unserved ProgramOwner::not_trapped(const Notification &notification)
{
    mistakes_.mention(notification);
    return Unserved::is_left_to_kernel;
}

std::optional<Refusal> ProgramOwner::inject()
{
    if (injections_.empty()) {
        return std::nullopt;
    }
    const std::uint64_t count = ++calls_;
    for (const Injection &injection : injections_) {
        if (injection.hits(count)) {
            return Refusal{injection.err, "injected into call " + std::to_string(count)};
        }
    }
    return std::nullopt;
}

} // namespace clone2::cli
