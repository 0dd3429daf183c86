// SPDX-License-Identifier: MIT
#include "cli/call_audit.hpp"

#include "base/printable.hpp"
#include "cli/wire.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace clone2::cli
{

Fd open_log(const Options &options)
{
    if (!options.log) {
        return {};
    }
    Fd log{*options.log == "-"
               ? ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3)
               : ::open(options.log->c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY,
                        0644)};
    if (!log) {
        fail("--log " + printable(*options.log) + ": " + std::strerror(errno));
    }
    return log;
}

} // namespace clone2::cli
