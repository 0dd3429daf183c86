// SPDX-License-Identifier: MIT
#pragma once

#include "cli/options.hpp"

namespace clone2::cli
{

/// Writes to stdout what a process holds of ours: the code, the area, and the slots in use. Only
/// reads; the process runs on meanwhile, so a line may be outdated when it is printed. Returns the
/// exit status.
int dump_slots(const DumpSlots &what);

} // namespace clone2::cli
