// SPDX-License-Identifier: MIT
#include "base/diagnostics.hpp"

#include "base/printable.hpp"
#include "base/write_all.hpp"

#include <unistd.h>

namespace clone2
{

namespace
{

constexpr std::chrono::seconds window{10};
constexpr unsigned per_window = 10;
constexpr std::size_t most_users = 1024; // further ones share one window
/// A message with a peer's text of 1 MB would leave no room for others where lines are queued.
constexpr std::size_t most_characters = 1000;

std::string one_line(const std::string &message)
{
    return shortened(printable(message, ""), most_characters);
}

} // namespace

void Diagnostics::line(const std::string &message)
{
    // Escapes that the message already contains stay as they are.
    const std::string text = "clone2-supervise: " + printable(message, "") + "\n";
    // A single write keeps lines of several processes apart. A failure can't be reported anywhere.
    (void)write_all(STDERR_FILENO, text);
}

void Diagnostics::tell(Level /*level*/, const std::string &message) const
{
    line(message);
}

void Diagnostics::info(const std::string &message) const
{
    if (informs()) {
        tell(Level::info, one_line(message));
    }
}

void Diagnostics::trace(const std::string &message) const
{
    if (traces()) {
        tell(Level::info, one_line(message));
    }
}

/// A window that is over counts from the beginning, but keeps what is still to be reported.
Diagnostics::Window &Diagnostics::window_of(std::optional<uid_t> user,
                                            std::chrono::steady_clock::time_point now)
{
    const auto is_over = [now](const Window &one) { return now - one.begin > window; };
    if (windows_.size() >= most_users && !windows_.contains(user)) {
        std::erase_if(windows_, [&](const auto &one) {
            return is_over(one.second) && one.second.suppressed == 0;
        });
        user = windows_.size() >= most_users ? std::nullopt : user;
    }
    Window &its = windows_[user];
    if (is_over(its)) {
        its.begin = now;
        its.shown = 0;
    }
    return its;
}

void Diagnostics::warn(const std::string &message, std::optional<uid_t> user)
{
    if (verbosity_ == Verbosity::quiet) {
        return;
    }
    const std::lock_guard lock(mutex_);
    Window &its = window_of(user, std::chrono::steady_clock::now());
    if (++its.shown > per_window) {
        ++its.suppressed;
        return;
    }
    std::string text = one_line(message);
    if (its.suppressed != 0) {
        text += " (" + std::to_string(its.suppressed) + " earlier warnings not shown)";
        its.suppressed = 0;
    }
    tell(Level::warning, text);
}

} // namespace clone2
