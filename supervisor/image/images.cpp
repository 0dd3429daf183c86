// SPDX-License-Identifier: MIT
#include "image/images.hpp"

#include "image/identity.hpp"
#include "target/memory.hpp"

#include <algorithm>
#include <array>
#include <cassert>

namespace clone2
{

Images::Images(const std::shared_ptr<const Procfs> &procfs)
    : code_check(procfs), slots(procfs), procfs_(procfs)
{
    for (const Architecture *const arch : code_architectures()) {
        signatures_.emplace_back(arch, make_signature(*procfs, *arch));
    }
}

Images::Images(const std::shared_ptr<const Procfs> &procfs, const Signature &signature)
    : code_check(procfs), slots(procfs), procfs_(procfs)
{
    for (const Architecture *const arch : code_architectures()) {
        signatures_.emplace_back(arch, signature);
    }
}

const Signature &Images::signature(const Architecture &arch) const
{
    const auto found = std::find_if(signatures_.begin(), signatures_.end(),
                                    [&](const auto &each) { return each.first == &arch; });
    assert(found != signatures_.end());
    return found->second;
}

bool Images::proved(pid_t tid, const Architecture &arch, const Image &image) const
{
    AreaHeader header{};
    Signature code{};
    const std::array<RemoteRange, 2> pieces{
        {{image.area, bytes_of(header)}, {image.code, bytes_of(code)}}};
    const Result<std::size_t> read = read_memory(tid, pieces);
    return read && *read == sizeof header + sizeof code && proves(header, code, image, arch);
}

std::optional<Image> Images::find(pid_t tid, const Architecture &arch, const CodePlace &place)
{
    // The target itself says where its area is, unless the kernel did not let us write that there.
    CodeHeader header;
    std::vector<Image> candidates = hints.with_code_at(place.code);
    if (read_exactly(tid, place.code, bytes_of(header)) && header.signature == signature(arch)) {
        candidates.insert(candidates.begin(), Image{place.code, RemotePtr{header.area}});
    }
    for (const Image &image : candidates) {
        if (proved(tid, arch, image)) {
            hints.remember(tid, image);
            return image;
        }
    }
    return std::nullopt;
}

} // namespace clone2
