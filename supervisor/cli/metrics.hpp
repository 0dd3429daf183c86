// SPDX-License-Identifier: MIT
#pragma once

#include "base/diagnostics.hpp"
#include "base/thread.hpp"

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>

namespace clone2::cli
{

/// Writes a text to a file now, every 15 seconds and at the end. A reader sees a whole text: each
/// is written beside the file and renamed. It has its own thread, because a file may take long.
class Metrics
{
public:
    /// `text`: runs on that thread. Throws std::system_error if the file can't be written now.
    Metrics(std::string path, Diagnostics &diagnostics, std::function<std::string()> text);
    Metrics(const Metrics &) = delete;
    Metrics &operator=(const Metrics &) = delete;
    ~Metrics();

private:
    void run();
    /// The errno; 0: written.
    [[nodiscard]] int write() const;

    const std::string path_;
    Diagnostics &diagnostics_;
    const std::function<std::string()> text_;
    std::mutex mutex_;
    std::condition_variable wake_;
    bool done_ = false;
    std::optional<Thread> thread_;
};

} // namespace clone2::cli
