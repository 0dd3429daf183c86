// SPDX-License-Identifier: MIT
#include "agent/disposal.hpp"

#include "agent/connection.hpp"
#include "agent/time_limit.hpp"
#include "base/thread.hpp"

#include <chrono>
#include <system_error>
#include <utility>

namespace clone2::agent
{

namespace
{

/// How long the closing of a socket may linger.
constexpr std::chrono::milliseconds time_to_linger{1};

} // namespace

void Disposal::close_all(Waste waste)
{
    waste.fds.clear(); // only now are they no longer charged
}

void Disposal::take(uid_t user, std::vector<Fd> files, Fd connection)
{
    if (connection && !empty_for_good(connection.get())) {
        std::vector<Fd> fds;
        fds.push_back(std::move(connection));
        put({user, Kind::connections}, std::move(fds));
    }
    if (!files.empty()) {
        put({user, Kind::files}, std::move(files));
    }
}

void Disposal::put(const Owner &owner, std::vector<Fd> fds)
{
    Charge charge = ledger_->hold(Resource::descriptors, owner.first, fds.size());
    const std::lock_guard lock(state_->mutex);
    State::Queue &queue = state_->queues[owner];
    queue.waste.push_back({std::move(fds), std::move(charge)});
    if (queue.worked_on) {
        return;
    }
    try {
        Thread([state = state_, owner] { work(state, owner); }).detach();
        queue.worked_on = true;
    } catch (const std::system_error &) {
        // No thread: it stays charged to the user until one can be made.
    }
}

void Disposal::work(const std::shared_ptr<State> &state, const Owner &owner)
{
    TimeLimit::of_this_thread().start(time_to_linger);
    std::unique_lock lock(state->mutex);
    const auto own = state->queues.find(owner);
    std::deque<Waste> &waste = own->second.waste;
    while (!waste.empty()) {
        Waste one = std::move(waste.front());
        waste.pop_front();
        lock.unlock();
        close_all(std::move(one));
        lock.lock();
    }
    state->queues.erase(own);
}

} // namespace clone2::agent
