// SPDX-License-Identifier: MIT
#pragma once

#include "cli/options.hpp"

namespace clone2::cli
{

/// Writes the filter to stdout: the array of struct sock_filter, or its base64 and a newline.
int print_bpf(const PrintBpf &what);

} // namespace clone2::cli
