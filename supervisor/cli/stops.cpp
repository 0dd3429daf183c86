// SPDX-License-Identifier: MIT
#include "cli/stops.hpp"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <system_error>
#include <utility>

namespace clone2::cli
{

namespace
{

/// From a thread's stat file. State 0: no such thread.
struct ThreadState {
    char state = 0;
    pid_t parent = 0;
};

ThreadState read_state(const std::filesystem::path &thread)
{
    std::ifstream file(thread / "stat");
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    // "4711 (comm) S 4710 ...": comm may contain any bytes.
    ThreadState read;
    const std::size_t name_end = text.rfind(')');
    if (name_end != std::string::npos) {
        std::istringstream(text.substr(name_end + 1)) >> read.state >> read.parent;
    }
    return read;
}

} // namespace

void Stops::stopped()
{
    end();
    stopped_ = true;
    accounted_ = false;
    ++count_;
}

bool Stops::continued()
{
    end();
    return std::exchange(stopped_, false);
}

bool Stops::lasts(unsigned stops) const
{
    return stopped_ && !accounted_ && stops == count_;
}

bool Stops::wants(const ForwardedSignal &continuation, bool has_it)
{
    // Others' SIGCONT reaches the command before the news of its effect.
    if (continuation.stops < continued_by_others_ ||
        (continuation.stops == continued_by_others_ && !continuation.goes_on)) {
        continued_by_others_ = 0;
        return false;
    }
    accounted_ = accounted_ || (stopped_ && (!has_it || continuation.stops == count_));
    return !has_it;
}

void Stops::end()
{
    if (stopped_ && !accounted_) {
        continued_by_others_ = count_;
    }
}

bool may_be_stopped(pid_t child)
{
    const std::filesystem::path process = std::filesystem::path("/proc") / std::to_string(child);
    if (read_state(process).parent != ::getpid()) {
        return true;
    }
    std::error_code error; // a thread may end at any time, then the list is short
    for (std::filesystem::directory_iterator thread(process / "task", error), none;
         !error && thread != none; thread.increment(error)) {
        const char state = read_state(thread->path()).state;
        if (state == 'T' || state == 't') {
            return true;
        }
    }
    return false;
}

} // namespace clone2::cli
