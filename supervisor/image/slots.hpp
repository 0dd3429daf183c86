// SPDX-License-Identifier: MIT
#pragma once

#include "arch/architecture.hpp"
#include "base/procfs.hpp"
#include "base/remote_ptr.hpp"
#include "base/result.hpp"
#include "image/hints.hpp"
#include "listener/pending_call.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <utility>

/// Finds a free slot in a target's area for one call.

namespace clone2
{

/// Records which slots are being filled right now, so that no two workers take the same one. Keyed
/// by the area's address alone, so fork relatives, which share the address, exclude each other more
/// than necessary. Thread-safe.
class SlotReservations
{
public:
    /// Holds one slot until destruction.
    class Lease
    {
    public:
        Lease(SlotReservations &table, RemotePtr slot, std::uint32_t index)
            : table_(&table), slot_(slot), index_(index)
        {
        }
        Lease(Lease &&other) noexcept
            : table_(std::exchange(other.table_, nullptr)), slot_(other.slot_), index_(other.index_)
        {
        }
        Lease &operator=(Lease &&other) noexcept
        {
            std::swap(table_, other.table_);
            std::swap(slot_, other.slot_);
            std::swap(index_, other.index_);
            return *this;
        }
        Lease(const Lease &) = delete;
        Lease &operator=(const Lease &) = delete;
        ~Lease();

        [[nodiscard]] std::uint32_t index() const { return index_; }
        /// The slot's address in the target.
        [[nodiscard]] RemotePtr slot() const { return slot_; }

    private:
        SlotReservations *table_;
        RemotePtr slot_;
        std::uint32_t index_;
    };

    /// The next unreserved slot, starting with `first`, which is below the slot count.
    [[nodiscard]] std::optional<Lease> reserve_any(RemotePtr area, const Architecture &arch,
                                                   std::uint32_t first);
    /// This slot, unless it is reserved.
    [[nodiscard]] std::optional<Lease> reserve(RemotePtr area, const Architecture &arch,
                                               std::uint32_t index);

private:
    std::mutex mutex_;
    std::set<RemotePtr> reserved_; ///< slots
};

/// Finds slots that are free in the target and not reserved here. Thread-safe.
class SlotFinder
{
public:
    using Lease = SlotReservations::Lease;

    explicit SlotFinder(std::shared_ptr<const Procfs> procfs) : procfs_(std::move(procfs)) {}

    /// Where the search for a slot for a call of `tid` begins. Threads with tids close to each
    /// other begin far apart, so that each usually has its first slot to itself.
    [[nodiscard]] static std::uint32_t first_for(pid_t tid, const Architecture &arch);
    /// Reserves a slot without checking whether it is free.
    [[nodiscard]] std::optional<Lease> reserve_any(pid_t tid, RemotePtr area,
                                                   const Architecture &arch)
    {
        return reservations_.reserve_any(area, arch, first_for(tid, arch));
    }
    /// Whether a slot in this state, as seen in `tid`'s memory, may be used for a call of `tid`.
    [[nodiscard]] static bool is_free(pid_t tid, const SlotState &state);
    /// A free slot; nullopt: there is none, or the target is gone.
    [[nodiscard]] std::optional<Lease> find(const PendingCall &call, const Image &image);

private:
    [[nodiscard]] std::optional<Lease> find_free(pid_t tid, const Architecture &arch,
                                                 const Image &image);
    [[nodiscard]] Result<std::optional<Lease>>
    free_in_block(pid_t tid, const Architecture &arch, const Image &image, std::uint32_t block);
    void free_abandoned(const PendingCall &call, const Image &image) const;
    [[nodiscard]] std::optional<std::uint64_t> stack_pointer(pid_t tid) const;
    [[nodiscard]] bool is_inside_code(pid_t tid, const Architecture &arch,
                                      const Image &image) const;

    std::shared_ptr<const Procfs> procfs_;
    SlotReservations reservations_;
};

} // namespace clone2
