// SPDX-License-Identifier: MIT
//
// What a supervisor on x86-64 serves.
#include "arch/i386/i386.hpp"
#include "arch/int80/int80.hpp"
#include "arch/x86_64/x86_64.hpp"

#include <array>

namespace clone2
{

std::span<const Architecture *const> architectures()
{
    return code_architectures().first(2);
}

std::span<const Architecture *const> code_architectures()
{
    static const std::array<const Architecture *, 3> all{&x86_64, &i386, &int80};
    return all;
}

const Architecture *architecture_in_wider_programs(const Architecture &arch)
{
    return &arch == &i386 ? &int80 : nullptr;
}

} // namespace clone2
