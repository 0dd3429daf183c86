// SPDX-License-Identifier: MIT
#pragma once

#include "agent/judged_owner.hpp"
#include "cli/injection.hpp"
#include "cli/mistakes.hpp"

#include <atomic>
#include <cstdint>
#include <optional>
#include <vector>

namespace clone2::cli
{

/// The owner of the wrapper's listener: PROGRAM, with its policy and its injected failures. The
/// kernel answers calls that are not served.
class ProgramOwner final : public agent::JudgedOwner
{
public:
    /// `user`: whose PROGRAM it is. `mistakes` must outlive it.
    ProgramOwner(const Shared &shared, uid_t user, std::vector<Injection> injections,
                 Mistakes &mistakes);

    [[nodiscard]] std::optional<Refusal> inject() override;
    [[nodiscard]] Unserved not_trapped(const Notification &notification) override;

private:
    const std::vector<Injection> injections_;
    std::atomic<std::uint64_t> calls_{0};
    Mistakes &mistakes_;
};

} // namespace clone2::cli
