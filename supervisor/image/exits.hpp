// SPDX-License-Identifier: MIT
#pragma once

#include "arch/architecture.hpp"
#include "base/remote_ptr.hpp"
#include "base/result.hpp"

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <set>
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
        Exits *all_ = nullptr;
        RemotePtr exit_;
        std::vector<std::byte> missing_;
    };

    /// An exit to `site` for the code at `code`. nullopt: all are in use for other places, or the
    /// target is gone.
    [[nodiscard]] std::optional<Choice> choose(pid_t tid, const Architecture &arch, RemotePtr code,
                                               std::uint64_t site);

private:
    std::mutex mutex_;
    std::set<RemotePtr> being_written_; ///< by address alone, see SlotReservations
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
