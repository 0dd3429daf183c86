// SPDX-License-Identifier: MIT
/// @file
/// A Supervisor in a program's own Boost.Asio io_context. Needs Boost; the library itself doesn't.
#ifndef CLONE2_SUPERVISE_ASIO_HPP
#define CLONE2_SUPERVISE_ASIO_HPP

#include <clone2/supervise.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include <fcntl.h>

#include <cerrno>
#include <functional>
#include <memory>
#include <system_error>
#include <utility>

namespace clone2
{

/// Lets the threads that run an io_context serve a Supervisor, one thread at a time, from
/// construction until destruction or stop(). The supervisor must outlive it. Serving a call keeps
/// one thread of the io_context busy.
///
/// Like other I/O objects it is not thread-safe; use it on the io_context's thread or strand.
class AsioDispatcher
{
public:
    /// Called when serving has ended permanently: the supervisor was stopped or failed.
    using Ended = std::function<void(std::error_code)>;

    /// Throws std::system_error (no descriptor) and boost::system::system_error.
    AsioDispatcher(boost::asio::io_context &context, Supervisor &supervisor, Ended ended = {})
        : state_(std::make_shared<State>(context, supervisor, std::move(ended)))
    {
        State::wait(state_);
    }
    AsioDispatcher(AsioDispatcher &&) noexcept = default;
    AsioDispatcher &operator=(AsioDispatcher &&) = delete;
    ~AsioDispatcher() { stop(); }

    /// Stops serving and lets the io_context run out of work. Does not stop the supervisor.
    void stop()
    {
        if (state_) {
            state_->stopped = true;
            boost::system::error_code ignored;
            state_->descriptor.close(ignored);
        }
    }

private:
    /// Shared with the outstanding wait, so that its handler always finds it alive.
    struct State {
        State(boost::asio::io_context &context, Supervisor &its_supervisor, Ended when_ended)
            : supervisor(its_supervisor), ended(std::move(when_ended)), descriptor(context)
        {
            // Asio closes its descriptor, so give it a copy of the supervisor's.
            const int copy = ::fcntl(supervisor.fd(), F_DUPFD_CLOEXEC, 3);
            if (copy < 0) {
                throw std::system_error(errno, std::generic_category(), "fcntl(F_DUPFD_CLOEXEC)");
            }
            descriptor.assign(copy);
        }

        static void wait(const std::shared_ptr<State> &state)
        {
            state->descriptor.async_wait(
                boost::asio::posix::stream_descriptor::wait_read,
                [state](const boost::system::error_code &failed) { serve(state, failed); });
        }
        static void serve(const std::shared_ptr<State> &state,
                          const boost::system::error_code &failed)
        {
            if (state->stopped) {
                return;
            }
            std::error_code error = failed;
            if (!error) {
                state->supervisor.dispatch(error);
            }
            // dispatch() may have called a callback that called stop().
            if (state->stopped) {
                return;
            }
            if (error) {
                state->stopped = true;
                if (state->ended) {
                    state->ended(error);
                }
                return;
            }
            wait(state);
        }

        Supervisor &supervisor;
        Ended ended;
        boost::asio::posix::stream_descriptor descriptor;
        bool stopped = false;
    };

    std::shared_ptr<State> state_;
};

} // namespace clone2

#endif
