// SPDX-License-Identifier: MIT
#pragma once

namespace clone2::cli
{

/// Makes this process, which is about to die from a signal, dump no core.
void dump_no_core();

/// Makes it dump one that nobody sees, so that its parent learns of a core dump: the kernel reports
/// one only of a process that it has written one of. The core goes to a file system that ends with
/// the process, so PROGRAM's own core stays as it is. Returns false, and makes it dump none, where
/// that can't be done: where cores go to a program or to a socket, which would get a second one.
/// This process must have one thread; it may end up in new user and mount namespaces.
bool dump_hidden_core();

} // namespace clone2::cli
