// SPDX-License-Identifier: MIT
#include "json_io.hpp"

#include <doctest/doctest.h>

using namespace pstree;

namespace
{

Process process(Pids pids, int ppid, Pids pgid, Pids sid, int ns = 0)
{
    return Process{std::move(pids), ppid, std::move(pgid), std::move(sid), ns, "x", {}};
}

/// Two processes in a nested namespace, one outside; valid.
Tree nested()
{
    Tree tree;
    tree.namespaces = {{-1}, {0}};
    tree.processes = {process({10}, 0, {10}, {10}), process({11, 1}, 10, {10, 0}, {10, 0}, 1),
                      process({12, 2}, 11, {12, 2}, {12, 2}, 1)};
    tree.processes[2].threads = {Thread{{20, 3}, "worker"}};
    return tree;
}

/// Is `tree` refused, with these words in the reason?
bool refused(const Tree &tree, const std::string &words)
{
    const auto fault = validate(tree);
    CHECK_MESSAGE(fault.has_value(), words);
    if (fault)
        CHECK_MESSAGE(fault->find(words) != std::string::npos, *fault);
    return fault.has_value();
}

bool not_parsed(const std::string &text, const std::string &words)
{
    const auto result = parse_tree(text);
    const auto *fault = std::get_if<std::string>(&result);
    CHECK_MESSAGE(fault != nullptr, text);
    if (fault != nullptr)
        CHECK_MESSAGE(fault->find(words) != std::string::npos, *fault);
    return fault != nullptr;
}

/// The JSON of one process, with one of its fields replaced.
std::string with(const std::string &field, const std::string &value)
{
    std::string text = R"({"format": "pstree_restore 1", "processes": [{)";
    for (const auto &[name, usual] : std::map<std::string, std::string>{
             {"pids", "[10]"}, {"ppid", "0"}, {"pgid", "[10]"}, {"sid", "[10]"}, {"name", "\"x\""}})
        text += "\"" + name + "\": " + (name == field ? value : usual) + ", ";
    return text + "\"threads\": " + (field == "threads" ? value : "[]") + "}]}";
}

} // namespace

TEST_CASE("a valid tree is accepted and survives JSON")
{
    Tree tree = nested();
    REQUIRE_EQ(validate(tree).value_or(""), "");
    tree.processes[0].name = "a\\(b) \n\xff\xc3\xa9";
    canonicalise(tree);
    const auto result = parse_tree(dump_tree(tree, {"a note"}));
    REQUIRE(std::holds_alternative<Tree>(result));
    CHECK(differences(tree, std::get<Tree>(result)).empty());
}

TEST_CASE("trees that contradict themselves are refused")
{
    struct {
        const char *words;
        void (*spoil)(Tree &);
    } const cases[] = {
        {"no process", [](Tree &t) { t.processes.clear(); }},
        {"needs 1 numbers",
         [](Tree &t) {
             t.processes[0].pids = {10, 11};
         }},
        {"without pids", [](Tree &t) { t.processes[0].pids = {}; }},
        {"no pid namespace 7", [](Tree &t) { t.processes[0].ns = 7; }},
        {"lower number", [](Tree &t) { t.namespaces[1].parent = 1; }},
        {"out of range", [](Tree &t) { t.processes[0].pids = {0}; }},
        {"out of range", [](Tree &t) { t.processes[0].pids = {pid_limit}; }},
        {"out of range", [](Tree &t) { t.processes[0].ppid = -1; }},
        {"out of range", [](Tree &t) { t.processes[0].sid = {-1}; }},
        {"can't be in a namespace below",
         [](Tree &t) {
             t.processes[2].pids = {1, 2};
         }},
        {"used twice", [](Tree &t) { t.processes[2].pids[0] = 10; }},
        {"used twice in a nested", [](Tree &t) { t.processes[2].threads[0].tids[1] = 2; }},
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
        {"around it",
         [](Tree &t) {
             t.processes[1].sid = {0, 5};
         }},
        {"outside can't be in a session inside",
         [](Tree &t) {
             t.processes[1].pgid = {0, 0};
         }},
        {"must lead its process group", [](Tree &t) { t.processes[0].pgid = {9}; }},
        {"isn't the leader", [](Tree &t) { t.processes[0].sid = {9}; }},
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
        {"used twice in a nested",
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
        CHECK(refused(tree, words));
    }
    Tree cycle;
    cycle.processes = {process({10}, 11, {0}, {0}), process({11}, 10, {0}, {0})};
    CHECK(refused(cycle, "its own ancestor"));
    Tree deep;
    for (int i = 0; i < static_cast<int>(max_depth); i++)
        deep.namespaces.push_back(Namespace{i});
    deep.processes = {process({10}, 0, {0}, {0})};
    CHECK(refused(deep, "deep"));
}

TEST_CASE("text that isn't a tree is refused")
{
    CHECK(not_parsed("", "not JSON"));
    CHECK(not_parsed("{", "not JSON"));
    CHECK(not_parsed("[]", "should be an object"));
    CHECK(not_parsed("{}", "\"format\" is missing"));
    CHECK(not_parsed(R"({"format": 1})", "\"format\" should be"));
    CHECK(not_parsed(R"({"format": "pstree_restore 1"})", "\"processes\" is missing"));
    CHECK(not_parsed(R"({"format": "pstree_restore 1", "processes": 5})", "should be a list"));
    CHECK(not_parsed(R"({"format": "pstree_restore 1", "processes": [], "more": 1})", "unknown"));
    CHECK(not_parsed(R"({"format": "pstree_restore 1", "processes": [{}]})", "is missing"));
    CHECK(not_parsed(with("pids", "10"), "should be a list"));
    CHECK(not_parsed(with("pids", "[]"), "is empty"));
    CHECK(not_parsed(with("pids", "[\"10\"]"), "whole number"));
    CHECK(not_parsed(with("pids", "[10.5]"), "whole number"));
    CHECK(not_parsed(with("pids", "[-10]"), "out of range"));
    CHECK(not_parsed(with("pids", "[18446744073709551615]"), "out of range"));
    CHECK(not_parsed(with("pids", "[1e400]"), "not JSON"));
    CHECK(not_parsed(with("pids", "[123456789012345678901234567890]"), "out of range"));
    CHECK(not_parsed(with("ppid", "null"), "whole number"));
    CHECK(not_parsed(with("name", "5"), "should be a string"));
    CHECK(not_parsed(with("name", R"("a\\")"), "backslash"));
    CHECK(not_parsed(with("name", R"("a\\x0g")"), "backslash"));
    CHECK(not_parsed(with("name", R"("\ud800")"), "not JSON"));
    CHECK(not_parsed(with("threads", "[1]"), "should be an object"));
    CHECK(not_parsed(with("threads", R"([{"tids": [11]}])"), "is missing"));
    CHECK(not_parsed(with("threads", R"([{"tids": [10], "name": "t"}])"), "used twice"));
    std::string many = R"({"format": "pstree_restore 1", "processes": [{})";
    for (int i = 0; i < 100000; i++)
        many += ",{}";
    CHECK(not_parsed(many + "]}", "100001 entries"));
    CHECK(not_parsed(std::string(1000000, '['), "not JSON"));
}

TEST_CASE("a parent that isn't in the tree is outside")
{
    const auto result = parse_tree(with("ppid", "1"));
    REQUIRE(std::holds_alternative<Tree>(result));
    Tree tree = std::get<Tree>(result);
    canonicalise(tree);
    CHECK_EQ(tree.processes[0].ppid, 0);
}

TEST_CASE("names of any bytes can be written as text")
{
    for (int first = 1; first < 256; first++)
        for (int second = 1; second < 256; second++) {
            const std::string raw = {static_cast<char>(first), static_cast<char>(second), 'z'};
            const std::string text = escape_name(raw);
            REQUIRE_EQ(unescape_name(text).value_or("nothing"), raw);
            for (const char c : text)
                REQUIRE_NE(static_cast<unsigned char>(c) < 0x20 || c == 0x7f, true);
        }
    CHECK_EQ(escape_name("\xc3\xa9"), "\xc3\xa9");            // valid UTF-8
    CHECK_EQ(escape_name("\xc0\x80"), "\\xc0\\x80");          // overlong
    CHECK_EQ(escape_name("\xed\xa0\x80"), "\\xed\\xa0\\x80"); // a surrogate
    CHECK_EQ(escape_name("\xc3"), "\\xc3");                   // cut short
    CHECK_EQ(escape_name("\xc2\x9b"), "\\xc2\\x9b");          // a control character
    CHECK_EQ(escape_name("\xe2\x80\xae"), "\\xe2\\x80\\xae"); // turns the direction
    CHECK_EQ(printable("a\n" + escape_name("\x1b\\")), "a\\x0a\\x1b\\\\");
}

TEST_CASE("a tree can be moved into a namespace and back")
{
    Tree tree = nested();
    tree.processes[0].ppid = 0;
    canonicalise(tree);
    const Tree wrapped = wrap_in_namespace(tree, {10, 20});
    CHECK_EQ(validate(wrapped).value_or(""), "");
    for (const Process &process : wrapped.processes) {
        CHECK_NE(process.id(), 10);
        CHECK_NE(process.id(), 1);
    }
    CHECK(differences(tree, unwrap_namespace(wrapped)).empty());
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
