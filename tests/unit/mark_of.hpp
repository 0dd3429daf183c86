// SPDX-License-Identifier: MIT
#pragma once

#include "arch/architecture.hpp"
#include "target/memory.hpp"

#include <doctest/doctest.h>

namespace clone2::test
{

/// The bytes after the caller's system-call instruction. The caller must be waiting.
inline CodeMark mark_of(const Notification &notification)
{
    CodeMark mark;
    const std::uint64_t at =
        notification.instruction_pointer + architecture_of(notification).mark_offset();
    REQUIRE(read_exactly(notification.tid, RemotePtr{at}, bytes_of(mark)).has_value());
    return mark;
}

} // namespace clone2::test
