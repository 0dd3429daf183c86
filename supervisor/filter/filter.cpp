// SPDX-License-Identifier: MIT
#include "filter/filter.hpp"

#include "arch/architecture.hpp"
#include "base/announcement.h"
#include "filter/announcements.hpp"
#include "filter/seccomp_filter.h"

#include <seccomp.h>

#include <array>
#include <cassert>
#include <cstdlib>
#include <memory>

namespace clone2
{

namespace
{

constexpr std::array is_announcement{call_guard{0, GUARD_EQUAL, CLONE2_ANNOUNCEMENT}};

std::span<const call_guard> guards_of(const TrappedCall &call)
{
    if (call.abi == nullptr) {
        return is_announcement;
    }
    const SharedNumber *const shared = find_shared_number(call);
    return shared != nullptr ? shared->guards : std::span<const call_guard>();
}

/// The name of the system call that has this number today, if there is one.
std::optional<std::string> name_of(const TrappedCall &call)
{
    const std::unique_ptr<char, decltype(&std::free)> name(
        seccomp_syscall_resolve_num_arch(call.arch, call.number), std::free);
    return name ? std::optional<std::string>(name.get()) : std::nullopt;
}

} // namespace

std::vector<sock_filter> build_filter(const CallTable &table, std::span<const TrappedCall> mistaken)
{
    std::vector<TrappedCall> calls(table.calls().begin(), table.calls().end());
    calls.insert(calls.end(), mistaken.begin(), mistaken.end());
    std::size_t size = 1;
    for (const TrappedCall &call : calls) {
        size += FILTER_NOTIFY_STEPS + guards_of(call).size() * FILTER_GUARD_STEPS;
    }
    std::vector<sock_filter> steps(size);
    sock_fprog program{0, steps.data()};
    for (const TrappedCall &call : calls) {
        assert(call.number != any_number);
        const auto guards = guards_of(call);
        filter_notify(&program, call.arch, call.number, guards.data(),
                      static_cast<unsigned>(guards.size()));
    }
    filter_answer(&program, SECCOMP_RET_ALLOW);
    steps.resize(program.len);
    return steps;
}

std::vector<TrappedCall> mistaken_calls(const CallTable &table)
{
    CallTable known = table;
    const CallTable standard;
    for (const TrappedCall &call : standard.calls()) {
        known = known.with(call);
    }
    for (const SharedNumber &shared : known_shared_numbers()) {
        known = shared.guards.empty() ? known : known.with(shared.call);
    }
    known = known.of_all_architectures();
    std::vector<TrappedCall> mistaken;
    for (const TrappedCall &call : known.calls()) {
        if (table.find(call.arch, call.number) == nullptr &&
            (!guards_of(call).empty() || !name_of(call))) {
            mistaken.push_back(call);
        }
    }
    for (TrappedCall call : table.calls()) {
        const Architecture *const arch = find_architecture(call.arch);
        const auto *const abi = arch != nullptr ? arch->unserved_abi() : nullptr;
        if (abi != nullptr && !name_of(call)) {
            call.number |= abi->number_bit;
            if (!name_of({abi->audit_arch, call.number, call.abi})) {
                mistaken.push_back(call);
            }
        }
    }
    return mistaken;
}

std::vector<TrappedCall> announcements()
{
    std::vector<TrappedCall> calls;
    for (const Architecture *const arch : architectures()) {
        const std::uint32_t token = arch->audit_arch();
        calls.push_back({token, seccomp_syscall_resolve_name_arch(token, "prctl"), nullptr});
    }
    return calls;
}

std::optional<std::string> number_in_use(const CallTable &table)
{
    for (const TrappedCall &call : table.calls()) {
        if (find_shared_number(call) != nullptr) {
            continue;
        }
        if (const auto name = name_of(call)) {
            return number_text(call.arch, call.number) + " is the system call " + *name;
        }
    }
    return std::nullopt;
}

std::vector<std::string> warnings_of(const CallTable &table)
{
    std::vector<std::string> warnings;
    for (const TrappedCall &call : table.calls()) {
        const SharedNumber *const shared = find_shared_number(call);
        if (shared != nullptr && shared->guards.empty()) {
            warnings.push_back(number_text(call.arch, call.number) + "=" +
                               std::string(call.abi->name) + " also takes all calls of " +
                               name_of(call).value_or("another system call") + " away");
        }
    }
    return warnings;
}

} // namespace clone2
