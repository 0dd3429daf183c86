// SPDX-License-Identifier: MIT
#pragma once

namespace clone2::cli
{

/// Raises limits as far as we may, because limits set for PROGRAM must not end its supervisor.
void raise_limits();

} // namespace clone2::cli
