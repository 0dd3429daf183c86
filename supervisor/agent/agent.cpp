// SPDX-License-Identifier: MIT
#include "agent/agent.hpp"

#include "agent/policy_file.hpp"
#include "agent/shared_listener.hpp"
#include "base/printable.hpp"
#include "listener/filter.hpp"
#include "listener/listener.hpp"

#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <system_error>
#include <utility>

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
/// After accept() failed for lack of descriptors or memory.
constexpr std::chrono::milliseconds accept_pause{200};
/// Stands for peers whose uid is not mapped here.
constexpr auto nobody_at_all = static_cast<uid_t>(-1);
/// Prefix of the names under which the service manager keeps listeners.
constexpr std::string_view stored_prefix = "clone2-";

/// What is wrong with the message; empty: nothing.
std::string why_not(const std::vector<Fd> &fds, const ProcessState &state)
{
    if (fds.size() != state.fd_count) {
        return std::to_string(state.fd_count) + " descriptors were announced, " +
               std::to_string(fds.size()) + " came";
    }
    if (!is_seccomp_listener(fds[state.listener_index].get())) {
        return "the descriptor sent as \"seccompFd\" is not a seccomp listener";
    }
    if (const std::optional<int> nr = state.subject.nr) {
        if (const auto name = name_of_system_call(*nr)) {
            return "number " + std::to_string(*nr) + " is the system call " + *name;
        }
    }
    return {};
}

/// The memory that a listener costs us.
std::uint64_t memory_of(const Subject &subject)
{
    constexpr std::uint64_t of_listener = 4096;
    return of_listener + bytes_kept(subject);
}

/// The memory of its note: the subject as a struct and once more as text.
std::uint64_t memory_of_note(const Subject &subject)
{
    constexpr std::uint64_t of_table = 8192 + 4096;
    return of_table + 2 * bytes_kept(subject);
}

/// A name that no earlier agent has used.
std::string new_stored_name()
{
    std::uint64_t number = 0;
    if (::getrandom(&number, sizeof number, GRND_NONBLOCK) != sizeof number) {
        number =
            static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
    }
    return std::string(stored_prefix) + std::to_string(number);
}

} // namespace

Agent::Agent(EventLoop &loop, Scheduler &scheduler, Diagnostics &diagnostics, AuditSink &audit,
             std::shared_ptr<const Procfs> procfs, Config config, ListeningSocket socket)
    : loop_(loop), scheduler_(scheduler), diagnostics_(diagnostics),
      config_(std::move(config)), shared_{audit, diagnostics, policy_, std::move(procfs),
                                          config_.nr},
      ledger_(std::make_shared<Ledger>(config_.totals, diagnostics)), socket_(std::move(socket)),
      watch_(loop.watch(socket_.fd()))
{
    if (const std::string error = load_policy(); !error.empty()) {
        throw std::runtime_error(error);
    }
}

std::string Agent::load_policy()
{
    if (config_.policy_path.empty()) {
        return {};
    }
    const std::string shown = "--policy " + printable(config_.policy_path);
    std::ifstream file(config_.policy_path);
    const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    if (!file.is_open() || file.bad()) {
        return shown + ": " + std::strerror(errno);
    }
    auto parsed = parse_policy(text);
    if (const auto *error = std::get_if<PolicyError>(&parsed)) {
        return shown + ":" + error->why;
    }
    auto &policy = std::get<Policy>(parsed);
    if (policy.counts_children() && !config_.results_known) {
        return shown + ": max_children: the kernel's own clone2 makes the calls, and their "
                       "results are not known here (--provider=supervisor)";
    }
    policy_.replace(std::make_shared<const Policy>(std::move(policy)));
    return {};
}

void Agent::reload_policy()
{
    if (const std::string error = load_policy(); !error.empty()) {
        diagnostics_.warn(error + "; the policy stays as it was");
        return;
    }
    diagnostics_.info(config_.policy_path.empty() ? "SIGHUP: there is no policy to reload"
                                                  : "the policy was reloaded");
}

void Agent::start()
{
    wait_for_peers();
    systemd_.notify("READY=1");
}

void Agent::stop()
{
    stopped_ = true;
    systemd_.notify("STOPPING=1");
    socket_.close();
    for (const auto &[id, peer] : peers_) {
        ::shutdown(peer->connection.fd(), SHUT_RDWR);
    }
}

void Agent::wait_for_peers()
{
    watch_->wait_readable([this] { accept_some(); });
}

void Agent::accept_some()
{
    if (stopped_) {
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
            loop_.after(accept_pause, [this] { wait_for_peers(); });
            return;
        }
        break;
    }
    wait_for_peers();
}

bool Agent::accept_one()
{
    Fd socket{::accept4(socket_.fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
    if (!socket) {
        return false;
    }
    const std::optional<uid_t> uid = peer_uid(socket.get());
    if (!uid || (*uid != 0 && *uid != ::geteuid() && !config_.allowed.contains(*uid))) {
        const std::string who = uid ? "uid " + std::to_string(*uid)
                                    : "a uid that the agent's user namespace doesn't map";
        diagnostics_.warn("a peer with " + who + " was turned away (--allow-uid)");
        send_line(socket.get(), who + " may not use this agent (see --allow-uid)");
        discard(uid.value_or(nobody_at_all), {{}, std::move(socket), {}});
        return true;
    }
    admit(std::move(socket), *uid);
    return true;
}

void Agent::admit(Fd socket, uid_t uid)
{
    if (!make_room(uid)) {
        send_line(socket.get(), Ledger::refusal(Resource::descriptors, uid));
        discard(uid, {{}, std::move(socket), {}});
        return;
    }
    const std::uint64_t id = next_peer_++;
    try {
        peers_.emplace(id, std::make_unique<Peer>(loop_, std::move(socket), uid, *ledger_));
    } catch (const std::system_error &error) { // fs.epoll.max_user_watches
        diagnostics_.warn(std::string("a connection was closed: ") + error.what());
        return;
    }
    ++open_peers_[uid];
    sweep();
    wait_for_more(id);
}

void Agent::enter(Peer &peer, Peer::Phase phase)
{
    peer.phase = phase;
    peer.since = std::chrono::steady_clock::now();
}

/// Shuts down peers that have used up their time. One timer serves all, however often peers come.
void Agent::sweep()
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
void Agent::shut_down(Peer &peer, const char *why)
{
    if (peer.ended == nullptr) {
        peer.ended = why;
        --open_peers_[peer.connection.uid()];
        ::shutdown(peer.connection.fd(), SHUT_RDWR);
    }
}

/// Shuts down the user's oldest connection if the user has too many. False: there is no room and
/// none can be made.
bool Agent::make_room(uid_t uid)
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

void Agent::wait_for_more(std::uint64_t id)
{
    peers_.at(id)->watch->wait_readable([this, id] { on_readable(id); });
}

void Agent::on_readable(std::uint64_t id)
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
void Agent::handle_messages()
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
void Agent::drop(std::uint64_t id, const std::string &why)
{
    const auto found = peers_.find(id);
    const std::unique_ptr<Peer> peer = std::move(found->second);
    peers_.erase(found);
    const uid_t uid = peer->connection.uid();
    if (!why.empty()) {
        diagnostics_.warn("a connection of uid " + std::to_string(uid) + " was closed: " + why);
    }
    if (peer->ended == nullptr) {
        --open_peers_[uid];
    }
    if (open_peers_[uid] == 0) {
        open_peers_.erase(uid);
    }
    peer->watch.reset();
    discard(uid, {peer->connection.take_fds(), peer->connection.take_socket(), {}});
}

/// Closes the descriptors; here only if closing can't block.
void Agent::discard(uid_t uid, Waste waste)
{
    if (waste.connection && empty_for_good(waste.connection.get())) {
        waste.connection.reset();
    }
    if (waste.connection || !waste.fds.empty()) {
        waste.charge.emplace(ledger_->hold(Resource::descriptors, uid,
                                           waste.fds.size() + (waste.connection ? 1 : 0)));
        disposal_.take(uid, std::move(waste));
    }
}

void Agent::take_message(std::uint64_t id, Peer &peer)
{
    auto parsed = parse_process_state(peer.connection.take_text());
    peer.memory.set(0);
    if (const auto *error = std::get_if<ProtocolError>(&parsed)) {
        drop(id, error->why);
        return;
    }
    auto &state = std::get<ProcessState>(parsed);
    const bool from_shim = state.from_shim;
    const std::string error =
        take_listener(peer.connection, peer.connection.take_fds(), std::move(state));
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

/// Empty: the listener is served. Else why not.
std::string Agent::take_listener(const Connection &connection, std::vector<Fd> fds,
                                 ProcessState state)
{
    std::string error = why_not(fds, state);
    Fd listener;
    if (error.empty()) {
        std::swap(listener, fds[state.listener_index]);
    }
    discard(connection.uid(), {std::move(fds), {}, {}});
    if (!error.empty()) {
        return error;
    }
    state.subject.uid = connection.uid();
    return serve_listener(std::move(listener), std::move(state.subject));
}

std::string Agent::serve_listener(Fd listener, Subject subject)
{
    if (scheduler_.serves(listener.get())) {
        return "this listener is already served";
    }
    const uid_t uid = subject.uid;
    std::vector<Charge> charges;
    const auto charge = [&](Resource resource, std::uint64_t amount) {
        std::optional<Charge> taken = ledger_->take(resource, uid, amount);
        if (taken) {
            charges.push_back(std::move(*taken));
        }
        return taken.has_value();
    };
    for (const auto &[resource, amount] : {std::pair{Resource::listeners, std::uint64_t{1}},
                                           {Resource::descriptors, 1},
                                           {Resource::memory, memory_of(subject)}}) {
        if (!charge(resource, amount)) {
            return Ledger::refusal(resource, uid);
        }
    }
    const bool keep = systemd_.there() && charge(Resource::kept, 1) &&
                      charge(Resource::descriptors, 1) &&
                      charge(Resource::memory, memory_of_note(subject));
    std::optional<ListenerNote> note = keep ? ListenerNote::create(subject) : std::nullopt;
    std::string stored_as;
    if (note) {
        const std::string name = new_stored_name();
        const std::array kept{listener.get(), note->fd()};
        if (systemd_.notify("FDSTORE=1\nFDNAME=" + name, kept)) {
            stored_as = name;
        }
    }
    if (systemd_.there() && stored_as.empty()) {
        diagnostics_.warn(subject.name() + ": the service manager can't keep its listener");
    }
    const std::string who = subject.name();
    try {
        const int fd = listener.get();
        const auto owner = make_peer_listener(std::move(subject), fd, std::move(note), stored_as);
        owner->hold(std::move(charges));
        scheduler_.add_listener(std::make_unique<SharedListener>(std::move(listener), diagnostics_,
                                                                 owner->subject().name()),
                                owner);
    } catch (const std::system_error &failure) {
        if (!stored_as.empty()) {
            systemd_.notify("FDSTOREREMOVE=1\nFDNAME=" + stored_as);
        }
        return failure.what();
    }
    diagnostics_.info(who + ": its listener is served");
    return {};
}

std::shared_ptr<PeerListener> Agent::make_peer_listener(Subject subject, int listener,
                                                        std::optional<ListenerNote> note,
                                                        const std::string &stored_as)
{
    const std::string name = subject.name();
    return std::make_shared<PeerListener>(
        shared_, std::move(subject), listener, std::move(note), [this, name, stored_as] {
            if (!stored_as.empty()) {
                systemd_.notify("FDSTOREREMOVE=1\nFDNAME=" + stored_as);
            }
            diagnostics_.info(name + ": its last process is gone");
        });
}

void Agent::restore(std::vector<PassedFd> kept)
{
    std::map<std::string, std::vector<Fd>> by_name;
    for (PassedFd &passed : kept) {
        by_name[passed.name].push_back(std::move(passed.fd));
    }
    for (auto &[name, fds] : by_name) {
        if (name.starts_with(stored_prefix)) {
            restore_one(name, std::move(fds));
        } else {
            diagnostics_.warn("the passed descriptor \"" + printable(name) +
                              "\" is neither a socket nor one of our listeners");
            discard(0, {std::move(fds), {}, {}});
        }
    }
}

void Agent::restore_one(const std::string &name, std::vector<Fd> fds)
{
    Fd listener;
    std::optional<ListenerNote> note;
    for (Fd &fd : fds) {
        if (is_seccomp_listener(fd.get())) {
            listener = std::move(fd);
        } else if (auto opened = ListenerNote::open(std::move(fd))) {
            note.emplace(std::move(*opened));
        }
    }
    if (!listener) {
        // Its last process ended while no agent ran; systemd has closed its copy by then.
        systemd_.notify("FDSTOREREMOVE=1\nFDNAME=" + name);
        return;
    }
    Subject subject;
    if (note) {
        subject = note->subject();
    } else {
        diagnostics_.warn("\"" + printable(name) +
                          "\": its note is lost; it is served as a nameless container "
                          "of uid 0");
    }
    const unsigned failed = note ? note->fail_orphans(listener.get()) : 0;
    const int fd = listener.get();
    try {
        // An earlier agent has admitted it, so it stays even over the limit.
        std::vector<Charge> charges;
        for (const auto &[resource, amount] :
             {std::pair{Resource::listeners, std::uint64_t{1}},
              {Resource::descriptors, 2},
              {Resource::kept, 1},
              {Resource::memory, memory_of(subject) + memory_of_note(subject)}}) {
            charges.push_back(ledger_->hold(resource, subject.uid, amount));
        }
        const auto owner = make_peer_listener(subject, fd, std::move(note), name);
        owner->hold(std::move(charges));
        scheduler_.add_listener(std::make_unique<SharedListener>(std::move(listener), diagnostics_,
                                                                 owner->subject().name()),
                                owner);
    } catch (const std::system_error &failure) {
        diagnostics_.warn(subject.name() + ": " + failure.what());
        return;
    }
    diagnostics_.info(subject.name() +
                      ": its listener is served again; unanswered calls failed with ENOSYS: " +
                      std::to_string(failed));
}

} // namespace clone2::agent
