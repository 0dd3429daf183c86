// SPDX-License-Identifier: MIT
#pragma once

#include "arch/architecture.hpp"
#include "base/remote_ptr.hpp"
#include "base/result.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <sys/types.h>
#include <utility>
#include <vector>

namespace clone2
{

/// Exits of the code in targets whose architecture needs them. The code ends with a jump to the
/// place of the call. If no register is free for that address, each such place needs a separate
/// exit. Exits are in the same page as the code, from its end down. An exit that is not zero is in
/// use and never changes. Thread-safe.
class Exits
{
public:
    /// An exit to use, held until destruction.
    class Choice
    {
    public:
        Choice() = default;                              ///< none is needed
        explicit Choice(RemotePtr exit) : exit_(exit) {} ///< already written
        Choice(Exits &all, RemotePtr exit, std::vector<std::byte> missing)
            : all_(&all), exit_(exit), missing_(std::move(missing))
        {
        }
        Choice(Choice &&other) noexcept
            : all_(std::exchange(other.all_, nullptr)), exit_(other.exit_),
              missing_(std::move(other.missing_))
        {
        }
        Choice(const Choice &) = delete;
        Choice &operator=(const Choice &) = delete;
        Choice &operator=(Choice &&) = delete;
        ~Choice();

        [[nodiscard]] RemotePtr exit() const { return exit_; }
        /// Writes the exit if the page does not have it yet. Only while stopped.
        [[nodiscard]] Result<void> write(Tracee &tracee) const;

    private:
        friend class Exits;
        /// Whether it is still unused, or written for the same place. False also: gone.
        [[nodiscard]] bool may_be_written(pid_t tid) const;

        Exits *all_ = nullptr;
        RemotePtr exit_;
        std::vector<std::byte> missing_;
    };

    /// An exit to `site` for the code at `code`. Calls from one place share one. nullopt: not now,
    /// because those that are left are being written, perhaps in another process. Cause::no_exit:
    /// all are in use for other places, or the target is gone.
    [[nodiscard]] Result<std::optional<Choice>> choose(pid_t tid, const Architecture &arch,
                                                       RemotePtr code, std::uint64_t site);

private:
    enum class Reserved { yes, for_another, no };
    /// `there`: its bytes in the target's memory.
    [[nodiscard]] Reserved reserve(RemotePtr exit, std::uint64_t site,
                                   std::span<const std::byte> there,
                                   std::span<const std::byte> wanted);

    struct Writing {
        std::uint64_t site;
        unsigned writers;
    };
    std::mutex mutex_;
    std::map<RemotePtr, Writing> being_written_; ///< by address alone, see SlotReservations
};

/// `value`, or the next multiple of `to` after it.
[[nodiscard]] constexpr std::uint64_t align_up(std::uint64_t value, std::uint64_t to)
{
    return (value + to - 1) / to * to;
}

// Addresses in a page with code at `code`. The order: code, boot slots, exits, end of the page.
[[nodiscard]] RemotePtr first_boot_slot(const Architecture &arch, RemotePtr code);
[[nodiscard]] RemotePtr first_exit(const Architecture &arch, RemotePtr code);
[[nodiscard]] RemotePtr page_end(const Architecture &arch, RemotePtr code);

} // namespace clone2
