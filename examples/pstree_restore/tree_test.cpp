// SPDX-License-Identifier: MIT
#include "json_io.hpp"

#include <doctest/doctest.h>
#include <sstream>

using namespace pstree;

namespace
{

Process process(Pids pids, int ppid, Pids pgid, Pids sid, std::size_t ns = 0)
{
    return Process{std::move(pids), ppid, std::move(pgid), std::move(sid), ns, "x", {}};
}

/// Two processes in a nested namespace, one outside; valid.
Tree nested()
{
    Tree tree;
    tree.namespaces = {0, 0};
    tree.processes = {process({10}, 0, {10}, {10}), process({11, 1}, 10, {10, 0}, {10, 0}, 1),
                      process({12, 2}, 11, {12, 2}, {12, 2}, 1)};
    tree.processes[2].threads = {Thread{{20, 3}, "worker"}};
    return tree;
}

template <typename Call>
void fails(const Call &call, const std::string &words)
{
    try {
        call();
        FAIL_CHECK(words);
    } catch (const std::exception &error) {
        const std::string fault = error.what();
        CHECK_MESSAGE(fault.find(words) != std::string::npos, fault << "\nand not: " << words);
    }
}

Tree parse(const std::string &text)
{
    std::istringstream input(text);
    return parse_tree(input);
}

void refused(const Tree &tree, const std::string &words)
{
    fails([&] { validate(tree); }, words);
}

void not_parsed(const std::string &text, const std::string &words)
{
    fails([&] { parse(text); }, words);
}

/// The JSON of one process, with one of its fields replaced.
std::string with(const std::string &field, const std::string &value)
{
    std::string text = R"({"format": "pstree_restore 1", "processes": [{)";
    for (const auto &[name, usual] : std::map<std::string, std::string>{{"pids", "[10]"},
                                                                        {"ppid", "0"},
                                                                        {"pgid", "[10]"},
                                                                        {"sid", "[10]"},
                                                                        {"name", "\"x\""}}) {
        text += "\"" + name + "\": " + (name == field ? value : usual) + ", ";
    }
    return text + "\"threads\": " + (field == "threads" ? value : "[]") + "}]}";
}

} // namespace

TEST_CASE("a valid tree is accepted and survives JSON")
{
    Tree tree = nested();
    REQUIRE_NOTHROW(validate(tree));
    tree.processes[0].name = "a\\(b) \n\xff\xc3\xa9";
    canonicalise(tree);
    CHECK(differences(tree, parse(dump_tree(tree, {"a note"}))).empty());
}

TEST_CASE("trees that contradict themselves are refused")
{
    struct {
        const char *words;
        void (*spoil)(Tree &);
    } const cases[] = {
        {"0 processes", [](Tree &t) { t.processes.clear(); }},
        {"needs one number",
         [](Tree &t) {
             t.processes[0].pids = {10, 11};
         }},
        {"without pids", [](Tree &t) { t.processes[0].pids = {}; }},
        {"no such pid namespace", [](Tree &t) { t.processes[0].ns = 7; }},
        {"lower number", [](Tree &t) { t.namespaces[1] = 1; }},
        {"out of range", [](Tree &t) { t.processes[0].pids = {0}; }},
        {"out of range", [](Tree &t) { t.processes[0].pids = {pid_limit}; }},
        {"out of range", [](Tree &t) { t.processes[0].ppid = -1; }},
        {"isn't that of", [](Tree &t) { t.processes[0].sid = {-1}; }},
        {"can't be in a namespace below",
         [](Tree &t) {
             t.processes[2].pids = {1, 2};
         }},
        {"used twice", [](Tree &t) { t.processes[2].pids[0] = 10; }},
        {"used twice", [](Tree &t) { t.processes[2].threads[0].tids[1] = 2; }},
        {"only a thread-group leader", [](Tree &t) { t.processes[2].threads[0].tids[1] = 1; }},
        {"at most 15 bytes", [](Tree &t) { t.processes[0].name = "sixteen bytes..."; }},
        {"at most 15 bytes", [](Tree &t) { t.processes[0].name = std::string("a\0b", 3); }},
        {"is a thread", [](Tree &t) { t.processes[1].ppid = 20; }},
        {"its own ancestor", [](Tree &t) { t.processes[0].ppid = 10; }},
        {"can't see it", [](Tree &t) { t.processes.push_back(process({13}, 12, {0}, {0})); }},
        {"its parent in it",
         [](Tree &t) {
             t.processes[1].ppid = 12;
             t.processes[2].ppid = 0;
         }},
        {"pid 1 can't have a parent", [](Tree &t) { t.processes[2] = process({1}, 10, {0}, {0}); }},
        {"in two sessions",
         [](Tree &t) {
             t.processes[1].sid = {0, 5};
         }},
        {"outside can't be in a session inside",
         [](Tree &t) {
             t.processes[1].pgid = {0, 0};
         }},
        {"must lead its process group", [](Tree &t) { t.processes[0].pgid = {9}; }},
        {"isn't that of", [](Tree &t) { t.processes[0].sid = {9}; }},
        {"in two sessions",
         [](Tree &t) {
             t.processes.push_back(process({13, 6}, 11, {12, 2}, {10, 0}, 1));
         }},
        {"doesn't fit its leader",
         [](Tree &t) {
             t.processes[1].pgid = {10, 4};
         }},
        {"doesn't fit its leader",
         [](Tree &t) { // of one that isn't there
             t.processes.push_back(process({13, 6}, 11, {30, 7}, {30, 7}, 1));
             t.processes.push_back(process({14, 8}, 11, {30, 9}, {30, 9}, 1));
         }},
        {"used twice",
         [](Tree &t) {
             t.processes.push_back(process({13, 6}, 11, {30, 2}, {30, 2}, 1));
         }},
        {"in a namespace below its own",
         [](Tree &t) {
             t.processes.push_back(process({13, 6}, 11, {30, 7}, {30, 7}, 1));
             t.processes.push_back(process({14}, 10, {30}, {30}));
         }},
        {"the limit is",
         [](Tree &t) {
             t.processes[0].threads.resize(max_tasks, {{99}, "x"});
         }},
    };
    for (const auto &[words, spoil] : cases) {
        Tree tree = nested();
        spoil(tree);
        refused(tree, words);
    }
    Tree cycle;
    cycle.processes = {process({10}, 11, {0}, {0}), process({11}, 10, {0}, {0})};
    refused(cycle, "its own ancestor");
    Tree deep;
    for (std::size_t i = 0; i < max_depth; i++) {
        deep.namespaces.push_back(i);
    }
    deep.processes = {process({10}, 0, {0}, {0})};
    refused(deep, "deep");
}

TEST_CASE("text that isn't a tree is refused")
{
    not_parsed("", "parse error");
    not_parsed("{", "parse error");
    not_parsed("[]", "with array");
    not_parsed("{}", "'format' not found");
    not_parsed(R"({"format": 1})", "\"format\" should be");
    not_parsed(R"({"format": "pstree_restore 1"})", "'processes' not found");
    not_parsed(R"({"format": "pstree_restore 1", "processes": 5})", "must be array");
    not_parsed(R"({"format": "pstree_restore 1", "processes": [], "more": 1})", "unknown");
    not_parsed(R"({"format": "pstree_restore 1", "processes": [{}]})", "'pids' not found");
    not_parsed(with("pids", "10"), "must be array");
    not_parsed(with("pids", "[]"), "without pids");
    not_parsed(with("pids", "[\"10\"]"), "is not a number");
    not_parsed(with("pids", "[10.5]"), "is not a number");
    not_parsed(with("pids", "[-10]"), "is not a number");
    not_parsed(with("pids", "[18446744073709551615]"), "is not a number");
    not_parsed(with("pids", "[123456789012345678901234567890]"), "is not a number");
    not_parsed(with("name", "5"), "must be string");
    not_parsed(with("name", R"("a\\")"), "backslash");
    not_parsed(with("name", R"("a\\x0g")"), "backslash");
    not_parsed(with("threads", "[1]"), "unknown field");
    not_parsed(with("threads", R"([{"tids": [11]}])"), "'name' not found");
    not_parsed(with("threads", R"([{"tids": [10], "name": "t"}])"), "used twice");
    not_parsed(std::string(1000000, '['), "parse error");
}

TEST_CASE("a parent that isn't in the tree is outside")
{
    CHECK_EQ(parse(with("ppid", "1")).processes[0].ppid, 0);
}

TEST_CASE("names of any bytes can be written as text")
{
    for (int first = 1; first < 256; first++) {
        for (int second = 1; second < 256; second++) {
            const std::string raw = {static_cast<char>(first), static_cast<char>(second), 'z'};
            const std::string text = escape_name(raw);
            REQUIRE_EQ(unescape_name(text), raw);
            for (const char c : text) {
                REQUIRE_NE(static_cast<unsigned char>(c) < 0x20 || c == 0x7f, true);
            }
        }
    }
    CHECK_EQ(printable("a\n" + escape_name("\x1b\\")), "a\\x0a\\x1b\\\\");
}

TEST_CASE("a tree can be moved into a namespace ")
{
    Tree tree = nested();
    tree.processes[0].ppid = 0;
    canonicalise(tree);
    const Tree wrapped = wrap_in_namespace(tree, {10, 20});
    CHECK_NOTHROW(validate(wrapped));
    for (const Process &process : wrapped.processes) {
        CHECK_NE(process.id(), 10);
        CHECK_NE(process.id(), 1);
    }
    CHECK_EQ(wrapped.processes[1].pids, Pids{11, 11, 1});
    CHECK_FALSE(differences(tree, wrapped).empty());
}

TEST_CASE("every difference is found")
{
    Tree tree = nested();
    canonicalise(tree);
    void (*const changes[])(Tree &) = {
        [](Tree &t) { t.processes[1].ppid = 0; },
        [](Tree &t) { t.processes[0].pgid = {9}; },
        [](Tree &t) { t.processes[0].sid = {9}; },
        [](Tree &t) { t.processes[2].pids[1] = 9; },
        [](Tree &t) { t.processes[2].name = "y"; },
        [](Tree &t) { t.processes[2].threads.clear(); },
        [](Tree &t) { t.processes[2].threads[0].name = "y"; },
        [](Tree &t) { t.processes.pop_back(); },
        [](Tree &t) { t.processes.push_back(process({13}, 0, {0}, {0})); },
    };
    for (const auto change : changes) {
        Tree other = tree;
        change(other);
        CHECK_EQ(differences(tree, other).size(), 1);
    }
}
