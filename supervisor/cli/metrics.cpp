// SPDX-License-Identifier: MIT
#include "cli/metrics.hpp"

#include "base/fd.hpp"
#include "base/printable.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <system_error>
#include <utility>

namespace clone2::cli
{

namespace
{

constexpr std::chrono::seconds interval{15};

} // namespace

Metrics::Metrics(std::string path, Diagnostics &diagnostics, std::function<std::string()> text)
    : path_(std::move(path)), diagnostics_(diagnostics), text_(std::move(text))
{
    if (const int err = write(); err != 0) {
        throw std::system_error(err, std::generic_category(), "--metrics " + printable(path_));
    }
    thread_.emplace([this] { run(); });
}

Metrics::~Metrics()
{
    {
        const std::lock_guard lock(mutex_);
        done_ = true;
    }
    wake_.notify_one();
    thread_.reset();
}

void Metrics::run()
{
    int reported = 0;
    std::unique_lock lock(mutex_);
    for (bool last = false; !last;) {
        last = wake_.wait_for(lock, interval, [this] { return done_; });
        lock.unlock();
        const int err = write();
        if (err != 0 && err != reported) {
            diagnostics_.warn("--metrics " + printable(path_) + ": " + std::strerror(err));
        }
        reported = err;
        lock.lock();
    }
}

int Metrics::write() const
{
    const std::string text = text_();
    const std::string beside = path_ + ".new";
    {
        const Fd file{::open(beside.c_str(),
                             O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY,
                             0644)};
        if (!file) {
            return errno;
        }
        const ssize_t written = ::write(file.get(), text.data(), text.size());
        if (written != static_cast<ssize_t>(text.size())) {
            return written < 0 ? errno : ENOSPC;
        }
    }
    return std::rename(beside.c_str(), path_.c_str()) == 0 ? 0 : errno;
}

} // namespace clone2::cli
