// SPDX-License-Identifier: MIT
#include "service/server.hpp"

#include <chrono>
#include <system_error>
#include <thread>

namespace clone2
{

namespace
{

/// Idle threads beyond this many end.
constexpr int max_idle = 4;
/// A thread that boots the same address space needs some 100 us; try again after that.
constexpr std::chrono::milliseconds serve_again{1};

} // namespace

void Server::add_listener(Fd fd, bool wait_killable)
{
    const auto served = std::make_shared<Served>(loop_, std::move(fd), wait_killable);
    ++listeners_;
    wait(served);
}

void Server::wait(const std::shared_ptr<Served> &served)
{
    served->watch->wait_readable(counted([this, served] { on_readable(served); }));
}

EventLoop::Handler Server::counted(EventLoop::Handler handler)
{
    return [this, handler = std::move(handler)] {
        if (--idle_ == 0) {
            start_worker();
        }
        handler();
    };
}

void Server::on_readable(const std::shared_ptr<Served> &served)
{
    // Looked at first: where all targets are gone, an older kernel's RECV waits for ever.
    if (served->listener.hung_up()) {
        diagnostics_.info("the last target is gone");
        if (--listeners_ == 0) {
            loop_.stop();
        }
        return;
    }
    const Result<Notification> notification = served->listener.receive();
    // From here on another thread takes the next one.
    wait(served);
    if (notification) {
        serve(served, *notification);
    }
}

void Server::serve(const std::shared_ptr<Served> &served, const Notification &notification)
{
    if (service_.serve(served->listener, notification) == Service::Served::later) {
        loop_.after(serve_again, counted([this, served, notification] {
                        if (served->listener.still_valid(notification.id)) {
                            serve(served, notification);
                        }
                    }));
    }
}

void Server::start_worker()
{
    ++workers_;
    try {
        std::thread([this] {
            work(true);
            --workers_;
            workers_.notify_all();
        }).detach();
    } catch (const std::system_error &error) {
        --workers_; // the next calls wait until a thread is free again
        diagnostics_.warn(std::string("no further thread: ") + error.what());
    }
}

void Server::work(bool may_end)
{
    do {
        ++idle_;
        if (!loop_.run_one()) {
            return;
        }
    } while (!may_end || idle_ < max_idle);
}

void Server::run()
{
    if (listeners_ > 0) {
        work(false);
    }
    // Nobody can be held up for long any more: the targets are gone.
    for (int left = workers_; left != 0; left = workers_) {
        workers_.wait(left);
    }
}

} // namespace clone2
