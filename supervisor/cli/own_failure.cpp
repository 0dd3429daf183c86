// SPDX-License-Identifier: MIT
#include "cli/own_failure.hpp"

#include "base/diagnostics.hpp"

#include <unistd.h>

namespace clone2::cli
{

void fail(const std::string &message)
{
    Diagnostics::line(message);
    ::_exit(own_failure);
}

} // namespace clone2::cli
