// SPDX-License-Identifier: MIT
#pragma once

#include "calls/listener_owner.hpp"
#include "listener/notification.hpp"

namespace clone2
{

/// A call that its owner judges. Unless it is made, the owner learns that.
class JudgedCall
{
public:
    JudgedCall(ListenerOwner &owner, const Notification &caller) : owner_(owner), caller_(caller) {}
    JudgedCall(const JudgedCall &) = delete;
    JudgedCall &operator=(const JudgedCall &) = delete;
    ~JudgedCall()
    {
        if (!made_) {
            owner_.not_made(caller_);
        }
    }
    void is_made() { made_ = true; }

private:
    ListenerOwner &owner_;
    const Notification &caller_;
    bool made_ = false;
};

} // namespace clone2
