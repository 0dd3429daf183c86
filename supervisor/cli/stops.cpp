// SPDX-License-Identifier: MIT
#include "cli/stops.hpp"

#include "base/procfs.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>
#include <utility>

namespace clone2::cli
{

namespace
{

char read_state(const std::filesystem::path &thread)
{
    std::ifstream file(thread / "stat");
    return state_in_stat({std::istreambuf_iterator<char>(file), {}});
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
    if (!proc_shows_own_pids()) {
        return true;
    }
    const auto tasks = std::filesystem::path("/proc") / std::to_string(child) / "task";
    std::error_code error;
    for (std::filesystem::directory_iterator thread(tasks, error), none; !error && thread != none;
         thread.increment(error)) {
        const char state = read_state(thread->path());
        if (state == 'T' || state == 't') {
            return true;
        }
    }
    return static_cast<bool>(error);
}

} // namespace clone2::cli
