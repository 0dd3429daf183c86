// SPDX-License-Identifier: MIT
#include "agent/disposal.hpp"

#include "base/thread.hpp"

#include <utility>

namespace clone2::agent
{

Disposal::Disposal() : state_(std::make_shared<State>())
{
    Thread([state = state_] { work(state); }).detach();
}

Disposal::~Disposal()
{
    const std::lock_guard lock(state_->mutex);
    state_->ended = true;
    state_->wake.notify_one();
}

void Disposal::take(std::vector<Fd> fds)
{
    if (fds.empty()) {
        return;
    }
    const std::lock_guard lock(state_->mutex);
    for (Fd &fd : fds) {
        state_->fds.push_back(std::move(fd));
    }
    state_->wake.notify_one();
}

void Disposal::work(const std::shared_ptr<State> &state)
{
    std::unique_lock lock(state->mutex);
    while (!state->ended) {
        state->wake.wait(lock, [&] { return state->ended || !state->fds.empty(); });
        std::vector<Fd> fds = std::exchange(state->fds, {});
        lock.unlock();
        fds.clear();
        lock.lock();
    }
}

} // namespace clone2::agent
