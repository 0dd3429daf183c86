// SPDX-License-Identifier: MIT
#pragma once

#include "base/fd.hpp"
#include "base/result.hpp"

#include <cerrno>
#include <functional>
#include <list>
#include <mutex>
#include <utility>

namespace clone2
{

/// The descriptors that are kept open only to save time. They are closed when another one can't be
/// opened, so that no call fails because of them. Thread-safe.
class SpareFds
{
public:
    /// Closes a keeper's descriptors.
    using GiveBack = std::function<void()>;

    /// Somebody who keeps such descriptors, for as long as this exists.
    class Keeper
    {
    public:
        /// `give_back` is called on any thread that opens through `all`.
        Keeper(SpareFds &all, GiveBack give_back) : all_(all)
        {
            const std::lock_guard lock(all_.mutex_);
            place_ = all_.keepers_.insert(all_.keepers_.end(), std::move(give_back));
        }
        Keeper(const Keeper &) = delete;
        Keeper &operator=(const Keeper &) = delete;
        ~Keeper()
        {
            const std::lock_guard lock(all_.mutex_);
            all_.keepers_.erase(place_);
        }

    private:
        SpareFds &all_;
        std::list<GiveBack>::iterator place_;
    };

    /// The descriptor that `open()` returns. If it fails for lack of descriptors, it is called once
    /// more after the spare ones are closed. Empty: it has failed, errno says why.
    template <typename Open>
    [[nodiscard]] Fd open(Open open)
    {
        Fd fd{open()};
        if (!fd && is_lack_of_descriptors(errno)) {
            give_back();
            fd = Fd{open()};
        }
        return fd;
    }

private:
    void give_back()
    {
        const std::lock_guard lock(mutex_);
        for (const GiveBack &give_back : keepers_) {
            give_back();
        }
    }

    std::mutex mutex_;
    std::list<GiveBack> keepers_;
};

} // namespace clone2
