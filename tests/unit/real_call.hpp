// SPDX-License-Identifier: MIT
// Calls of a real target, by a real listener.
#pragma once

#include "audit/record.hpp"
#include "listener/listener.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <utility>
#include <vector>

namespace clone2::test
{

/// The listener of the target at the other end, whose end this process no longer holds.
inline Listener take_listener(Sockets &sockets)
{
    sockets.theirs.reset();
    ReceivedListener received = receive_listener(sockets.ours.get());
    REQUIRE(received.fd);
    return Listener(std::move(received.fd), received.wait_killable);
}

/// Whether no target can be traced here; says so.
inline bool may_not_trace(const std::vector<CallRecord> &records)
{
    if (records.empty() || records[0].result != -EPERM) {
        return false;
    }
    left_out("a real call", records[0].why);
    return true;
}

} // namespace clone2::test
