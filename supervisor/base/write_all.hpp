// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

namespace clone2
{

/// What could not be written, and why.
struct Rest {
    std::string_view text;
    int err = 0; ///< 0: all was written
};

/// Writes with write(2) until all is written or that fails. Waits for room as long as it takes,
/// also if the file is non-blocking: PROGRAM can make stderr so, since that is shared. Thread-safe.
Rest write_all(int fd, std::string_view text);

} // namespace clone2
