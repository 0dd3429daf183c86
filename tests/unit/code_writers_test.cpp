// SPDX-License-Identifier: MIT
#include "arch/int80/int80.hpp"
#include "arch/x86_64/x86_64.hpp"
#include "held_comparison.hpp"
#include "image/code_writers.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <unistd.h>

#include <optional>
#include <thread>

using namespace clone2;
using namespace clone2::test;

TEST_CASE("CodeWriters: one code at a time in one place of one memory")
{
    constexpr RemotePtr place{0x7ffff7fc1a20};
    const auto other = make_sleeper();
    CodeWriters all;
    std::optional<CodeWriters::Entry> first;
    first.emplace(all, ::getpid(), x86_64, place);
    CHECK(first->alone());
    // The same code is written by as many as like to.
    CHECK(CodeWriters::Entry(all, ::getpid(), x86_64, place).alone());
    CHECK_FALSE(CodeWriters::Entry(all, ::getpid(), int80, place).alone());
    CHECK(CodeWriters::Entry(all, ::getpid(), int80, place + 4096).alone());
    // The address alone says nothing of other processes.
    CHECK(CodeWriters::Entry(all, other->pid(), int80, place).alone());
    first.reset();
    CHECK(CodeWriters::Entry(all, ::getpid(), int80, place).alone());
}

TEST_CASE("CodeWriters: a thread that takes long to be compared keeps no other waiting")
{
    constexpr RemotePtr place{0x7ffff7fc1a20};
    constexpr pid_t first = 1;
    constexpr pid_t slow = 2;
    constexpr pid_t other = 3;
    HeldComparison comparison(slow);
    CodeWriters all(comparison.function());
    const CodeWriters::Entry writing(all, first, x86_64, place);
    bool alone = false;
    std::thread late([&] { alone = CodeWriters::Entry(all, slow, int80, place).alone(); });
    comparison.wait_until_held();
    CHECK(CodeWriters::Entry(all, other, int80, place).alone());
    comparison.release();
    late.join();
    CHECK(alone);
}
