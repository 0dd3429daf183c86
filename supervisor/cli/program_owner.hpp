// SPDX-License-Identifier: MIT
#pragma once

#include "agent/judged_owner.hpp"
#include "cli/injection.hpp"

#include <atomic>
#include <cstdint>
#include <optional>
#include <vector>

namespace clone2::cli
{

/// The owner of the wrapper's listener: PROGRAM, with its policy and its injected failures.
class ProgramOwner final : public agent::JudgedOwner
{
public:
    ProgramOwner(const Shared &shared, std::vector<Injection> injections);

    [[nodiscard]] std::optional<Refusal> inject() override;

private:
    const std::vector<Injection> injections_;
    std::atomic<std::uint64_t> calls_{0};
};

} // namespace clone2::cli
