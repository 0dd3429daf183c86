// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>
#include <vector>

/// Converts between structs and the bytes of a target's memory.

namespace clone2::x86
{

/// Fields that the bytes do not reach are zero.
template <typename T>
T from_bytes(std::span<const std::byte> bytes)
{
    T value{};
    if (!bytes.empty()) {
        std::memcpy(&value, bytes.data(), std::min(sizeof value, bytes.size()));
    }
    return value;
}

template <typename T>
std::vector<std::byte> to_bytes(const T &value, std::size_t size = sizeof(T))
{
    std::vector<std::byte> bytes(size);
    std::memcpy(bytes.data(), &value, size);
    return bytes;
}

} // namespace clone2::x86
