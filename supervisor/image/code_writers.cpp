// SPDX-License-Identifier: MIT
#include "image/code_writers.hpp"

#include "image/slot_users.hpp"

#include <algorithm>

namespace clone2
{

CodeWriters::Entry::Entry(CodeWriters &all, pid_t tid, const Architecture &arch, RemotePtr place)
    : all_(all), tid_(tid), arch_(arch), place_(place)
{
    const std::lock_guard lock(all_.mutex_);
    alone_ = std::none_of(all_.writers_.begin(), all_.writers_.end(), [&](const Entry *other) {
        if (other->place_ != place_ || &other->arch_ == &arch_) {
            return false;
        }
        const Result<bool> shared = share_memory(tid_, other->tid_);
        return !shared || *shared;
    });
    if (alone_) {
        self_ = all_.writers_.insert(all_.writers_.end(), this);
    }
}

CodeWriters::Entry::~Entry()
{
    if (alone_) {
        const std::lock_guard lock(all_.mutex_);
        all_.writers_.erase(self_);
    }
}

} // namespace clone2
