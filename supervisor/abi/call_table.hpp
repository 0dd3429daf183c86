// SPDX-License-Identifier: MIT
#pragma once

#include "abi/abi.hpp"
#include "abi/shared_numbers.h"
#include "base/arch/native.h"

#include <cstddef>
#include <cstdint>
#include <linux/audit.h>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace clone2
{

/// All forms of the call: those that --nr can name.
[[nodiscard]] std::span<const Abi *const> known_abis();

/// A system call that is given to us: who makes it, by which number, and what its registers mean.
struct TrappedCall {
    std::uint32_t arch; ///< AUDIT_ARCH_* of the caller
    int number;         ///< 0..highest_number, or any_number
    const Abi *abi;

    friend bool operator==(const TrappedCall &, const TrappedCall &) = default;
};

/// A number of another system call that history, or a draft, gave to one of ours.
struct SharedNumber {
    TrappedCall call;
    std::span<const call_guard> guards; ///< all must hold; none: nothing tells the two apart
};
/// nullptr: the call has its number alone, or nothing is known of it.
[[nodiscard]] const SharedNumber *find_shared_number(const TrappedCall &call);

/// All that are known.
[[nodiscard]] std::span<const SharedNumber> known_shared_numbers();

/// Above it x32 begins.
constexpr int highest_number = 0x3fffffff;
/// Where only whoever installed the filter knows the number.
constexpr int any_number = -1;

/// The proposal's call: served where nothing else is asked for, by programs of each architecture,
/// and the one that a patched kernel has itself.
inline constexpr TrappedCall standard_call{NATIVE_AUDIT_ARCH, 387, &clone2_abi};
/// The same of another architecture is standard, too.
[[nodiscard]] constexpr bool is_standard(const TrappedCall &call)
{
    return call.number == standard_call.number && call.abi == standard_call.abi;
}

/// In one table: a filter's size has a limit, and texts come from peers.
constexpr std::size_t max_calls = 64;

/// The calls that one listener's filter gives to us. The filter, the service and all texts read
/// it, so that one more number or ABI is one more entry here.
class CallTable
{
public:
    /// The standard call of each architecture.
    CallTable();
    explicit CallTable(std::vector<TrappedCall> calls) : calls_(std::move(calls)) {}
    /// The standard call by every number, of each architecture: for filters that we don't know.
    [[nodiscard]] static CallTable by_any_number();
    /// "[ARCH:]NUMBER[=ABI][,...]", where ARCH and ABI are the standard call's unless given.
    /// nullopt: it is no such text, has the same number twice, or more than max_calls.
    [[nodiscard]] static std::optional<CallTable> parse(std::string_view text);

    /// nullptr: this is not to be served.
    [[nodiscard]] const TrappedCall *find(std::uint32_t arch, int number) const;
    [[nodiscard]] std::span<const TrappedCall> calls() const { return calls_; }
    /// The calls that are not standard.
    [[nodiscard]] CallTable without_standard() const;
    /// With this call, unless its number has one.
    [[nodiscard]] CallTable with(const TrappedCall &call) const;
    /// The same numbers of each architecture that is served.
    [[nodiscard]] CallTable of_all_architectures() const;

    /// As parse() takes it, at its shortest: "387".
    [[nodiscard]] std::string text() const;

    friend bool operator==(const CallTable &, const CallTable &) = default;

private:
    std::vector<TrappedCall> calls_;
};

/// The same for a number alone: "387", "i386:120", or "x32:387".
[[nodiscard]] std::string number_text(std::uint32_t arch, int number);

} // namespace clone2
