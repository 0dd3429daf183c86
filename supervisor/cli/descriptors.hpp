// SPDX-License-Identifier: MIT
#pragma once

#include "base/result.hpp"

#include <vector>

/// Which descriptors our own processes keep.

namespace clone2::cli
{

/// Fills standard descriptors that the caller has closed with placeholders, so that none of our
/// files gets their numbers. exec closes them: PROGRAM finds them closed.
void occupy_standard();

/// Whether as many descriptors are left as the wrapper or an agent opens at start-up.
[[nodiscard]] Result<void> try_room_for_descriptors();

/// Replaces a standard descriptor by /dev/null. Throws std::system_error.
void close_standard(int fd);

/// Closes all descriptors except the standard ones and `kept`. What the caller had open belongs to
/// PROGRAM alone: processes that wait for its end must not wait for us. Throws std::system_error.
void close_others(std::vector<int> kept);

} // namespace clone2::cli
