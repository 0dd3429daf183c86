// SPDX-License-Identifier: MIT
#pragma once

#include "base/fd.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <sys/types.h>

/// Writes lines to a file that may be anything: a pipe without a reader, a hanging network file
/// system, a full disk. Writing a line must not block the caller for long.

namespace clone2
{

/// Writes lines in order, each with one write(2) if the kernel takes it whole. To /dev/null and
/// unix stream sockets, which the journal uses, the caller writes what the file takes at once
/// (RWF_NOWAIT). The rest is passed to a thread, which may block. Thread-safe.
///
/// The queue is limited in bytes, and shared among the users that lines are about (Budget), so that
/// none can have another's lines dropped. Lines beyond the limit are dropped and counted; once
/// there is room again, a line says how many. Normally nothing is queued: write() returns when its
/// line is in the file, so a crash loses none.
class LineWriter
{
public:
    struct Options {
        /// Formats the line that says how many lines were dropped, with its newline.
        std::function<std::string(std::uint64_t dropped)> dropped_line;
        /// Called with the errno of the first write that failed since the start or reopen(). May be
        /// empty.
        std::function<void(int err)> failed;
        std::size_t max_waiting = std::size_t{2} << 20; ///< bytes; one user alone gets half
    };

    /// Takes ownership of `file`. Throws std::system_error if no thread can be created.
    LineWriter(Fd file, Options options);
    /// For a descriptor that the caller keeps, such as stderr.
    LineWriter(int fd, Options options);
    LineWriter(const LineWriter &) = delete;
    LineWriter &operator=(const LineWriter &) = delete;
    /// Calls flush(). What is still queued then is lost; a thread that hangs in a write is
    /// abandoned. If it can't even be killed there, a process that exits stays a zombie.
    ~LineWriter();

    /// Waits (briefly) for the line to be written if the queue was empty, else does not wait.
    /// `user`: whose share it takes; nullopt: nobody's, it may take all that is left.
    void write(std::string line, std::optional<uid_t> user = std::nullopt);
    /// Runs `task` on the thread after the lines queued so far; never, if the thread hangs.
    void then(std::function<void()> task);
    /// Writes later lines to the file that `open` returns. If that is empty, they go to the same
    /// one, and `failed` is called with the errno. `open` runs on the thread, so it may block, and
    /// may still run when this is gone; `failed` is never called then.
    void reopen(std::function<Fd()> open, std::function<void(int err)> failed);
    /// Waits until all lines so far are written, but a few seconds at most.
    void flush();

private:
    struct State;
    static void run(const std::shared_ptr<State> &state);

    std::shared_ptr<State> state_; ///< shared with the thread, which may outlive this
};

} // namespace clone2
