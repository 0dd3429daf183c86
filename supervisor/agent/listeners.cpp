// SPDX-License-Identifier: MIT
#include "agent/listeners.hpp"

#include "agent/shared_listener.hpp"
#include "base/printable.hpp"
#include "filter/filter.hpp"
#include "listener/listener.hpp"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <iterator>
#include <map>
#include <string_view>
#include <system_error>

namespace clone2::agent
{

namespace
{

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
    if (state.subject.calls) {
        if (const auto in_use = number_in_use(*state.subject.calls)) {
            return "number " + *in_use;
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

/// How a stricter filter refuses the call where the program runs, as clone2-shim has found out.
/// Empty: it does not, or nobody knows.
std::string refusal_in_sandbox(const Subject &subject)
{
    constexpr std::size_t shown = 256;
    const auto found = subject.annotations.find("clone2-shim.refused");
    return subject.calls && found != subject.annotations.end() ? shortened(found->second, shown)
                                                               : "";
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

std::string Listeners::take(uid_t uid, std::vector<Fd> fds, ProcessState state)
{
    std::string error = why_not(fds, state);
    Fd listener;
    if (error.empty()) {
        std::swap(listener, fds[state.listener_index]);
    }
    disposal_.take(uid, std::move(fds), {});
    if (!error.empty()) {
        return error;
    }
    state.subject.uid = uid;
    return serve(std::move(listener), state.subject);
}

std::string Listeners::serve(Fd fd, const Subject &subject)
{
    if (scheduler_.serves(fd.get())) {
        return "this listener is already served";
    }
    std::vector<Charge> charges;
    std::string refusal = charge(subject.uid,
                                 {{Resource::listeners, 1},
                                  {Resource::descriptors, 1},
                                  {Resource::memory, memory_of(subject)}},
                                 charges);
    if (!refusal.empty()) {
        return refusal;
    }
    Kept kept = systemd_.there() ? keep(fd.get(), subject, charges) : Kept{};
    const std::string who = subject.name();
    const std::string name = kept.name;
    const std::string refusal_there = refusal_in_sandbox(subject);
    try {
        add(std::move(fd), subject, std::move(kept), std::move(charges));
    } catch (const std::system_error &failure) {
        forget(name);
        return failure.what();
    }
    shared_.diagnostics.info(who + ": its listener is served");
    if (!refusal_there.empty()) {
        shared_.diagnostics.warn(
            who + ": a stricter filter of its sandbox refuses clone2's number: " + refusal_there,
            subject.uid);
    }
    return {};
}

/// Empty: all is charged. Else why not; what was charged before stays.
std::string Listeners::charge(uid_t uid, Amounts amounts, std::vector<Charge> &charges)
{
    for (const auto &[resource, amount] : amounts) {
        std::optional<Charge> taken = ledger_->take(resource, uid, amount);
        if (!taken) {
            return Ledger::refusal(resource, uid);
        }
        charges.push_back(std::move(*taken));
    }
    return {};
}

/// Has the service manager keep the listener, with a note; or says that it can't.
Listeners::Kept Listeners::keep(int fd, const Subject &subject, std::vector<Charge> &charges)
{
    std::vector<Charge> more;
    const std::string refusal = charge(subject.uid,
                                       {{Resource::kept, 1},
                                        {Resource::descriptors, 1},
                                        {Resource::memory, memory_of_note(subject)}},
                                       more);
    std::optional<ListenerNote> note =
        refusal.empty() ? ListenerNote::create(subject) : std::nullopt;
    if (note) {
        std::string name = new_stored_name();
        const std::array fds{fd, note->fd()};
        if (systemd_.notify("FDSTORE=1\nFDNAME=" + name, fds)) {
            std::move(more.begin(), more.end(), std::back_inserter(charges));
            return {std::move(note), std::move(name)};
        }
    }
    shared_.diagnostics.warn(subject.name() + ": the service manager can't keep its listener",
                             subject.uid);
    return {};
}

void Listeners::forget(const std::string &name) const
{
    if (!name.empty()) {
        systemd_.notify("FDSTOREREMOVE=1\nFDNAME=" + name);
    }
}

/// Throws std::system_error.
void Listeners::add(Fd fd, const Subject &subject, Kept kept, std::vector<Charge> charges)
{
    const std::string who = subject.name();
    auto listener = std::make_unique<SharedListener>(std::move(fd), shared_.diagnostics, who,
                                                     subject.uid, std::move(kept.note));
    const SharedListener &served = *listener; // its end is reported while it exists
    const auto owner =
        std::make_shared<PeerListener>(shared_, subject, [this, who, &served, name = kept.name] {
            forget(name);
            if (!served.is_lost()) { // else a warning has said so
                shared_.diagnostics.info(who + ": its last process is gone");
            }
        });
    owner->hold(std::move(charges));
    scheduler_.add_listener(std::move(listener), owner);
}

void Listeners::restore(std::vector<PassedFd> kept)
{
    std::map<std::string, std::vector<Fd>> by_name;
    for (PassedFd &passed : kept) {
        by_name[passed.name].push_back(std::move(passed.fd));
    }
    for (auto &[name, fds] : by_name) {
        if (name.starts_with(stored_prefix)) {
            restore_one(name, std::move(fds));
        } else {
            shared_.diagnostics.warn(
                "a descriptor named \"" + printable(name) +
                "\" was passed, which is neither a socket nor a listener of ours");
            disposal_.take(0, std::move(fds), {});
        }
    }
}

void Listeners::restore_one(const std::string &name, std::vector<Fd> fds)
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
        forget(name);
        return;
    }
    Subject subject;
    if (note) {
        subject = note->subject();
    } else {
        shared_.diagnostics.warn("\"" + printable(name) +
                                 "\": its note is lost; it is served as a nameless container "
                                 "of uid 0");
    }
    const unsigned failed = note ? note->fail_orphans(listener.get()) : 0;
    // What an earlier agent has let in stays.
    std::vector<Charge> charges;
    for (const auto &[resource, amount] :
         {std::pair{Resource::listeners, std::uint64_t{1}},
          {Resource::descriptors, 2},
          {Resource::kept, 1},
          {Resource::memory, memory_of(subject) + memory_of_note(subject)}}) {
        charges.push_back(ledger_->hold(resource, subject.uid, amount));
    }
    const std::string who = subject.name();
    try {
        add(std::move(listener), subject, {std::move(note), name}, std::move(charges));
    } catch (const std::system_error &failure) {
        shared_.diagnostics.warn(who + ": " + failure.what());
        return;
    }
    shared_.diagnostics.info(
        who + ": its listener is served again; unanswered calls failed with ENOSYS: " +
        std::to_string(failed));
}

} // namespace clone2::agent
