// SPDX-License-Identifier: MIT
#pragma once

namespace clone2::agent
{

/// Whether the descriptor is a seccomp listener. Never makes an ioctl(2) on a file: the peer may
/// have sent one on FUSE, where an ioctl waits for the peer.
[[nodiscard]] bool is_seccomp_listener(int fd);

} // namespace clone2::agent
