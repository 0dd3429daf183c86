// SPDX-License-Identifier: MIT
#pragma once

#include "base/remote_ptr.hpp"

#include <cstdint>
#include <mutex>
#include <optional>
#include <sys/types.h>
#include <unordered_map>
#include <vector>

namespace clone2
{

/// The addresses of our code and data in an executed program; the same in all its fork children.
struct Image {
    RemotePtr code;
    RemotePtr area;
    bool operator==(const Image &) const = default;
};

/// Remembers which images were seen. These are only hints: the signatures in the target's own
/// memory verify each before it is used. The state itself is in the targets, so fork needs no
/// book-keeping, and forgetting only costs time. Thread-safe.
class ImageHints
{
public:
    /// The image last seen for this thread, or else the one seen last at all (fork children).
    [[nodiscard]] std::optional<Image> guess(pid_t tid) const;
    /// All images seen with their code at this address.
    [[nodiscard]] std::vector<Image> with_code_at(RemotePtr code) const;
    void remember(pid_t tid, const Image &image);

private:
    mutable std::mutex mutex_;
    std::unordered_map<pid_t, Image> by_tid_;
    std::unordered_map<std::uint64_t, std::vector<Image>> by_code_;
    std::optional<Image> latest_;
};

} // namespace clone2
