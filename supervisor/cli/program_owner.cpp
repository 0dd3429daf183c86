// SPDX-License-Identifier: MIT
#include "cli/program_owner.hpp"

#include <utility>

namespace clone2::cli
{

namespace
{

agent::Subject subject_of(uid_t user)
{
    agent::Subject subject;
    subject.uid = user;
    return subject;
}

} // namespace

ProgramOwner::ProgramOwner(const Shared &shared, uid_t user, std::vector<Injection> injections,
                           Mistakes &mistakes)
    : JudgedOwner(shared, subject_of(user), "--policy"), injections_(std::move(injections)),
      mistakes_(mistakes)
{
}

ListenerOwner::Unserved ProgramOwner::not_trapped(const Notification &notification)
{
    if (!hear_announcement(notification)) {
        mistakes_.mention(notification);
    }
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
