// SPDX-License-Identifier: MIT
#include "agent/peers.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <system_error>
#include <utility>
#include <variant>

namespace clone2::agent
{

namespace
{

/// How long a peer may stay silent if its user has many connections. Runtimes connect before they
/// have the listener: crun connects when the container is created, and with no_new_privs it sends
/// only when the container is started.
constexpr std::chrono::seconds time_for_first_byte{20};
/// A user may have this many silent peers, for this long.
constexpr std::size_t few_peers = 16;
constexpr std::chrono::seconds patience{3600};
/// From the first byte to the end of the message. A peer has its whole message before it begins.
constexpr std::chrono::seconds time_for_message{5};
constexpr std::chrono::seconds time_between_sweeps{1};
constexpr std::size_t max_peers = 256;
/// Between two checks of the listeners.
constexpr unsigned accepts_per_turn = 32;
/// For lack of descriptors or memory.
constexpr std::chrono::milliseconds accept_pause{100};
/// Stands for peers whose uid is not mapped here.
constexpr auto nobody_at_all = static_cast<uid_t>(-1);

} // namespace

Peers::Peers(EventLoop &loop, Diagnostics &diagnostics, std::set<uid_t> allowed,
             std::shared_ptr<Ledger> ledger, Disposal &disposal, Listeners &listeners,
             ListeningSocket socket)
    : loop_(loop), diagnostics_(diagnostics), allowed_(std::move(allowed)),
      ledger_(std::move(ledger)), disposal_(disposal), listeners_(listeners),
      socket_(std::move(socket)), watch_(loop.watch(socket_.fd()))
{
}

void Peers::stop()
{
    stopped_ = true;
    socket_.close();
    for (const auto &[id, peer] : peers_) {
        ::shutdown(peer->connection.fd(), SHUT_RDWR);
    }
}

void Peers::start()
{
    watch_->wait_readable([this] { accept_some(); });
}

void Peers::accept_some()
{
    if (stopped_) {
        return;
    }
    if (ledger_->is_overdrawn(Resource::descriptors)) {
        accept_later(); // when connections are closed; what is left is for calls
        return;
    }
    // A connection that was shut down to make room must be dropped before the next one comes.
    crowded_ = false;
    for (unsigned i = 0; i < accepts_per_turn && !crowded_; ++i) {
        if (accept_one()) {
            continue;
        }
        if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR) {
            diagnostics_.warn(std::string("accept(): ") + std::strerror(errno) +
                              "; new connections wait");
            accept_later();
            return;
        }
        break;
    }
    start();
}

void Peers::accept_later()
{
    loop_.after(accept_pause, [this] { start(); });
}

bool Peers::accept_one()
{
    Fd socket{::accept4(socket_.fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
    if (!socket) {
        return false;
    }
    const std::optional<uid_t> uid = peer_uid(socket.get());
    if (!uid || (*uid != 0 && *uid != ::geteuid() && !allowed_.contains(*uid))) {
        const std::string who = uid ? "uid " + std::to_string(*uid)
                                    : "a uid that the agent's user namespace doesn't map";
        diagnostics_.warn("a peer with " + who + " was turned away (--allow-uid)",
                          uid.value_or(nobody_at_all));
        send_line(socket.get(), who + " may not use this agent (see --allow-uid)");
        disposal_.take(uid.value_or(nobody_at_all), {}, std::move(socket));
        return true;
    }
    admit(std::move(socket), *uid);
    return true;
}

void Peers::admit(Fd socket, uid_t uid)
{
    if (!make_room(uid)) {
        send_line(socket.get(), Ledger::refusal(Resource::descriptors, uid));
        disposal_.take(uid, {}, std::move(socket));
        return;
    }
    const std::uint64_t id = next_peer_++;
    try {
        peers_.emplace(id, std::make_unique<Peer>(loop_, std::move(socket), uid, *ledger_));
    } catch (const std::system_error &error) { // fs.epoll.max_user_watches
        diagnostics_.warn(std::string("a connection was closed: ") + error.what(), uid);
        return;
    }
    ++open_peers_[uid];
    sweep();
    wait_for_more(id);
}

void Peers::enter(Peer &peer, Peer::Phase phase)
{
    peer.phase = phase;
    peer.since = std::chrono::steady_clock::now();
}

/// Shuts down peers that have used up their time. One timer serves all, however often peers come.
void Peers::sweep()
{
    if (std::exchange(sweeping_, true)) {
        return;
    }
    loop_.after(time_between_sweeps, [this] {
        sweeping_ = false;
        const auto now = std::chrono::steady_clock::now();
        for (const auto &[id, peer] : peers_) {
            const auto spent = now - peer->since;
            switch (peer->phase) {
            case Peer::Phase::silent:
                if (spent >= (open_peers_[peer->connection.uid()] > few_peers ? time_for_first_byte
                                                                              : patience)) {
                    shut_down(*peer, "it sent nothing");
                }
                break;
            case Peer::Phase::speaking:
                if (spent >= time_for_message) {
                    shut_down(*peer, "its message took too long");
                }
                break;
            case Peer::Phase::taken:
                if (spent >= time_for_message) {
                    shut_down(*peer, "");
                }
                break;
            }
        }
        if (!peers_.empty()) {
            sweep();
        }
    });
}

/// The peer's handler drops it: after the shutdown its socket is readable.
void Peers::shut_down(Peer &peer, const char *why)
{
    if (peer.ended == nullptr) {
        peer.ended = why;
        --open_peers_[peer.connection.uid()];
        ::shutdown(peer.connection.fd(), SHUT_RDWR);
    }
}

/// Shuts down the user's oldest connection if the user has too many. False: there is no room and
/// none can be made.
bool Peers::make_room(uid_t uid)
{
    // Connections may use only part of a user's descriptors, because each will bring more.
    const std::uint64_t most =
        std::min<std::uint64_t>(max_peers, ledger_->allowance(Resource::descriptors, uid) / 4 + 1);
    const bool fits = ledger_->fits(Resource::descriptors, uid, 1);
    if (fits && open_peers_[uid] < most) {
        return true;
    }
    crowded_ = true;
    const auto oldest = std::find_if(peers_.begin(), peers_.end(), [&](const auto &peer) {
        return peer.second->ended == nullptr && peer.second->connection.uid() == uid;
    });
    if (oldest == peers_.end()) {
        return fits;
    }
    shut_down(*oldest->second, "too many connections");
    return true;
}

void Peers::wait_for_more(std::uint64_t id)
{
    peers_.at(id)->watch->wait_readable([this, id] { on_readable(id); });
}

void Peers::on_readable(std::uint64_t id)
{
    Peer &peer = *peers_.at(id);
    if (peer.ended != nullptr) {
        drop(id, peer.ended);
        return;
    }
    if (peer.phase == Peer::Phase::taken) {
        if (peer.connection.drain()) {
            wait_for_more(id);
        } else {
            drop(id, "");
        }
        return;
    }
    const uid_t uid = peer.connection.uid();
    // Descriptors that are received must be closed again, which may hang: none beyond the share.
    if (!ledger_->fits(Resource::descriptors, uid, 0)) {
        drop(id, Ledger::refusal(Resource::descriptors, uid));
        return;
    }
    const Connection::Progress progress = peer.connection.read();
    peer.descriptors.set(1 + peer.connection.fd_count());
    peer.memory.set(peer.connection.text().size());
    for (const Resource resource : {Resource::descriptors, Resource::memory}) {
        if (!ledger_->fits(resource, uid, 0)) {
            drop(id, Ledger::refusal(resource, uid));
            return;
        }
    }
    switch (progress) {
    case Connection::Progress::more:
        if (peer.phase == Peer::Phase::silent) {
            enter(peer, Peer::Phase::speaking);
        }
        wait_for_more(id);
        break;
    case Connection::Progress::failed:
        drop(id, peer.connection.why());
        break;
    case Connection::Progress::message:
        complete_[uid].push_back(id);
        handle_messages();
        break;
    }
}

/// Handles one message, then yields to other handlers: a large message takes milliseconds.
void Peers::handle_messages()
{
    if (complete_.empty() || std::exchange(handling_, true)) {
        return;
    }
    loop_.after(std::chrono::milliseconds(0), [this] {
        handling_ = false;
        auto next = complete_.upper_bound(last_turn_);
        if (next == complete_.end()) {
            next = complete_.begin();
        }
        last_turn_ = next->first;
        const std::uint64_t id = next->second.front();
        next->second.pop_front();
        if (next->second.empty()) {
            complete_.erase(next);
        }
        Peer &peer = *peers_.at(id);
        if (peer.ended != nullptr) {
            drop(id, peer.ended);
        } else {
            take_message(id, peer);
        }
        handle_messages();
    });
}

/// `why`: empty if nothing is wrong.
void Peers::drop(std::uint64_t id, const std::string &why)
{
    const auto found = peers_.find(id);
    const std::unique_ptr<Peer> peer = std::move(found->second);
    peers_.erase(found);
    const uid_t uid = peer->connection.uid();
    if (!why.empty()) {
        diagnostics_.warn("a connection of uid " + std::to_string(uid) + " was closed: " + why,
                          uid);
    }
    if (peer->ended == nullptr) {
        --open_peers_[uid];
    }
    if (open_peers_[uid] == 0) {
        open_peers_.erase(uid);
    }
    peer->watch.reset();
    disposal_.take(uid, peer->connection.take_fds(), peer->connection.take_socket());
}

void Peers::take_message(std::uint64_t id, Peer &peer)
{
    auto parsed = parse_process_state(peer.connection.take_text());
    peer.memory.set(0);
    if (const auto *error = std::get_if<ProtocolError>(&parsed)) {
        drop(id, error->why);
        return;
    }
    auto &state = std::get<ProcessState>(parsed);
    const bool from_shim = state.subject.calls.has_value();
    state.subject.pid_here = peer_pid(peer.connection.fd());
    const std::string error =
        listeners_.take(peer.connection.uid(), peer.connection.take_fds(), std::move(state));
    peer.descriptors.set(1);
    if (from_shim) {
        peer.connection.answer(error.empty() ? "ok" : error);
        drop(id, error);
        return;
    }
    if (!error.empty()) {
        drop(id, error);
        return;
    }
    // A runtime may send more (white space) and keep its side open for long. Closing ours at once
    // could make its send fail.
    enter(peer, Peer::Phase::taken);
    wait_for_more(id);
}

} // namespace clone2::agent
