// SPDX-License-Identifier: MIT
#include "cli/title.hpp"

#include <sys/prctl.h>

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <string>

namespace clone2::cli
{

void set_title(const char *name)
{
    ::prctl(PR_SET_NAME, name);
    // proc_pid_stat(5): the arguments' memory is from field 48 to field 49. The second field is the
    // only one that may contain blanks, and the name just set has none.
    std::ifstream stat("/proc/self/stat");
    std::string field;
    for (int skipped = 1; skipped < 48; ++skipped) {
        stat >> field;
    }
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
    if (!(stat >> begin >> end) || begin == 0 || begin >= end) {
        return;
    }
    char *const memory = reinterpret_cast<char *>(begin); // NOLINT(*-int-to-ptr)
    const std::size_t size = end - begin;
    const std::string old(memory, size);
    std::string title = name;
    if (const std::size_t first = old.find('\0'); first != std::string::npos) {
        title += old.substr(first);
    }
    // What follows the arguments is the environment, so the last byte stays 0.
    title.resize(size - 1);
    title.copy(memory, title.size());
}

} // namespace clone2::cli
