// SPDX-License-Identifier: MIT
#pragma once

#include <compare>
#include <cstdint>

namespace clone2
{

/// An address in a target's memory. A distinct type, so that it can't be dereferenced here.
class RemotePtr
{
public:
    constexpr RemotePtr() = default;
    constexpr explicit RemotePtr(std::uint64_t address) : address_(address) {}

    [[nodiscard]] constexpr std::uint64_t value() const { return address_; }
    constexpr explicit operator bool() const { return address_ != 0; }
    constexpr RemotePtr operator+(std::uint64_t bytes) const { return RemotePtr{address_ + bytes}; }
    constexpr RemotePtr operator-(std::uint64_t bytes) const { return RemotePtr{address_ - bytes}; }
    constexpr auto operator<=>(const RemotePtr &) const = default;

private:
    std::uint64_t address_ = 0;
};

} // namespace clone2
