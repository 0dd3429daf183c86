// SPDX-License-Identifier: MIT
#include "image/code_writers.hpp"

#include <algorithm>
#include <vector>

namespace clone2
{

CodeWriters::Entry::Entry(CodeWriters &all, pid_t tid, const Architecture &arch, RemotePtr place)
    : all_(all), tid_(tid), arch_(arch), place_(place)
{
    std::vector<pid_t> others;
    {
        const std::lock_guard lock(all_.mutex_);
        for (const Entry *const other : all_.writers_) {
            if (other->place_ == place_ && &other->arch_ != &arch_) {
                others.push_back(other->tid_);
            }
        }
        self_ = all_.writers_.insert(all_.writers_.end(), this);
    }
    // Without the lock: a process that executes a program decides how long this takes. Only the
    // later of two yields, so one of them writes.
    alone_ = std::none_of(others.begin(), others.end(), [&](pid_t other) {
        const Result<bool> shared = all_.shares_memory_(tid_, other);
        return !shared || *shared;
    });
}

CodeWriters::Entry::~Entry()
{
    const std::lock_guard lock(all_.mutex_);
    all_.writers_.erase(self_);
}

} // namespace clone2
