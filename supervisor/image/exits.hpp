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

/// Exits of the code in targets whose architecture needs them: the code of a call leaves by a jump
/// to where the call was made, and where no register is free for the address, each such place has
/// an exit of its own. Exits are in the same page as the code, from its end down; what is not zero
/// is in use, and stays as it is. Thread-safe.
class Exits
{
public:
    /// An exit to use, held until destruction.
    class Choice
    {
    public:
        Choice() = default;                              ///< none is needed
        explicit Choice(RemotePtr exit) : exit_(exit) {} ///< it is there
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
        /// Writes it where it is not there yet. Only while stopped.
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

// Where the parts of a page with code at `code` are: the code, boot slots, exits, the page's end.
[[nodiscard]] RemotePtr first_boot_slot(const Architecture &arch, RemotePtr code);
[[nodiscard]] RemotePtr first_exit(const Architecture &arch, RemotePtr code);
[[nodiscard]] RemotePtr page_end(const Architecture &arch, RemotePtr code);

} // namespace clone2
