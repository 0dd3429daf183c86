// SPDX-License-Identifier: MIT
//
// Compiled twice (see meson.build): with BOOST_ASIO_HAS_IO_URING and BOOST_ASIO_DISABLE_EPOLL, and
// without. A macro renames the namespace boost::asio in each variant, so that the linker never
// mixes their inline functions (one-definition rule).
#include "loop/event_loop.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/system_error.hpp>

#include <system_error>

namespace clone2
{

namespace
{

class AsioWatch final : public EventLoop::Watch
{
public:
    AsioWatch(boost::asio::io_context &context, int fd) : descriptor_(context, fd) {}
    ~AsioWatch() override { descriptor_.release(); }

    void wait_readable(EventLoop::Handler handler) override
    {
        descriptor_.async_wait(
            boost::asio::posix::stream_descriptor::wait_read,
            [handler = std::move(handler)](const boost::system::error_code &) { handler(); });
    }

private:
    boost::asio::posix::stream_descriptor descriptor_;
};

class AsioLoop final : public EventLoop
{
public:
    /// Asio makes its system calls when the first object of a kind is created. Do that now, where
    /// the caller expects a refusal.
    AsioLoop() : work_(boost::asio::make_work_guard(context_))
    {
        const boost::asio::posix::stream_descriptor descriptor(context_);
        const boost::asio::steady_timer timer(context_);
    }

    std::unique_ptr<Watch> watch(int fd) override
    {
        try {
            return std::make_unique<AsioWatch>(context_, fd);
        } catch (const boost::system::system_error &error) {
            throw std::system_error(error.code(), error.what()); // not derived from std's
        }
    }

    void after(std::chrono::milliseconds delay, Handler handler) override
    {
        auto timer = std::make_shared<boost::asio::steady_timer>(context_, delay);
        timer->async_wait([timer, handler = std::move(handler)](const boost::system::error_code &) {
            handler();
        });
    }

    bool run_one() override { return context_.run_one() != 0; }
    bool run_ready() override { return context_.poll_one() != 0; }
    void stop() override { context_.stop(); }
    [[nodiscard]] bool stopped() const override { return context_.stopped(); }
    [[nodiscard]] const char *name() const override { return CLONE2_LOOP_NAME; }

private:
    boost::asio::io_context context_;
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
};

} // namespace

std::unique_ptr<EventLoop> CLONE2_MAKE_LOOP()
{
    try {
        return std::make_unique<AsioLoop>();
    } catch (const boost::system::system_error &error) {
        throw std::system_error(error.code(), error.what()); // not derived from std's
    }
}

} // namespace clone2
