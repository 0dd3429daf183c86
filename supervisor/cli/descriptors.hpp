// SPDX-License-Identifier: MIT
#pragma once

#include <vector>

/// Which descriptors our own processes keep.

namespace clone2::cli
{

/// Standard descriptors that the caller has closed must not be given to anything of ours.
/// Placeholders take them, which exec closes again: PROGRAM finds them as they were.
void occupy_standard();

/// Puts /dev/null in the place of a standard descriptor. Throws std::system_error.
void close_standard(int fd);

/// Closes all descriptors beyond the standard ones but these: what the caller had open is
/// PROGRAM's alone, and whoever waits for its end must not wait for us. Throws std::system_error.
void close_others(std::vector<int> kept);

} // namespace clone2::cli
