// SPDX-License-Identifier: MIT
#pragma once

#include "base/fd.hpp"
#include "base/procfs.hpp"
#include "base/remote_ptr.hpp"

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <sys/types.h>

namespace clone2
{

/// Whether this address is mapped executable and private at this moment. AT_SYSINFO_EHDR and the
/// ELF headers don't prove that: a program may have made its vdso non-executable, may have moved
/// it, or may keep a file's image there as data. An Error: no descriptor is left to find out.
[[nodiscard]] Result<bool> may_hold_code(const Procfs &procfs, pid_t tid, RemotePtr code);

/// Asks that before each call, because a program may change its pages at any time. On kernels where
/// the question is expensive it is not asked again, once code is there.
///
/// Opening /proc/TID/maps costs more than asking. So the files of the threads that called last stay
/// open, 16 at most, and only as many as use a small part of the descriptors that this process may
/// have. They are spare ones, see SpareFds. Such a file always shows one address space. It is the
/// caller's as long as that thread lives (a pidfd shows it) and has not executed a program; a new
/// program has no code until somebody boots it. Thread-safe.
class CodeCheck
{
public:
    explicit CodeCheck(std::shared_ptr<const Procfs> procfs);

    /// For a waiting caller in whose memory code was seen at `code`. An Error: no descriptor is
    /// left to find out.
    [[nodiscard]] Result<bool> may_run(pid_t tid, RemotePtr code);
    /// Closes all files. To be called before a program that has been booted can call: a thread
    /// known here may have executed it.
    void forget_all();

private:
    /// The descriptors of a thread that has called at least twice.
    struct Files {
        Fd maps;
        Fd pidfd;
    };
    struct Caller {
        pid_t tid;
        std::shared_ptr<const Files> files; ///< nullptr: has called once
    };

    [[nodiscard]] std::shared_ptr<const Files> files_of(pid_t tid);
    [[nodiscard]] std::list<Caller>::iterator find(pid_t tid);
    void forget(pid_t tid);

    std::shared_ptr<const Procfs> procfs_;
    std::mutex mutex_;            ///< protects all below
    std::list<Caller> callers_;   ///< the last one first
    std::uint64_t forgotten_ = 0; ///< how often
    const std::size_t most_;      ///< callers
    SpareFds::Keeper keeper_;     ///< last: it uses all above
};

} // namespace clone2
