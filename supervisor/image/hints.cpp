// SPDX-License-Identifier: MIT
#include "image/hints.hpp"

#include <algorithm>

namespace clone2
{

namespace
{

constexpr std::size_t remembered = 4096;

} // namespace

std::optional<Image> ImageHints::guess(pid_t tid) const
{
    const std::lock_guard lock(mutex_);
    const auto found = by_tid_.find(tid);
    return found != by_tid_.end() ? std::optional(found->second) : latest_;
}

std::vector<Image> ImageHints::with_code_at(RemotePtr code) const
{
    const std::lock_guard lock(mutex_);
    const auto found = by_code_.find(code.value());
    return found != by_code_.end() ? found->second : std::vector<Image>{};
}

void ImageHints::remember(pid_t tid, const Image &image)
{
    const std::lock_guard lock(mutex_);
    latest_ = image;
    if (by_tid_.size() > remembered) {
        by_tid_.clear();
    }
    by_tid_[tid] = image;
    if (by_code_.size() > remembered) {
        by_code_.clear();
    }
    std::vector<Image> &images = by_code_[image.code.value()];
    if (std::find(images.begin(), images.end(), image) == images.end()) {
        if (images.size() > remembered) {
            images.clear();
        }
        images.push_back(image);
    }
}

} // namespace clone2
