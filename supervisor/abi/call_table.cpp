// SPDX-License-Identifier: MIT
#include "abi/call_table.hpp"

#include "arch/architecture.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace clone2
{

namespace
{

/// Those that --nr can name.
constexpr std::array abis{&clone2_abi, &eclone_abi, &clone_with_pids_abi};

/// recvmmsg's first argument is a descriptor, or -1; clone2's is the address of its struct. No
/// program has a table of so many descriptors, and the lowest address at which i386 programs are
/// linked is above. User addresses end at IA32_PAGE_OFFSET.
constexpr std::array not_recvmmsg{Guard{0, Guard::Is::at_least, 0x08000000},
                                  Guard{0, Guard::Is::below, 0xffffe000}};
/// fanotify_init's second argument is a word of open(2)'s flags, all of them below this; eclone's
/// is the address of its struct. eclone's third is the struct's size.
constexpr std::array not_fanotify_init{Guard{1, Guard::Is::at_least, 0x00200000},
                                       Guard{2, Guard::Is::equal, 48}};

constexpr std::array shared_numbers{
    SharedNumber{{AUDIT_ARCH_I386, 337, &clone2_abi}, not_recvmmsg},
    SharedNumber{{AUDIT_ARCH_I386, 337, &clone_with_pids_abi}, {}},
    SharedNumber{{AUDIT_ARCH_I386, 338, &eclone_abi}, not_fanotify_init},
    SharedNumber{{AUDIT_ARCH_X86_64, 300, &eclone_abi}, not_fanotify_init},
};

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
        const auto *const found = std::find_if(
            abis.begin(), abis.end(),
            [name = text.substr(equals + 1)](const Abi *known) { return known->name == name; });
        if (found == abis.end()) {
            return std::nullopt;
        }
        call.abi = *found;
        text = text.substr(0, equals);
    }
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), call.number);
    const bool good = error == std::errc() && end == text.data() + text.size() &&
                      call.number >= 0 && call.number <= highest_number;
    return good ? std::optional(call) : std::nullopt;
}

} // namespace

std::span<const SharedNumber> known_shared_numbers()
{
    return shared_numbers;
}

const SharedNumber *find_shared_number(const TrappedCall &call)
{
    const auto *const found =
        std::find_if(shared_numbers.begin(), shared_numbers.end(),
                     [&](const SharedNumber &shared) { return shared.call == call; });
    return found != shared_numbers.end() ? found : nullptr;
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
