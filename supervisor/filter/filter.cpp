// SPDX-License-Identifier: MIT
#include "filter/filter.hpp"

#include "arch/architecture.hpp"
#include "filter/announcements.hpp"
#include "filter/announcing_calls.h"
#include "filter/seccomp_filter.h"

#include <seccomp.h>

#include <algorithm>
#include <cassert>
#include <cstdlib>
#include <iterator>
#include <memory>

namespace clone2
{

namespace
{

const shared_number *find_announcing(std::uint32_t arch, int number)
{
    const auto *const found = std::find_if(
        std::begin(announcing_calls), std::end(announcing_calls),
        [&](const auto &call) { return call.audit_arch == arch && call.number == number; });
    return found != std::end(announcing_calls) ? found : nullptr;
}

std::span<const call_guard> guards_of(const TrappedCall &call)
{
    if (call.abi == nullptr) {
        const shared_number *const announcing = find_announcing(call.arch, call.number);
        assert(announcing != nullptr);
        return std::span(announcing->guards).first(announcing->guard_count);
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
    for (const shared_number &call : announcing_calls) {
        if (find_architecture(call.audit_arch) != nullptr) {
            calls.push_back({call.audit_arch, call.number, nullptr});
        }
    }
    return calls;
}

bool is_announcement(const Notification &notification)
{
    return find_announcing(notification.arch, notification.nr) != nullptr &&
           static_cast<std::uint32_t>(notification.args[0]) == CLONE2_ANNOUNCEMENT;
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
