// SPDX-License-Identifier: MIT
#include "base/line_writer.hpp"

#include "base/budget.hpp"
#include "base/thread.hpp"
#include "base/write_all.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <utility>

namespace clone2
{

namespace
{

/// How long write() waits for its own line.
constexpr std::chrono::milliseconds patience{20};
constexpr std::chrono::seconds time_to_flush{3};
/// Stands for no user in a Budget: no process can have this uid.
constexpr auto no_user = static_cast<uid_t>(-1);

/// The value of this option; 0: none, it is no socket.
int socket_option(int fd, int option)
{
    int value = 0;
    socklen_t size = sizeof value;
    return ::getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 ? value : 0;
}

/// Whether a write with RWF_NOWAIT to this file can't be made to wait. That flag does not cover all
/// locks: while someone else's memory is copied to or from a pipe, a TCP socket or an open regular
/// file that we share, its mutex is held, and the copy can wait in a page fault (userfaultfd(2),
/// FUSE) for ever. A frozen file system holds up its writers, too. May itself wait for the file.
bool never_waits(int fd)
{
    if (socket_option(fd, SO_DOMAIN) == AF_UNIX) {
        return socket_option(fd, SO_TYPE) == SOCK_STREAM; // the journal's are
    }
    const dev_t null = makedev(1, 3);
    struct stat status {
    };
    return ::fstat(fd, &status) == 0 && S_ISCHR(status.st_mode) && status.st_rdev == null;
}

} // namespace

struct LineWriter::State {
    struct Item {
        std::string line;
        std::function<void()> task; ///< run instead of writing a line
        bool is_rest = false;       ///< the caller has written how this line begins
        uid_t user = no_user;
    };

    explicit State(Options asked) : options(std::move(asked)), bytes(options.max_waiting) {}

    std::mutex mutex;
    std::condition_variable wake;    ///< wakes the thread
    std::condition_variable advance; ///< wakes the callers that wait for it
    std::deque<Item> waiting;
    std::uint64_t dropped = 0;
    std::uint64_t added = 0; ///< items so far
    std::uint64_t done = 0;
    bool ended = false;
    const Options options;
    Budget bytes; ///< of the lines in `waiting` and of the one being written

    // Used by the thread only, or with the lock held while it has nothing to do.
    Fd owned;
    int fd = -1;
    bool told = false;    ///< a failure was reported
    bool torn = false;    ///< the file ends in the middle of a line
    bool at_once = false; ///< callers may write to the file themselves: never_waits()

    /// Call with the lock held.
    [[nodiscard]] bool fits(std::optional<uid_t> user, std::size_t size) const
    {
        return user ? bytes.fits(*user, size) : bytes.used() + size <= bytes.total();
    }
    /// Call with the lock held.
    void add(Item item)
    {
        const uid_t user = item.user;
        const std::size_t size = item.line.size();
        bytes.add(user, size);
        try {
            waiting.push_back(std::move(item));
        } catch (...) {
            bytes.remove(user, size);
            throw;
        }
        ++added;
        wake.notify_one();
    }
    /// Reports the dropped lines once their number is final.
    void add_dropped_line()
    {
        if (dropped != 0) {
            add({options.dropped_line(std::exchange(dropped, 0)), {}});
        }
    }
    /// Call with the lock held while the thread has nothing to do. Writes what the file takes at
    /// once, and removes that from the line.
    void write_at_once(std::string &line)
    {
        if (!at_once || torn) {
            return;
        }
        const iovec text{line.data(), line.size()};
        const ssize_t n = ::pwritev2(fd, &text, 1, -1, RWF_NOWAIT);
        if (n > 0) {
            line.erase(0, static_cast<std::size_t>(n));
        } else if (n < 0) {
            at_once = errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL;
        }
    }
    void write(std::string line, bool is_rest)
    {
        if (torn) {
            line.insert(0, 1, '\n');
        }
        const Rest rest = write_all(fd, line);
        torn = is_rest ? !rest.text.empty()
               : torn  ? rest.text.size() == line.size()
                       : !rest.text.empty() && rest.text.size() < line.size();
        if (rest.err != 0 && !std::exchange(told, true) && options.failed) {
            tell(options.failed, rest.err);
        }
    }
    /// Only while there is a writer: what `failed` refers to may go with it.
    void tell(const std::function<void(int err)> &failed, int err)
    {
        const std::lock_guard lock(mutex);
        if (!ended) {
            failed(err);
        }
    }
};

LineWriter::LineWriter(int fd, Options options)
    : state_(std::make_shared<State>(std::move(options)))
{
    state_->fd = fd;
    Thread([state = state_] { run(state); }).detach();
}

LineWriter::LineWriter(Fd file, Options options) : LineWriter(file.get(), std::move(options))
{
    state_->owned = std::move(file);
}

LineWriter::~LineWriter()
{
    flush();
    const std::lock_guard lock(state_->mutex);
    state_->ended = true;
    state_->wake.notify_one();
}

void LineWriter::write(std::string line, std::optional<uid_t> user)
{
    std::unique_lock lock(state_->mutex);
    if (!state_->fits(user, line.size())) {
        ++state_->dropped;
        return;
    }
    state_->add_dropped_line();
    const bool idle = state_->added == state_->done;
    const std::size_t size = line.size();
    if (idle) {
        state_->write_at_once(line);
        if (line.empty()) {
            return;
        }
    }
    const bool is_rest = line.size() < size;
    state_->add({std::move(line), {}, is_rest, user.value_or(no_user)});
    if (idle) {
        const std::uint64_t mine = state_->added;
        state_->advance.wait_for(lock, patience, [&] { return state_->done >= mine; });
    }
}

void LineWriter::then(std::function<void()> task)
{
    const std::lock_guard lock(state_->mutex);
    state_->add({{}, std::move(task)});
}

void LineWriter::reopen(std::function<Fd()> open, std::function<void(int err)> failed)
{
    then([state = state_.get(), open = std::move(open), failed = std::move(failed)] {
        Fd file = open();
        if (!file) {
            state->tell(failed, errno);
            return;
        }
        state->fd = file.get();
        state->owned = std::move(file);
        state->told = false;
        state->torn = false;
        state->at_once = never_waits(state->fd);
    });
}

void LineWriter::flush()
{
    std::unique_lock lock(state_->mutex);
    state_->advance.wait_for(lock, time_to_flush, [&] { return state_->done == state_->added; });
}

void LineWriter::run(const std::shared_ptr<State> &state)
{
    const bool at_once = never_waits(state->fd);
    std::unique_lock lock(state->mutex);
    state->at_once = at_once;
    for (;;) {
        state->wake.wait(lock, [&] { return !state->waiting.empty() || state->ended; });
        if (state->ended) {
            return;
        }
        State::Item item = std::move(state->waiting.front());
        state->waiting.pop_front();
        const std::size_t size = item.line.size();
        const uid_t user = item.user;
        lock.unlock();
        if (item.task) {
            item.task();
        } else {
            state->write(std::move(item.line), item.is_rest);
        }
        lock.lock();
        state->bytes.remove(user, size);
        ++state->done;
        if (state->waiting.empty()) {
            state->add_dropped_line();
        }
        state->advance.notify_all();
    }
}

} // namespace clone2
