// SPDX-License-Identifier: MIT
#pragma once

#include "arch/architecture.hpp"
#include "base/procfs.hpp"
#include "image/code_place.hpp"
#include "image/hints.hpp"
#include "image/slot_users.hpp"
#include "image/slots.hpp"

#include <memory>
#include <optional>
#include <sys/types.h>
#include <utility>
#include <vector>

namespace clone2
{

/// What is known here of the code and the areas in targets: hints, and who is just using what. All
/// state of a call lies in its target. Thread-safe.
class Images
{
public:
    explicit Images(const std::shared_ptr<const Procfs> &procfs);
    /// With a signature other than make_signature(), as of another version. For tests.
    Images(const std::shared_ptr<const Procfs> &procfs, const Signature &signature);

    /// What this supervisor writes into, and looks for in, targets of an architecture.
    [[nodiscard]] const Signature &signature(const Architecture &arch) const;
    /// The image of a caller, proved by what lies in its memory; nullopt: it has none so far.
    [[nodiscard]] std::optional<Image> find(pid_t tid, const Architecture &arch);
    /// Room for the code in a caller's program, whether it is there already or not.
    [[nodiscard]] std::optional<CodePlace> place(pid_t tid, const Architecture &arch) const
    {
        return find_code_place(*procfs_, tid, arch, signature(arch));
    }
    /// Whether this header of an area and this start of code are those of `image`.
    [[nodiscard]] bool proves(const AreaHeader &header, const Signature &code, const Image &image,
                              const Architecture &arch) const
    {
        return header.signature == signature(arch) && header.code == image.code.value() &&
               code == signature(arch);
    }

    ImageHints hints;
    SlotFinder slots;
    SlotUsers slot_users;

private:
    [[nodiscard]] bool proved(pid_t tid, const Architecture &arch, const Image &image) const;

    std::shared_ptr<const Procfs> procfs_;
    std::vector<std::pair<const Architecture *, Signature>> signatures_;
};

} // namespace clone2
