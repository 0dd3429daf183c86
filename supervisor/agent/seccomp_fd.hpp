// SPDX-License-Identifier: MIT
#pragma once

namespace clone2::agent
{

/// Whether the descriptor is a seccomp listener. Does not touch the file: what a peer has sent
/// may be on FUSE, where an ioctl(2) waits for the peer.
[[nodiscard]] bool is_seccomp_listener(int fd);

} // namespace clone2::agent
