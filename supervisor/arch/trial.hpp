// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <string_view>
#include <sys/types.h>

namespace clone2
{

/// A call to be tried: its argument registers, and the memory that they point to.
struct TrialCall {
    std::array<std::uint64_t, 6> args{};
    std::array<std::byte, 64> data{};

    static constexpr std::size_t pid_offset = 56;
    /// A structure comes first, the pid last.
    template <typename Structure>
    void set_data(const Structure &structure, pid_t pid)
    {
        static_assert(sizeof structure <= pid_offset);
        std::memcpy(data.data(), &structure, sizeof structure);
        std::memcpy(data.data() + pid_offset, &pid, sizeof pid);
    }
};

/// A way in which programs make system calls.
struct TrialWay {
    std::uint32_t audit_arch; ///< AUDIT_ARCH_*
    std::string_view text;    ///< "int $0x80 of a 32-bit program"
    /// Makes a call in the calling process, which then waits for the child that it made, writes the
    /// result (a std::int32_t: the pid, or -errno) to `report` and ends. `describe` is given the
    /// address at which the data will be. Returns an errno if this can't be tried.
    int (*try_it)(int number, const std::function<TrialCall(std::uint64_t)> &describe, int report);
};

/// All that are served.
[[nodiscard]] std::span<const TrialWay> trial_ways();

} // namespace clone2
