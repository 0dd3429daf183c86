// SPDX-License-Identifier: MIT
//
// What a supervisor on x86-64 serves.
#include "arch/i386/i386.hpp"
#include "arch/x86_64/x86_64.hpp"

#include <array>

namespace clone2
{

std::span<const Architecture *const> architectures()
{
    static const std::array<const Architecture *, 2> all{&x86_64, &i386};
    return all;
}

} // namespace clone2
