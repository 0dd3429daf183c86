// SPDX-License-Identifier: MIT
#pragma once

#include "base/procfs.hpp"
#include "base/remote_ptr.hpp"
#include "base/result.hpp"
#include "executor/trampoline.hpp"

#include <cstdint>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

namespace clone2
{

/// Where an executed program carries our code and data. The same in all its fork children.
struct Image {
    RemotePtr code;
    RemotePtr area;
    bool operator==(const Image &) const = default;
};

/// What was seen where: hints only, each proved by the signatures in the target's own memory
/// before it is used. The state itself lives in the targets, so fork needs no book-keeping and
/// forgetting costs time only. Thread-safe.
class ImageHints
{
public:
    /// The image last seen for this thread, else the one last seen at all (fork children).
    [[nodiscard]] std::optional<Image> guess(pid_t tid) const;
    /// All images seen with their code at this address.
    [[nodiscard]] std::vector<Image> with_code_at(RemotePtr code) const;
    void remember(pid_t tid, const Image &image);

private:
    mutable std::mutex mutex_;
    std::unordered_map<pid_t, Image> by_tid_;
    std::unordered_map<std::uint64_t, std::vector<Image>> by_code_;
    std::optional<Image> latest_;
};

/// Room for the code in a target: unused bytes at the end of a page that is mapped executable
/// and private to the process once written. Behind the code lie the boot slots and, where there
/// is room, spare slots: for calls of a target that has no memory left for the area. The target
/// can only read them, so the supervisor itself has to see when they are free.
struct CodePlace {
    RemotePtr code;
    std::uint32_t boot_slots = 0; ///< >= 1
    std::uint32_t spare_slots = 0;

    [[nodiscard]] std::vector<RemotePtr> all_boot_slots() const;
    [[nodiscard]] std::vector<RemotePtr> all_spare_slots() const;
    [[nodiscard]] RemotePtr boot_slot(std::uint32_t index) const;
    [[nodiscard]] RemotePtr spare_slot(std::uint32_t index) const;
};

/// Finds it: the vdso's tail, else the tail of the program's own text. nullopt: the target is
/// gone or has neither. `ours`: code with another signature takes up its place, for a thread may be
/// in it.
[[nodiscard]] std::optional<CodePlace> find_code_place(const Procfs &procfs, pid_t tid,
                                                       const Signature &ours);

/// Whether this address is mapped executable and private at this moment. What AT_SYSINFO_EHDR and
/// the ELF headers say proves neither: a program may have made its vdso non-executable, may have
/// moved it, or may keep a file's image there as data.
[[nodiscard]] bool may_hold_code(const Procfs &procfs, pid_t tid, RemotePtr code);

/// Which threads use which of a code place's slots, boot slots or spare slots. Thread-safe.
///
/// A thread may use several at once: a signal handler that calls clone2 can come in between. One
/// that never reports back (it left by longjmp, another thread called exec) keeps its slot until
/// it is gone, until it needs the slot itself, or until it needs one in another program: a tid
/// stays the same through any number of those.
class SlotUsers
{
public:
    /// A slot for `tid` that no other thread of the same address space uses: one of `slots`.
    /// nullopt: all are in use by other threads.
    [[nodiscard]] std::optional<RemotePtr> begin(pid_t tid, std::span<const RemotePtr> slots);
    /// The thread has no more use for it.
    void end(pid_t tid, RemotePtr slot);

private:
    struct User {
        pid_t tid = 0;
        RemotePtr slot;
    };
    std::mutex mutex_;
    std::vector<User> users_; ///< oldest first
};

/// Those of `slots` that `tid` may be given as far as they themselves say: each names, at
/// `owner_offset`, the thread that uses it. An earlier supervisor may have given it away, and
/// SlotUsers knows nothing of that. Those of `tid` itself come last: a signal handler of it may
/// have interrupted their use.
[[nodiscard]] std::vector<RemotePtr> unowned_slots(pid_t tid, std::span<const RemotePtr> slots,
                                                   std::uint64_t owner_offset);

/// Whether two threads share their memory (kcmp(2)). ESRCH where one is gone.
[[nodiscard]] Result<bool> share_memory(pid_t one, pid_t other);

} // namespace clone2
