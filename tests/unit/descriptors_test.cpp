// SPDX-License-Identifier: MIT
// What happens when no descriptor is left for a call.
#include "call_bench.hpp"
#include "image/code_check.hpp"
#include "image/code_place.hpp"
#include "target/mappings.hpp"
#include "target/memory.hpp"

#include <sys/mman.h>
#include <sys/resource.h>

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <memory>
#include <string>
#include <system_error>

using namespace clone2;
using namespace clone2::test;

namespace
{

/// While one exists, nothing can be opened but in the place of what is closed.
class NoDescriptors
{
public:
    NoDescriptors()
    {
        REQUIRE(::getrlimit(RLIMIT_NOFILE, &before_) == 0);
        rlimit none = before_;
        {
            const Fd lowest_free{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
            REQUIRE(lowest_free);
            none.rlim_cur = static_cast<rlim_t>(lowest_free.get());
        }
        REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
    }
    NoDescriptors(const NoDescriptors &) = delete;
    NoDescriptors &operator=(const NoDescriptors &) = delete;
    ~NoDescriptors() { (void)::setrlimit(RLIMIT_NOFILE, &before_); }

private:
    rlimit before_{};
};

template <typename T>
void check_lack(const Result<T> &result)
{
    REQUIRE(result.has_error());
    CHECK(result.error().no_descriptor());
    CHECK(result.error().err == EMFILE);
    CHECK(result.error().errno_for_target() == EAGAIN);
}

} // namespace

TEST_CASE("CodeCheck: gives its descriptors back to a call that needs one")
{
    if (!mapping_query_is_cheap()) {
        return left_out("CodeCheck", "no PROCMAP_QUERY");
    }
    const Pages pages;
    pages.protect(1, PROT_READ | PROT_EXEC);
    const RemotePtr at = remote(pages.at(Pages::page_size()));
    CodeCheck check(procfs());
    const auto first = make_sleeper();
    const auto second = make_sleeper();
    const auto may_run = [&](pid_t pid) {
        const Result<bool> may = check.may_run(pid, at);
        return may && *may;
    };
    const auto open_files_of_first = [&] { // from the second call on
        for (int call = 0; call < 2; ++call) {
            REQUIRE(may_run(first->pid()));
        }
    };
    SUBCASE("of a caller that it does not know")
    {
        open_files_of_first();
        const NoDescriptors none;
        CHECK(may_run(second->pid()));
    }
    SUBCASE("of a caller whose files it would keep")
    {
        open_files_of_first();
        CHECK(may_run(second->pid()));
        const NoDescriptors none;
        CHECK(may_run(second->pid()));
    }
    SUBCASE("that looks at the caller's namespaces")
    {
        const NamespaceInspector inspector(procfs());
        open_files_of_first();
        for (const pid_t pid : {first->pid(), second->pid()}) {
            CHECK(may_run(pid));
            CHECK(may_run(pid));
        }
        const NoDescriptors none;
        CHECK(inspector.inspect(second->pid()).has_value());
    }
    SUBCASE("that looks at all processes")
    {
        open_files_of_first();
        const NoDescriptors none;
        CHECK_FALSE(procfs()->pids().empty());
    }
}

TEST_CASE("CodeCheck: keeps nothing open if few descriptors are allowed")
{
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    rlimit few = before;
    few.rlim_cur = 63;
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);
    CodeCheck check(procfs());
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
    const Pages pages;
    pages.protect(1, PROT_READ | PROT_EXEC);
    const auto sleeper = make_sleeper();
    const auto lowest_free = [] { return Fd{::open("/dev/null", O_RDONLY | O_CLOEXEC)}.get(); };
    const int free = lowest_free();
    for (int call = 0; call < 3; ++call) {
        CHECK(check.may_run(sleeper->pid(), remote(pages.at(Pages::page_size()))).value());
    }
    CHECK(lowest_free() == free);
}

TEST_CASE("Without a descriptor, what can't be looked at is not taken for something else")
{
    const Pages pages;
    const NamespaceInspector inspector(procfs());
    const auto sleeper = make_sleeper();
    const pid_t pid = sleeper->pid();
    const Architecture &arch = native_architecture();
    const RemotePtr at = remote(pages.at(0));
    std::array<std::byte, 8> bytes{};
    CodeCheck check(procfs());
    const NoDescriptors none;
    check_lack(mapping_at(*procfs(), pid, at));
    check_lack(may_hold_code(*procfs(), pid, at));
    if (mapping_query_is_cheap()) {
        check_lack(check.may_run(pid, at));
    }
    check_lack(find_code_place(*procfs(), pid, arch, {1, 1}));
    check_lack(is_64_bit_program(*procfs(), pid));
    check_lack(read_write_only(*procfs(), pid, at, bytes));
    check_lack(inspector.inspect(pid));
    int err = 0;
    try {
        (void)std::make_unique<Procfs>();
    } catch (const std::system_error &error) {
        err = error.code().value();
    }
    CHECK(err == EMFILE);
}

TEST_CASE("CallHandler: without a descriptor a call gets EAGAIN, and the log says why")
{
    Bench bench;
    const pid_t pids[] = {0};
    const CloneStruct without_pids = args_of(sigchld, 0);
    const CloneStruct with_pids = args_of(sigchld, 1);
    const auto sleeper = make_sleeper();
    const auto answer_to = [&](const Notification &call) {
        FakeSource source(true);
        {
            const NoDescriptors none;
            serve(bench, source, call);
        }
        REQUIRE(source.answers.size() == 1);
        const std::vector<CallRecord> records = bench.records.all();
        REQUIRE_FALSE(records.empty());
        CAPTURE(records.back().why);
        CHECK(records.back().why.find("Too many open files") != std::string::npos);
        CHECK(records.back().why.find("the supervisor has no file descriptor") !=
              std::string::npos);
        return source.answers[0].value;
    };
    const auto by = [&](std::uint64_t args, std::uint64_t chosen) {
        return call_of(sleeper->pid(), args, chosen);
    };
    // Without a place for the code, without the caller's namespaces, with memory that only the
    // kernel's file of it may show.
    CHECK(answer_to(by(remote(&without_pids).value(), 0)) == -EAGAIN);
    CHECK(answer_to(by(remote(&with_pids).value(), remote(&pids).value())) == -EAGAIN);
    CHECK(answer_to(by(0, 0)) == -EAGAIN);
    CHECK(answer_to(by(remote(&with_pids).value(), 0)) == -EAGAIN);
}
