// SPDX-License-Identifier: MIT
#pragma once

#include "base/fd.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

/// Writing lines to a file that may be anything: a pipe that nobody reads, a hanging network file
/// system, a full disk. Who writes a line must not be held up by it.

namespace clone2
{

/// Hands lines to a thread of its own, which writes each by one write(2) where the kernel takes it
/// whole, in the order in which they came. Thread-safe.
///
/// The lines that wait have a limit, in bytes. Those that come beyond it are dropped and counted;
/// where there is room again a line says how many. In the usual case nothing waits: write() comes
/// back when its line is in the file, so that a crash loses none.
class LineWriter
{
public:
    struct Options {
        /// The line that says that so many lines were dropped, with its line feed.
        std::function<std::string(std::uint64_t dropped)> dropped_line;
        /// Told the errno of the first write that failed since the start or reopen(). May be empty.
        std::function<void(int err)> failed;
        std::size_t max_waiting = std::size_t{1} << 20; ///< bytes
    };

    /// Takes `file` over. Throws std::system_error where no thread can be made.
    LineWriter(Fd file, Options options);
    /// For a descriptor that stays its owner's, as stderr.
    LineWriter(int fd, Options options);
    LineWriter(const LineWriter &) = delete;
    LineWriter &operator=(const LineWriter &) = delete;
    /// As flush(). What is left then is lost, and so is the thread, if it still hangs in a write.
    ~LineWriter();

    /// Waits for the line to be written only where no other waits, and not for long.
    void write(std::string line);
    /// `task` is run when the lines before it have been written: on the thread, or never.
    void then(std::function<void()> task);
    /// Later lines go to what `open` gives; where that is empty they go on to the same file. `open`
    /// is run on the thread: it may take its time.
    void reopen(std::function<Fd()> open);
    /// Until the lines so far are written, but no longer than a few seconds.
    void flush();

private:
    struct State;
    static void run(const std::shared_ptr<State> &state);

    std::shared_ptr<State> state_; ///< the thread's, too, which may outlive this
};

} // namespace clone2
