// SPDX-License-Identifier: MIT
#pragma once

namespace clone2::test
{

/// While one exists, the calling thread's allocations by `new` fail: those of its fakes don't (see
/// Working).
class FailingMemory
{
public:
    enum class Kind { none, once, all };
    /// `nth`: the first one that fails, from 0 on. `all`: so do all after that.
    FailingMemory(Kind kind, unsigned nth);
    FailingMemory(const FailingMemory &) = delete;
    FailingMemory &operator=(const FailingMemory &) = delete;
    ~FailingMemory();

    /// Whether any has failed.
    [[nodiscard]] bool has_failed() const;

    /// While one exists, they succeed again.
    class Working
    {
    public:
        Working();
        Working(const Working &) = delete;
        Working &operator=(const Working &) = delete;
        ~Working();
    };
};

} // namespace clone2::test
