// SPDX-License-Identifier: MIT
#include "executor/text_writer.hpp"

#include "target/memory.hpp"

namespace clone2
{

Result<void> TextWriter::write(RemotePtr to, std::span<const std::byte> from) const
{
    if (memory_ != nullptr && write_file(*memory_, tid(), to, from)) {
        return {};
    }
    return tracee_.poke_text(to, from);
}

} // namespace clone2
