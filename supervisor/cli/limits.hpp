// SPDX-License-Identifier: MIT
#pragma once

namespace clone2::cli
{

/// Limits that were set for PROGRAM are not to end its supervisor, as far as that is ours to say.
void raise_limits();

} // namespace clone2::cli
