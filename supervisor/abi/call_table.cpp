// SPDX-License-Identifier: MIT
#include "abi/call_table.hpp"

#include "arch/architecture.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>

namespace clone2
{

namespace
{

constexpr std::array abis{&clone2_abi, &eclone_abi, &clone_with_pids_abi};

const Abi *find_abi(std::string_view name)
{
    const auto *const found = std::find_if(abis.begin(), abis.end(),
                                           [&](const Abi *known) { return known->name == name; });
    return found != abis.end() ? *found : nullptr;
}

std::optional<TrappedCall> parse_one(std::string_view text)
{
    TrappedCall call = standard_call;
    if (const auto colon = text.find(':'); colon != std::string_view::npos) {
        const auto known = architectures();
        const auto found = std::find_if(known.begin(), known.end(), [&](const Architecture *arch) {
            return arch->name() == text.substr(0, colon);
        });
        if (found == known.end()) {
            return std::nullopt;
        }
        call.arch = (*found)->audit_arch();
        text.remove_prefix(colon + 1);
    }
    if (const auto equals = text.find('='); equals != std::string_view::npos) {
        call.abi = find_abi(text.substr(equals + 1));
        if (call.abi == nullptr) {
            return std::nullopt;
        }
        text = text.substr(0, equals);
    }
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), call.number);
    const bool good = error == std::errc() && end == text.data() + text.size() &&
                      call.number >= 0 && call.number <= highest_number;
    return good ? std::optional(call) : std::nullopt;
}

} // namespace

std::span<const Abi *const> known_abis()
{
    return abis;
}

std::span<const SharedNumber> known_shared_numbers()
{
    static const auto all = [] {
        std::array<SharedNumber, std::size(shared_numbers)> built{};
        std::transform(std::begin(shared_numbers), std::end(shared_numbers), built.begin(),
                       [](const shared_number &one) {
                           return SharedNumber{{one.audit_arch, one.number, find_abi(one.abi)},
                                               std::span(one.guards).first(one.guard_count)};
                       });
        return built;
    }();
    return all;
}

const SharedNumber *find_shared_number(const TrappedCall &call)
{
    const auto all = known_shared_numbers();
    const auto found = std::find_if(
        all.begin(), all.end(), [&](const SharedNumber &shared) { return shared.call == call; });
    return found != all.end() ? &*found : nullptr;
}

CallTable::CallTable()
{
    for (const Architecture *const arch : architectures()) {
        calls_.push_back({arch->audit_arch(), standard_call.number, standard_call.abi});
    }
}

CallTable CallTable::by_any_number()
{
    TrappedCall call = standard_call;
    call.number = any_number;
    return CallTable({call}).of_all_architectures();
}

CallTable CallTable::with(const TrappedCall &call) const
{
    CallTable more = *this;
    if (more.find(call.arch, call.number) == nullptr) {
        more.calls_.push_back(call);
    }
    return more;
}

std::optional<CallTable> CallTable::parse(std::string_view text)
{
    CallTable table{{}};
    for (std::size_t at = 0; at <= text.size();) {
        const std::size_t comma = std::min(text.find(',', at), text.size());
        const std::optional<TrappedCall> call = parse_one(text.substr(at, comma - at));
        if (!call || table.find(call->arch, call->number) != nullptr ||
            table.calls_.size() == max_calls) {
            return std::nullopt;
        }
        table.calls_.push_back(*call);
        at = comma + 1;
    }
    return table;
}

const TrappedCall *CallTable::find(std::uint32_t arch, int number) const
{
    const auto found = std::find_if(calls_.begin(), calls_.end(), [&](const TrappedCall &call) {
        return call.arch == arch && (call.number == number || call.number == any_number);
    });
    return found != calls_.end() ? &*found : nullptr;
}

CallTable CallTable::without_standard() const
{
    CallTable others = *this;
    std::erase_if(others.calls_, is_standard);
    return others;
}

CallTable CallTable::of_all_architectures() const
{
    CallTable all = *this;
    for (TrappedCall call : calls_) {
        for (const Architecture *const arch : architectures()) {
            call.arch = arch->audit_arch();
            all = all.with(call);
        }
    }
    return all;
}

std::string CallTable::text() const
{
    std::string text;
    for (const TrappedCall &call : calls_) {
        text += (text.empty() ? "" : ",") + number_text(call.arch, call.number);
        if (call.abi != standard_call.abi) {
            text += "=" + std::string(call.abi->name);
        }
    }
    return text;
}

std::string number_text(std::uint32_t arch, int number)
{
    const Architecture *const known = find_architecture(arch);
    const Architecture::UnservedAbi *const unserved =
        known != nullptr && number > highest_number ? known->unserved_abi() : nullptr;
    if (unserved != nullptr && (number & unserved->number_bit) != 0) {
        return std::string(unserved->name) + ":" + std::to_string(number & ~unserved->number_bit);
    }
    const std::string text = number == any_number ? "any" : std::to_string(number);
    return arch == standard_call.arch ? text : architecture_name(arch) + ":" + text;
}

} // namespace clone2
