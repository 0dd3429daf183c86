// SPDX-License-Identifier: MIT
#include "base/thread.hpp"

#include "base/held_signals.hpp"

#include <memory>
#include <system_error>
#include <utility>

namespace clone2
{

namespace
{

using Work = std::function<void()>;

void *run(void *work) noexcept
{
    (*std::unique_ptr<Work>(static_cast<Work *>(work)))();
    return nullptr;
}

} // namespace

Thread::Thread(Work work)
{
    auto owned = std::make_unique<Work>(std::move(work));
    pthread_attr_t attributes;
    ::pthread_attr_init(&attributes);
    ::pthread_attr_setstacksize(&attributes, stack_size);
    pthread_t thread{};
    const HeldSignals held;
    const int err = ::pthread_create(&thread, &attributes, run, owned.get());
    ::pthread_attr_destroy(&attributes);
    if (err != 0) {
        throw std::system_error(err, std::generic_category(), "pthread_create()");
    }
    (void)owned.release();
    thread_ = thread;
}

Thread::~Thread()
{
    if (thread_) {
        ::pthread_join(*thread_, nullptr);
    }
}

void Thread::detach()
{
    ::pthread_detach(*std::exchange(thread_, std::nullopt));
}

} // namespace clone2
