// SPDX-License-Identifier: MIT
#include "agent/disposal.hpp"

#include "agent/connection.hpp"
#include "base/thread.hpp"

#include <sys/socket.h>

#include <system_error>
#include <utility>

namespace clone2::agent
{

namespace
{

void close_one(Fd fd)
{
    // The peer's SO_LINGER must not block us; the kernel sends unsent data in the background.
    const linger none{};
    (void)::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &none, sizeof none);
    fd.reset();
}

} // namespace

void Disposal::close_all(Waste waste)
{
    do {
        for (Fd &fd : waste.fds) {
            close_one(std::move(fd));
        }
        waste.fds = waste.connection ? receive_rest(waste.connection.get()) : std::vector<Fd>();
    } while (!waste.fds.empty());
    waste.connection.reset();
}

void Disposal::take(uid_t user, std::vector<Fd> files, Fd connection)
{
    if (connection && empty_for_good(connection.get())) {
        connection.reset();
    }
    const std::size_t count = files.size() + (connection ? 1 : 0);
    if (count == 0) {
        return;
    }
    Charge charge = ledger_->hold(Resource::descriptors, user, count);
    const std::lock_guard lock(state_->mutex);
    State::Queue &queue = state_->users[user];
    queue.waste.push_back({std::move(files), std::move(connection), std::move(charge)});
    if (queue.worked_on) {
        return;
    }
    try {
        Thread([state = state_, user] { work(state, user); }).detach();
        queue.worked_on = true;
    } catch (const std::system_error
                 &) { // no thread: it stays charged to the user until one can be made
    }
}

void Disposal::work(const std::shared_ptr<State> &state, uid_t user)
{
    std::unique_lock lock(state->mutex);
    const auto own = state->users.find(user);
    std::deque<Waste> &waste = own->second.waste;
    while (!waste.empty()) {
        Waste one = std::move(waste.front());
        waste.pop_front();
        lock.unlock();
        close_all(std::move(one));
        lock.lock();
    }
    state->users.erase(own);
}

} // namespace clone2::agent
