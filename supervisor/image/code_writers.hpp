// SPDX-License-Identifier: MIT
#pragma once

#include "arch/architecture.hpp"
#include "base/remote_ptr.hpp"
#include "image/slot_users.hpp"

#include <list>
#include <mutex>
#include <sys/types.h>
#include <utility>

namespace clone2
{

/// Records which targets code is being written to, so that two threads of one target, which call as
/// different architectures, do not get their code into the same room. Nobody waits for anybody: a
/// write can take as long as a target likes. Thread-safe.
class CodeWriters
{
public:
    explicit CodeWriters(SharesMemory shares = share_memory) : shares_memory_(std::move(shares)) {}

    /// A writer of this architecture's code to `place` in the memory of `tid`, until destruction.
    /// Create it before looking whether the place is still unused.
    class Entry
    {
    public:
        Entry(CodeWriters &all, pid_t tid, const Architecture &arch, RemotePtr place);
        Entry(const Entry &) = delete;
        Entry &operator=(const Entry &) = delete;
        ~Entry();

        /// Whether nobody else may be writing other code there.
        [[nodiscard]] bool alone() const { return alone_; }

    private:
        friend class CodeWriters;

        CodeWriters &all_;
        const pid_t tid_;
        const Architecture &arch_;
        const RemotePtr place_;
        bool alone_ = false;
        std::list<const Entry *>::iterator self_;
    };

private:
    const SharesMemory shares_memory_;
    std::mutex mutex_;
    std::list<const Entry *> writers_; ///< also those that are not alone, in order
};

} // namespace clone2
