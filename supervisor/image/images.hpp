// SPDX-License-Identifier: MIT
#pragma once

#include "arch/architecture.hpp"
#include "base/procfs.hpp"
#include "image/code_check.hpp"
#include "image/code_place.hpp"
#include "image/exits.hpp"
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

/// What we know about our code and areas in targets: hints, and which threads use what. All state
/// of a call is in its target. Thread-safe.
class Images
{
public:
    explicit Images(const std::shared_ptr<const Procfs> &procfs);
    /// With a signature other than make_signature()'s, as another version would have. For tests.
    Images(const std::shared_ptr<const Procfs> &procfs, const Signature &signature);

    /// The signature that this supervisor writes to, and looks for in, targets of an architecture.
    [[nodiscard]] const Signature &signature(const Architecture &arch) const;
    /// A caller's image with the code at `place`, verified in its memory; nullopt: it has none yet.
    [[nodiscard]] std::optional<Image> find(pid_t tid, const Architecture &arch,
                                            const CodePlace &place);
    /// Room for the code in a caller's program, whether or not the code is already there; see
    /// find_code_place().
    [[nodiscard]] Result<CodePlace> place(pid_t tid, const Architecture &arch) const
    {
        return find_code_place(*procfs_, tid, arch, signature(arch));
    }
    /// Whether this area header and this start of the code belong to `image`.
    [[nodiscard]] bool proves(const AreaHeader &header, const Signature &code, const Image &image,
                              const Architecture &arch) const
    {
        return header.signature == signature(arch) && header.code == image.code.value() &&
               code == signature(arch);
    }

    ImageHints hints;
    CodeCheck code_check;
    SlotFinder slots;
    SlotUsers slot_users;
    Exits exits;

private:
    [[nodiscard]] bool proved(pid_t tid, const Architecture &arch, const Image &image) const;

    std::shared_ptr<const Procfs> procfs_;
    std::vector<std::pair<const Architecture *, Signature>> signatures_;
};

} // namespace clone2
