// SPDX-License-Identifier: MIT
#pragma once

#include "base/fd.hpp"
#include "base/remote_ptr.hpp"
#include "base/result.hpp"
#include "target/tracee.hpp"

#include <cstddef>
#include <span>
#include <sys/types.h>

namespace clone2
{

/// Writes to a stopped tracee, also to pages that it can't write itself. Through /proc/TID/mem it
/// takes one system call for any number of bytes; ptrace(2), which may do what that file may not,
/// needs one for each word.
class TextWriter
{
public:
    /// `memory`: the tracee's /proc/TID/mem, proven to be its; nullptr: there is none.
    TextWriter(Tracee &tracee, const Fd *memory) : tracee_(tracee), memory_(memory) {}

    [[nodiscard]] pid_t tid() const { return tracee_.tid(); }
    Result<void> write(RemotePtr to, std::span<const std::byte> from) const;

private:
    Tracee &tracee_;
    const Fd *memory_;
};

} // namespace clone2
