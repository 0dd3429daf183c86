// SPDX-License-Identifier: MIT
#include "failing_memory.hpp"

#include <cstddef>
#include <cstdlib>
#include <new>

namespace clone2::test
{

namespace
{

struct State {
    FailingMemory::Kind kind = FailingMemory::Kind::none;
    unsigned left = 0; ///< allocations until the first failure
    unsigned working = 0;
    bool failed = false;

    bool fails()
    {
        if (kind == FailingMemory::Kind::none || working != 0) {
            return false;
        }
        if (left > 0) {
            --left;
            return false;
        }
        if (failed && kind == FailingMemory::Kind::once) {
            return false;
        }
        failed = true;
        return true;
    }
};

thread_local State state;

} // namespace

FailingMemory::FailingMemory(Kind kind, unsigned nth)
{
    state = {kind, nth, 0, false};
}

FailingMemory::~FailingMemory()
{
    state = {};
}

bool FailingMemory::has_failed() const
{
    return state.failed;
}

FailingMemory::Working::Working()
{
    ++state.working;
}

FailingMemory::Working::~Working()
{
    --state.working;
}

} // namespace clone2::test

// All that the others are based on, because a sanitizer has its own of each.

void *operator new(std::size_t size)
{
    void *const memory = ::operator new(size, std::nothrow);
    if (memory == nullptr) {
        throw std::bad_alloc();
    }
    return memory;
}

void *operator new(std::size_t size, const std::nothrow_t & /*unused*/) noexcept
{
    return clone2::test::state.fails() ? nullptr : std::malloc(size != 0 ? size : 1);
}

void operator delete(void *memory) noexcept
{
    std::free(memory);
}

void operator delete(void *memory, std::size_t /*size*/) noexcept
{
    std::free(memory);
}
