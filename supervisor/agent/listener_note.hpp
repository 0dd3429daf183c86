// SPDX-License-Identifier: MIT
#pragma once

#include "agent/process_state.hpp"
#include "base/fd.hpp"
#include "listener/listener.hpp"

#include <cstdint>
#include <optional>

namespace clone2::agent
{

/// What must outlive an agent about a listener that the service manager keeps: the subject and the
/// received notifications. It is a memfd, kept beside the listener.
///
/// The notifications matter for calls that an agent received but did not live to answer. While the
/// listener is open somewhere, the kernel neither fails such a call nor delivers it again, so the
/// target would wait forever. An agent can be killed at any moment. So the kernel itself makes the
/// first note: each notification is received into the memfd.
///
/// Only one thread of one process may receive at a time.
class ListenerNote
{
public:
    /// nullopt: out of memory.
    [[nodiscard]] static std::optional<ListenerNote> create(const Subject &subject);
    /// Opens a memfd of an earlier agent. nullopt: it is not one.
    [[nodiscard]] static std::optional<ListenerNote> open(Fd memfd);

    ListenerNote(ListenerNote &&other) noexcept;
    ListenerNote &operator=(ListenerNote &&) = delete;
    ListenerNote(const ListenerNote &) = delete;
    ListenerNote &operator=(const ListenerNote &) = delete;
    ~ListenerNote();

    [[nodiscard]] int fd() const { return memfd_.get(); }
    [[nodiscard]] const Subject &subject() const { return subject_; }
    /// Where to receive the next notification. Zero, until one is there.
    [[nodiscard]] NotificationRoom &room() const;
    /// Notes the notification that is in room(), and makes room for the next.
    void received(int listener, std::uint64_t id);
    /// Fails calls that an earlier agent left unanswered with ENOSYS, and returns their number.
    /// Call it before receiving from `listener`.
    [[nodiscard]] unsigned fail_orphans(int listener) const;

private:
    struct Table;
    void note(int listener, std::uint64_t id);
    ListenerNote(Fd memfd, Table *table, Subject subject)
        : memfd_(std::move(memfd)), table_(table), subject_(std::move(subject))
    {
    }

    Fd memfd_;
    Table *table_; ///< shared with the service manager's copy
    Subject subject_;
};

} // namespace clone2::agent
