// SPDX-License-Identifier: MIT
#pragma once

#include "agent/process_state.hpp"
#include "base/fd.hpp"

#include <cstdint>
#include <optional>

namespace clone2::agent
{

/// What must outlive an agent about a listener that the service manager keeps: a memfd, kept
/// beside it, with the subject and the notifications that were received.
///
/// The latter are for calls that an agent took up but did not live to answer: while the listener
/// is open somewhere the kernel neither fails them nor hands them out again, and the target would
/// wait for ever. Killed between the kernel's handing one out and received(), an agent has not
/// noted it; ids are consecutive numbers (kernel/seccomp.c, seccomp_next_notify_id()), so that
/// the next agent asks for those behind the newest, too.
///
/// Written by one process at a time; received() is thread-safe.
class ListenerNote
{
public:
    /// nullopt: no memory.
    [[nodiscard]] static std::optional<ListenerNote> create(const Subject &subject);
    /// Takes over a memfd of an earlier agent. nullopt: it is none.
    [[nodiscard]] static std::optional<ListenerNote> open(Fd memfd);

    ListenerNote(ListenerNote &&other) noexcept;
    ListenerNote &operator=(ListenerNote &&) = delete;
    ListenerNote(const ListenerNote &) = delete;
    ListenerNote &operator=(const ListenerNote &) = delete;
    ~ListenerNote();

    [[nodiscard]] int fd() const { return memfd_.get(); }
    [[nodiscard]] const Subject &subject() const { return subject_; }
    /// Notes a notification, before anything is done about it.
    void received(int listener, std::uint64_t id);
    /// Fails with ENOSYS what an earlier agent has left unanswered: the number of such calls.
    /// Before anything is received from `listener`.
    [[nodiscard]] unsigned fail_orphans(int listener) const;

private:
    struct Table;
    ListenerNote(Fd memfd, Table *table, Subject subject)
        : memfd_(std::move(memfd)), table_(table), subject_(std::move(subject))
    {
    }

    Fd memfd_;
    Table *table_; ///< shared with the service manager's copy
    Subject subject_;
};

} // namespace clone2::agent
