// SPDX-License-Identifier: MIT
#pragma once

namespace clone2::cli
{

/// Names this process: what top(1) shows, and in the place of argv[0] what ps(1) shows. Without
/// /proc, only the former.
void set_title(const char *name);

} // namespace clone2::cli
