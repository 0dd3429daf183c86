// SPDX-License-Identifier: MIT
#include "arch/architecture.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstdio>
#include <linux/audit.h>

namespace clone2
{

const Architecture *find_architecture(std::uint32_t audit_arch)
{
    const auto all = architectures();
    const auto found = std::find_if(all.begin(), all.end(), [&](const Architecture *candidate) {
        return candidate->audit_arch() == audit_arch;
    });
    return found != all.end() ? *found : nullptr;
}

const Architecture &architecture_of(const Notification &notification)
{
    const Architecture *const architecture = find_architecture(notification.arch);
    assert(architecture != nullptr);
    const Architecture *const wider = architecture_in_wider_programs(*architecture);
    const bool shows = notification.instruction_pointer > architecture->user_end();
    return wider != nullptr && (shows || notification.of_wider_program) ? *wider : *architecture;
}

const Architecture &native_architecture()
{
    return *architectures().front();
}

std::string architecture_name(std::uint32_t audit_arch)
{
    if (const Architecture *const architecture = find_architecture(audit_arch)) {
        return std::string(architecture->name());
    }
    if (audit_arch == AUDIT_ARCH_I386) {
        return "i386";
    }
    std::array<char, 16> text{};
    (void)std::snprintf(text.data(), text.size(), "0x%08x", audit_arch);
    return text.data();
}

} // namespace clone2
