// SPDX-License-Identifier: MIT
#pragma once

#include "image/slot_users.hpp"

#include <atomic>
#include <sys/types.h>

namespace clone2::test
{

/// In the place of share_memory(): no thread shares its memory with another, and for one of them
/// this takes until release().
class HeldComparison
{
public:
    explicit HeldComparison(pid_t slow) : slow_(slow) {}

    [[nodiscard]] SharesMemory function()
    {
        return [this](pid_t one, pid_t /*other*/) {
            if (one == slow_) {
                held_ = true;
                held_.notify_all();
                released_.wait(false);
            }
            return Result<bool>(false);
        };
    }
    void wait_until_held() { held_.wait(false); }
    void release()
    {
        released_ = true;
        released_.notify_all();
    }

private:
    const pid_t slow_;
    std::atomic<bool> held_{false};
    std::atomic<bool> released_{false};
};

} // namespace clone2::test
