// SPDX-License-Identifier: MIT
#include "cli/options.hpp"
#include "cli/subordinate_ids.hpp"

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <vector>

using namespace clone2::cli;

namespace
{

Options options(const std::vector<std::string> &words)
{
    const Command command = parse(words);
    REQUIRE(std::holds_alternative<Options>(command));
    return std::get<Options>(command);
}

bool is_refused(const std::vector<std::string> &words)
{
    return std::holds_alternative<UsageError>(parse(words));
}

} // namespace

TEST_CASE("options: pids of the new pid namespace")
{
    const Options given =
        options({"--pidns", "--pid=4711", "--first-pid=2", "--pid-max=5000", "p"});
    CHECK(given.program_pid == 4711);
    CHECK(given.first_pid == 2);
    CHECK(given.pid_max == 5000);
    CHECK(options({"--pid=1", "--pidns", "p"}).program_pid == 1);
    CHECK(options({"--pidns", "--pid=4194303", "p"}).program_pid == 4194303);
    CHECK(options({"--pidns", "--pid-max=301", "--first-pid=300", "p"}).first_pid == 300);
    for (const char *option :
         {"--pid=0", "--pid=4194304", "--pid=", "--first-pid=1", "--first-pid=4194304",
          "--pid-max=300", "--pid-max=4194305", "--pid-max=x"}) {
        CAPTURE(option);
        CHECK(is_refused({"--pidns", option, "p"}));
    }
    CHECK(is_refused({"--pidns", "--pid-max=400", "--pid=400", "p"}));
    CHECK(is_refused({"--pidns", "--first-pid=400", "--pid-max=400", "p"}));
    CHECK(is_refused({"--optional", "--require", "p"}));
}

TEST_CASE("subordinate ids: the user's first range, by name or by uid")
{
    const std::string file = "other:1:2\n"
                             "user:100000:65536\n"
                             "user:300000:1000\n"
                             "1001:5:6\n"
                             "bad:x:6\nbad:6:\nbad:6:0\nbad:6:7:8\nbad:4294967296:1\nbad\n\n"
                             "last:7:8";
    CHECK(subordinate_ids(file, "user", 1000) == MappedIds{0, 100000, 65536});
    CHECK(subordinate_ids(file, "x", 1001) == MappedIds{0, 5, 6});
    CHECK(subordinate_ids(file, "last", 1000) == MappedIds{0, 7, 8});
    CHECK_FALSE(subordinate_ids(file, "bad", 1000));
    CHECK_FALSE(subordinate_ids(file, "", 1000));
    CHECK_FALSE(subordinate_ids("", "user", 1000));
}

TEST_CASE("subordinate ids: mapped around the user's own")
{
    using Map = std::vector<MappedIds>;
    const MappedIds range{0, 100000, 65536};
    CHECK(map_ids(1000, true, std::nullopt) == Map{{0, 1000, 1}});
    CHECK(map_ids(1000, false, std::nullopt) == Map{{1000, 1000, 1}});
    CHECK(map_ids(1000, true, range) == Map{{0, 1000, 1}, {1, 100000, 65536}});
    CHECK(map_ids(1000, false, range) ==
          Map{{0, 100000, 1000}, {1000, 1000, 1}, {1001, 101000, 64536}});
    CHECK(map_ids(0, false, range) == Map{{0, 0, 1}, {1, 100000, 65536}});
    CHECK(map_ids(70000, false, range) == Map{{0, 100000, 65536}, {70000, 70000, 1}});
    CHECK(map_ids(65536, false, range) == Map{{0, 100000, 65536}, {65536, 65536, 1}});
}
