// SPDX-License-Identifier: MIT
#include "base/diagnostics.hpp"

#include "base/printable.hpp"

#include <unistd.h>

namespace clone2
{

namespace
{

constexpr std::chrono::seconds window{10};
constexpr unsigned per_window = 10;

} // namespace

void Diagnostics::line(const std::string &message)
{
    // Escapes that the message already contains stay as they are.
    const std::string text = "clone2-supervise: " + printable(message, "") + "\n";
    // A single write keeps lines of several processes apart. A failure can't be reported anywhere.
    [[maybe_unused]] const ssize_t n = ::write(STDERR_FILENO, text.data(), text.size());
}

void Diagnostics::tell(Level /*level*/, const std::string &message) const
{
    line(message);
}

void Diagnostics::info(const std::string &message) const
{
    if (verbosity_ >= Verbosity::verbose) {
        tell(Level::info, printable(message, ""));
    }
}

void Diagnostics::trace(const std::string &message) const
{
    if (traces()) {
        tell(Level::info, printable(message, ""));
    }
}

void Diagnostics::warn(const std::string &message)
{
    if (verbosity_ == Verbosity::quiet) {
        return;
    }
    const std::lock_guard lock(mutex_);
    const auto now = std::chrono::steady_clock::now();
    if (now - window_begin_ > window) {
        window_begin_ = now;
        in_window_ = 0;
    }
    if (++in_window_ > per_window) {
        ++suppressed_;
        return;
    }
    std::string text = printable(message, "");
    if (suppressed_ != 0) {
        text += " (" + std::to_string(suppressed_) + " earlier warnings not shown)";
        suppressed_ = 0;
    }
    tell(Level::warning, text);
}

} // namespace clone2
