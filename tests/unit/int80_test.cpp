// SPDX-License-Identifier: MIT
#include "arch/i386/i386.hpp"
#include "arch/int80/int80.hpp"
#include "call_bench.hpp"
#include "image/exits.hpp"
#include "real_call.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <poll.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <array>
#include <atomic>
#include <barrier>
#include <cstring>
#include <linux/audit.h>
#include <linux/sched.h>
#include <mutex>
#include <new>
#include <optional>
#include <thread>
#include <vector>

using namespace clone2;
using namespace clone2::test;

namespace
{

// A program has room for a second kind of code only in its text's last page. This section comes
// last in ours, and leaves nearly all of a page.
asm(".pushsection .text_end, \"ax\", @progbits\n"
    ".balign 4096\n"
    "ud2\n"
    ".popsection");

constexpr RemotePtr slot_address{0xf7c00160};
constexpr RemotePtr exit_address{0x7ffff7fc1fd8};

Notification from(std::uint64_t instruction_pointer)
{
    Notification notification;
    notification.arch = AUDIT_ARCH_I386;
    notification.instruction_pointer = instruction_pointer;
    return notification;
}

/// Sends its first two answers, one to each of two callers, at the same time: both have been given
/// room for the code by then. And so the next two: both callers are in that code, or call again.
class TwoAtOnce final : public Listener
{
public:
    using Listener::Listener;
    Result<void> answer(std::uint64_t id, std::int64_t value) override
    {
        if (answers_++ < 4) {
            both_.arrive_and_wait();
        }
        return Listener::answer(id, value);
    }

    /// There will be no second one.
    void one_is_enough() { both_.arrive_and_drop(); }

private:
    std::atomic<int> answers_ = 0;
    std::barrier<> both_{2};
};

/// clone2 as an i386 call, with the structure below 4 GiB.
long call_by_int80(const CloneStruct *args)
{
    long result = nr;
    asm volatile("int $0x80" : "+a"(result) : "b"(args), "c"(nullptr) : "memory");
    return result;
}

bool reap(long pid, int exit_status)
{
    int status = 0;
    return pid > 0 && waitpid(static_cast<pid_t>(pid), &status, 0) == pid &&
           WEXITSTATUS(status) == exit_status;
}

/// Runs in a target: some children by i386 calls.
bool make_children_by_int80()
{
    void *const low = mmap(nullptr, sizeof(CloneStruct), PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    if (low == MAP_FAILED) {
        return false;
    }
    const auto *const args = new (low) CloneStruct(args_of(sigchld, 0));
    for (int i = 0; i < 3; ++i) {
        const long pid = call_by_int80(args);
        if (pid == 0) {
            _exit(4);
        }
        if (!reap(pid, 4)) {
            return false;
        }
    }
    return true;
}

} // namespace

TEST_CASE("int80: the first calls of both kinds, at once, do not share the room for the code")
{
    Sockets sockets = make_sockets();
    Grandchild target([&] {
        sockets.ours.reset();
        if (!install_and_send(sockets.theirs.get(), CallTable())) {
            return 98;
        }
        bool made = false;
        std::thread other([&] { made = make_children_by_int80(); });
        CloneStruct args = args_of(sigchld, 0);
        const bool here = make_and_reap(args, 5) && make_and_reap(args, 5);
        other.join();
        return here && made ? 0 : 1;
    });
    sockets.theirs.reset();
    ReceivedListener received = receive_listener(sockets.ours.get());
    REQUIRE(received.fd);
    TwoAtOnce listener(std::move(received.fd), received.wait_killable);
    Bench bench;
    std::mutex receiving;
    const auto next = [&]() -> std::optional<Notification> {
        const std::lock_guard lock(receiving);
        while (listener.pending() != Listener::Pending::hung_up) {
            pollfd entry{listener.fd(), POLLIN, 0};
            (void)poll(&entry, 1, -1);
            if (const auto notification = listener.receive()) {
                return *notification;
            }
        }
        return std::nullopt;
    };
    const auto work = [&] {
        while (const auto notification = next()) {
            serve(bench, listener, *notification);
        }
        listener.one_is_enough();
    };
    std::thread other(work);
    work();
    other.join();
    if (!may_not_trace(bench.records.all())) {
        CHECK(target.status() == 0);
    }
}

TEST_CASE("int80: an i386 call from where no 32-bit program has code, or of a known 64-bit program")
{
    CHECK(&architecture_of(from(0x7ffff7fc1000)) == &int80);
    CHECK(&architecture_of(from(0x401000)) == &i386);
    Notification low = from(0x401000);
    low.of_wider_program = true;
    CHECK(&architecture_of(low) == &int80);
    low.arch = AUDIT_ARCH_X86_64;
    CHECK(&architecture_of(low) == &native_architecture());
    CHECK(int80.audit_arch() == AUDIT_ARCH_I386);
    CHECK(architecture_in_wider_programs(int80) == nullptr);
}

TEST_CASE("int80: a call's arguments are the lower halves of the registers")
{
    const std::array<std::uint64_t, 6> registers{~0ULL, 1ULL << 32, 5, 0x123456789, 1ULL << 63, 0};
    CHECK(int80.arguments(registers) ==
          std::array<std::uint64_t, 6>{0xffffffff, 0, 5, 0x23456789, 0, 0});
    CHECK(i386.arguments(registers) == registers);
}

TEST_CASE("int80: what is encoded is decoded, with whole registers")
{
    Random random(80);
    for (int round = 0; round < 200; ++round) {
        SlotCall call;
        call.state.owner = static_cast<std::int32_t>(random.next());
        call.report_success = random.next() % 2 == 0;
        call.return_address = random.next();
        call.nr = random.next() & 0xffffffff;
        call.saved_args = {random.next(), random.next(), random.next(),
                           random.next(), random.next(), random.next()};
        call.exit = exit_address;
        call.call.flags = random.next();
        call.call.child_sp = random.next() & 0xffffffff;
        call.call.plain = random.next() % 2 == 0;
        call.call.set_tid_size = random.next() % PLAN_MAX_SET_TID;
        const auto bytes = int80.encode_slot(call, slot_address);
        CHECK(bytes.size() <= int80.slot_size());
        const SlotCall found = int80.decode_slot(bytes);
        CHECK(found.state.owner == call.state.owner);
        CHECK(found.state.parent_busy != 0);
        CHECK((found.state.child_busy != 0) == ((call.call.flags & CLONE_VM) != 0));
        CHECK(found.report_success == call.report_success);
        CHECK(found.return_address == call.return_address);
        CHECK(found.nr == call.nr);
        CHECK(found.saved_args == call.saved_args);
        CHECK(found.exit == call.exit);
        CHECK(found.call.flags == call.call.flags);
        CHECK(found.call.child_sp == call.call.child_sp);
        CHECK(found.call.plain == call.call.plain);
        CHECK(found.call.set_tid_size == call.call.set_tid_size);

        const BootCall boot{call.saved_args, call.return_address, call.nr, 4711, exit_address};
        const BootCall booted = int80.decode_boot_slot(int80.encode_boot_slot(boot));
        CHECK(booted.args == boot.args);
        CHECK(booted.return_address == boot.return_address);
        CHECK(booted.nr == boot.nr);
        CHECK(booted.owner == boot.owner);
        CHECK(booted.exit == boot.exit);
    }
    std::vector<std::byte> bytes = int80.encode_slot(SlotCall{}, slot_address);
    std::fill_n(bytes.begin(), 8, std::byte{0});
    CHECK(int80.decode_state(bytes).free());
}

TEST_CASE("int80: the boot slot is reported by the lower half of its address")
{
    Notification report = from(0x7ffff7fc1b3d);
    report.args[3] = 0xf7fc1b80;
    CHECK(int80.boot_slot_of_report(report) == RemotePtr{0x7ffff7fc1b80});
}

TEST_CASE("int80: each part of an exit restores rbp and jumps by the address at its end")
{
    const std::uint64_t site = 0x123456789abcdef0;
    const auto exit = int80.encode_exit(exit_address, site);
    REQUIRE(exit.size() == int80.exit_size());
    const std::array<std::array<std::uint8_t, 6>, 3> wanted{{
        {0x48, 0x87, 0x6d, 8, 0xff, 0x25}, // xchg rbp, [rbp + 8]; jmp [rip + distance]
        {0x48, 0x87, 0x6d, 16, 0xff, 0x25},
        {0x48, 0x8b, 0x6d, 8, 0xff, 0x25}, // mov rbp, [rbp + 8]
    }};
    for (std::size_t part = 0; part < wanted.size(); ++part) {
        std::array<std::uint8_t, 6> code{};
        std::uint32_t distance = 0;
        std::uint64_t target = 0;
        std::memcpy(code.data(), &exit.at(10 * part), sizeof code);
        std::memcpy(&distance, &exit.at(10 * part + 6), sizeof distance);
        CHECK(code == wanted.at(part));
        REQUIRE(10 * part + 10 + distance + sizeof target <= exit.size());
        std::memcpy(&target, &exit.at(10 * part + 10 + distance), sizeof target);
        CHECK(target == site);
    }
}

TEST_CASE("int80: there is room in the tail of a 64-bit vdso")
{
    const RemotePtr code{0x7ffff7fc2000 - 1400};
    CHECK(code + int80.code_size() <= first_boot_slot(int80, code));
    CHECK(first_boot_slot(int80, code) + int80.wanted_boot_slots() * int80.boot_slot_size() <=
          first_exit(int80, code));
    CHECK(first_exit(int80, code) + 4 * int80.exit_size() <= page_end(int80, code));
}
