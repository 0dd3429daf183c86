// SPDX-License-Identifier: MIT
/// @file
/// A Supervisor in a program's own Boost.Asio io_context. Needs Boost; the library doesn't.
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

/// Has a Supervisor served by the threads that run an io_context, one at a time, from construction
/// to destruction or stop(). The supervisor outlives it. While a call is served, one thread of the
/// io_context is busy with it.
///
/// As other I/O objects: not thread-safe itself; use it on the io_context's thread or strand.
class AsioDispatcher
{
public:
    /// Called when serving has ended for good: the supervisor was stopped, or it failed.
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

    /// Serves no more, and lets the io_context run out of work. The supervisor stays as it is.
    void stop()
    {
        if (state_) {
            state_->stopped = true;
            boost::system::error_code ignored;
            state_->descriptor.close(ignored);
        }
    }

private:
    /// Held by the wait that is outstanding, too, so that a handler never finds it gone.
    struct State {
        State(boost::asio::io_context &context, Supervisor &its_supervisor, Ended when_ended)
            : supervisor(its_supervisor), ended(std::move(when_ended)), descriptor(context)
        {
            // Asio closes what it is given: a copy of the supervisor's descriptor.
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
            // dispatch() may have called back into the program, and that into stop().
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
