// SPDX-License-Identifier: MIT
#ifndef __clang_analyzer__ // it complains about doctest's own code
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#endif
#include "json_io.hpp"
#include "model_kernel.hpp"

#include <array>
#include <doctest/doctest.h>
#include <functional>
#include <random>

using namespace pstree;

namespace
{

/// One row: pid, parent, group, session.
Tree flat(const std::vector<std::array<int, 4>> &rows)
{
    Tree tree;
    for (const auto &[pid, ppid, pgid, sid] : rows) {
        tree.processes.push_back(
            Process{{pid}, ppid, {pgid}, {sid}, 0, "n" + std::to_string(pid), {}});
    }
    canonicalise(tree);
    return tree;
}

/// Empty if the plan for `tree` leads to it, otherwise what went wrong.
std::string trouble(const Tree &tree)
{
    try {
        const auto lines = differences(tree, model::carry_out(make_plan(tree, {1}), tree));
        return lines.empty() ? "" : lines.front();
    } catch (const Failure &impossible) {
        return std::string("no plan: ") + impossible.what();
    } catch (const model::Refused &refused) {
        return std::string("refused: ") + refused.what();
    }
}

void check(const std::vector<std::array<int, 4>> &rows)
{
    const Tree tree = flat(rows);
    REQUIRE_NOTHROW(validate(tree));
    CHECK_MESSAGE(trouble(tree) == "", draw(tree));
}

struct History {
    model::Kernel kernel;
    std::mt19937 random;
    bool siblings;

    int pick(int below) { return static_cast<int>(random() % static_cast<unsigned>(below)); }

    int pick_alive()
    {
        for (;;) {
            const int index = pick(static_cast<int>(kernel.tasks.size()));
            if (kernel.at(index).alive) {
                return index;
            }
        }
    }

    void step()
    {
        const int actor = pick_alive();
        const auto spaces = static_cast<int>(kernel.spaces.namespaces.size());
        const std::size_t own = kernel.at(actor).ns;
        switch (pick(20)) {
        case 0:
        case 1:
        case 2:
            if (actor != 0) {
                kernel.setsid(actor);
            }
            break;
        case 3:
        case 4:
            if (actor != 0) {
                kernel.setpgid(actor, 0, 0);
            }
            break;
        case 5:
        case 6:
            if (actor != 0) { // into an existing group
                kernel.setpgid(actor, 0, pick(kernel.last_pid[kernel.at(actor).ns] + 1));
            }
            break;
        case 7: // a child, like shells
            kernel.setpgid(actor, 2 + pick(30), pick(30));
            break;
        case 8:
        case 9:
        case 10:
            if (actor != 0) {
                kernel.exit(actor);
            }
            break;
        case 11:
            kernel.at(actor).subreaper = actor == 0 || pick(2) == 0;
            break;
        case 12:
            kernel.clone(actor, false, true, own, {});
            break;
        case 13:
            kernel.clone(actor, false, pick(4) == 0, static_cast<std::size_t>(pick(spaces)), {});
            break;
        case 14:
            if (siblings) {
                kernel.clone(actor, true, false, own, {});
            }
            break;
        default:
            kernel.clone(actor, false, false, own, {});
            break;
        }
    }

    /// A tree as it may look after some time; empty if everything has ended.
    Tree tree(int steps)
    {
        while (steps-- > 0) {
            try {
                step();
            } catch (const model::Refused &) { // like a real program's call
            }
        }
        std::vector<int> roots;
        const int root = pick_alive();
        if (root != 0) {
            roots.push_back(root);
        } else {
            for (std::size_t i = 1; i < kernel.tasks.size(); i++) {
                if (kernel.tasks[i].alive && kernel.tasks[i].parent == 0) {
                    roots.push_back(static_cast<int>(i));
                }
            }
        }
        return kernel.capture(roots);
    }
};

} // namespace

TEST_CASE("plain trees")
{
    check({{10, 0, 10, 10}});
    check({{10, 0, 10, 10}, {11, 10, 10, 10}, {12, 11, 12, 10}});
    check({{10, 0, 0, 0}, {11, 10, 11, 0}, {12, 10, 11, 0}});
}

TEST_CASE("a child in its parent's old session")
{
    check({{10, 0, 10, 10}, {11, 10, 11, 11}, {12, 11, 10, 10}});
    check({{10, 0, 10, 10}, {11, 10, 11, 11}, {12, 11, 12, 12}, {13, 12, 11, 11}});
    // The old session goes up through two leaders.
    check(
        {{10, 0, 10, 10}, {11, 10, 11, 11}, {12, 11, 12, 12}, {13, 12, 10, 10}, {14, 11, 10, 10}});
}

TEST_CASE("absent leaders")
{
    check({{10, 0, 9, 9}});
    check({{10, 0, 10, 9}, {11, 10, 8, 9}, {12, 10, 9, 9}});
    check({{10, 0, 0, 0}, {11, 10, 9, 9}});    // a daemon whose session's leader has ended
    check({{10, 0, 9, 9}, {11, 0, 9, 9}});     // two trees of one session
    check({{10, 0, 10, 10}, {11, 10, 9, 10}}); // a group whose leader has ended
    check({{10, 0, 10, 10}, {11, 10, 9, 9}, {12, 11, 12, 12}, {13, 12, 9, 9}});
}

TEST_CASE("adopted children")
{
    check({{10, 0, 10, 10}, {11, 10, 11, 11}, {12, 10, 11, 11}});                   // CLONE_PARENT
    check({{10, 0, 10, 10}, {11, 10, 10, 10}, {12, 11, 12, 12}, {13, 10, 12, 12}}); // temporary
}

TEST_CASE("groups whose leader is in another group")
{
    check({{10, 0, 10, 10}, {11, 10, 10, 10}, {12, 10, 11, 10}});
    check({{10, 0, 10, 10}, {11, 10, 12, 10}, {12, 10, 11, 10}}); // each in the other's
}

TEST_CASE("nested pid namespaces")
{
    Tree tree;
    tree.namespaces = {0, 0, 1};
    tree.processes = {
        Process{{10}, 0, {10}, {10}, 0, "a", {}},
        Process{{11, 1}, 10, {10, 0}, {10, 0}, 1, "b", {}},
        Process{{12, 7}, 11, {12, 7}, {12, 7}, 1, "c", {}},
        Process{{13, 8, 1}, 12, {12, 7, 0}, {12, 7, 0}, 2, "d", {}},
        Process{{14, 9}, 10, {10, 0}, {10, 0}, 1, "by setns", {}},
    };
    for (Process &process : tree.processes) {
        process.name = "n" + std::to_string(process.id());
    }
    REQUIRE_NOTHROW(validate(tree));
    CHECK_EQ(trouble(tree), "");
    tree.processes.erase(tree.processes.begin() + 1); // no pid 1: a helper replaces it
    tree.processes[1].ppid = 10;
    REQUIRE_NOTHROW(validate(tree));
    CHECK_EQ(trouble(tree), "");
}

TEST_CASE("trees that are refused")
{
    Tree endless; // it could be created but never ended
    endless.namespaces = {0, 0};
    endless.processes = {Process{{10, 1}, 0, {11, 2}, {0, 0}, 1, "n10", {}},
                         Process{{11, 2}, 10, {11, 2}, {0, 0}, 1, "n11", {}}};
    REQUIRE_NOTHROW(validate(endless));
    CHECK_NE(trouble(endless).find("could never end"), std::string::npos);
    const Tree stranger =
        flat({{10, 0, 10, 10}, {11, 10, 11, 11}, {12, 0, 12, 0}, {13, 12, 11, 11}});
    REQUIRE_NOTHROW(validate(stranger));
    CHECK_NE(trouble(stranger).find("no plan: process {13} (n13)"), std::string::npos);
}

TEST_CASE("whatever processes do, the plan leads back to it")
{
    for (unsigned seed = 0; seed < 20000; seed++) {
        History history{{}, std::mt19937(seed), false};
        const Tree tree = history.tree(5 + static_cast<int>(seed % 60));
        if (tree.processes.empty()) {
            continue;
        }
        CAPTURE(seed);
        REQUIRE_NOTHROW(validate(tree));
        REQUIRE_MESSAGE(trouble(tree) == "", trouble(tree) << "\n" << draw(tree));
    }
}

TEST_CASE("with CLONE_PARENT a plan is right or there is none")
{
    int without = 0;
    int with = 0;
    for (unsigned seed = 0; seed < 5000; seed++) {
        History history{{}, std::mt19937(seed), true};
        const Tree tree = history.tree(40);
        if (tree.processes.empty()) {
            continue;
        }
        CAPTURE(seed);
        REQUIRE_NOTHROW(validate(tree));
        const std::string text = trouble(tree);
        (text.empty() ? with : without)++;
        REQUIRE_MESSAGE((text.empty() || text.starts_with("no plan:")), text << "\n" << draw(tree));
    }
    CHECK_GT(with, 20 * without);
}

TEST_CASE("for every tree of three processes a plan is right or there is none")
{
    const int ids[] = {10, 11, 12};
    const int numbers[] = {0, 10, 11, 12, 20, 21};
    int planned = 0;
    std::array<std::array<int, 4>, 3> rows = {};
    const std::function<void(std::size_t)> fill = [&](std::size_t row) {
        if (row == rows.size()) {
            const Tree tree = flat({rows.begin(), rows.end()});
            try {
                validate(tree);
            } catch (const Failure &) {
                return;
            }
            const std::string text = trouble(tree);
            planned += text.empty() ? 1 : 0;
            REQUIRE_MESSAGE((text.empty() || text.starts_with("no plan:")), text << draw(tree));
            return;
        }
        for (const int parent : {0, 10, 11, 12}) {
            for (const int pgid : numbers) {
                for (const int sid : numbers) {
                    if (parent == ids[row] || (pgid == 0 && sid != 0)) {
                        continue;
                    }
                    rows[row] = {ids[row], parent, pgid, sid};
                    fill(row + 1);
                }
            }
        }
    };
    fill(0);
    CHECK_GT(planned, 1000);
}
