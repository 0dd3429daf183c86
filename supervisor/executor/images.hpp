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

/// Which slots are being filled right now, so that no two workers take the same one. Counted by
/// the area's address alone: fork relatives, who share it, are kept apart more than they need.
/// Thread-safe.
class SlotReservations
{
public:
    /// Holds one slot until destruction.
    class Lease
    {
    public:
        Lease(SlotReservations &table, RemotePtr area, std::uint32_t index)
            : table_(&table), area_(area), index_(index)
        {
        }
        Lease(Lease &&other) noexcept
            : table_(std::exchange(other.table_, nullptr)), area_(other.area_),
              index_(other.index_)
        {
        }
        Lease &operator=(Lease &&other) noexcept
        {
            std::swap(table_, other.table_);
            std::swap(area_, other.area_);
            std::swap(index_, other.index_);
            return *this;
        }
        Lease(const Lease &) = delete;
        Lease &operator=(const Lease &) = delete;
        ~Lease();

        [[nodiscard]] std::uint32_t index() const { return index_; }
        /// The slot's address in the target.
        [[nodiscard]] RemotePtr slot() const { return area_ + arch::slot_offset(index_); }

    private:
        SlotReservations *table_;
        RemotePtr area_;
        std::uint32_t index_;
    };

    /// The lowest slot that nobody has reserved.
    [[nodiscard]] std::optional<Lease> reserve_any(RemotePtr area);
    /// This slot, unless somebody has reserved it.
    [[nodiscard]] std::optional<Lease> reserve(RemotePtr area, std::uint32_t index);

private:
    std::mutex mutex_;
    std::set<std::pair<RemotePtr, std::uint32_t>> reserved_;
};

/// Room for the code in a target: unused bytes at the end of a page that is mapped executable
/// and private to the process once written.
struct CodePlace {
    RemotePtr code;
    std::uint32_t boot_slots = 0; ///< boot slots that fit behind the code, >= 1

    [[nodiscard]] RemotePtr boot_slot(std::uint32_t index) const;
};

/// Finds it: the vdso's tail, else the tail of the program's own text. nullopt: the target is
/// gone or has neither.
[[nodiscard]] std::optional<CodePlace> find_code_place(const Procfs &procfs, pid_t tid);

/// Which threads are booting an image now, and with which boot slot. Thread-safe.
///
/// A thread may be in several boots at once: a signal handler that calls clone2 can come in
/// between. A boot that never reports back (the thread left it by longjmp, another one called
/// exec) keeps its slot until the thread is gone or needs it itself.
class Boots
{
public:
    /// A boot slot for `tid` that no other boot in the same address space uses. nullopt: all
    /// are in use by other threads.
    [[nodiscard]] std::optional<std::uint32_t> begin(pid_t tid, const CodePlace &place);
    /// The boot with this slot's address has reported back and was answered with success.
    void end(pid_t tid, RemotePtr slot);

private:
    struct Boot {
        pid_t tid = 0;
        RemotePtr code;
        RemotePtr slot;
        std::uint32_t index = 0;
    };
    std::mutex mutex_;
    std::vector<Boot> boots_; ///< oldest first
};

/// Whether two threads share their memory (kcmp(2)). ESRCH where one is gone.
[[nodiscard]] Result<bool> share_memory(pid_t one, pid_t other);

} // namespace clone2
