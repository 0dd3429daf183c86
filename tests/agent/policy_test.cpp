// SPDX-License-Identifier: MIT
#include "agent/policy.hpp"
#include "agent/policy_file.hpp"

#include <doctest/doctest.h>

#include <csignal>
#include <initializer_list>
#include <linux/sched.h>
#include <string>

using namespace clone2;
using namespace clone2::agent;

namespace
{

Policy good(std::string_view text)
{
    auto parsed = parse_policy(text);
    const auto *const error = std::get_if<PolicyError>(&parsed);
    INFO((error != nullptr ? error->why : ""));
    REQUIRE(std::holds_alternative<Policy>(parsed));
    return std::get<Policy>(std::move(parsed));
}

std::string why(std::string_view text)
{
    const auto parsed = parse_policy(text);
    const auto *const error = std::get_if<PolicyError>(&parsed);
    return error != nullptr ? error->why : "";
}

Request asking(std::initializer_list<pid_t> pids, std::uint64_t flags = 0)
{
    Request request;
    request.flags = flags | SIGCHLD;
    for (const pid_t pid : pids) {
        request.pids[request.nr_pids++] = pid;
    }
    return request;
}

Subject subject(const std::string &container, uid_t uid = 0)
{
    Subject made;
    made.container = container;
    made.uid = uid;
    return made;
}

bool allows(const Policy &policy, const Subject &who, const Request &what)
{
    return !policy.judge(who, what).refusal;
}

} // namespace

TEST_CASE("policy: no rule matches the caller")
{
    CHECK_FALSE(allows(good(R"({"rules":[]})"), {}, asking({})));
    CHECK(allows(good(R"({"rules":[{}]})"), {}, asking({77, 0}, CLONE_NEWPID)));
}

TEST_CASE("policy: pids in every namespace asked for, ranges are inclusive")
{
    const Policy policy = good(R"({"rules":[{"pids":[[10,20],77]}]})");
    for (const pid_t pid : {10, 15, 20, 77, 0}) {
        CHECK(allows(policy, {}, asking({pid})));
    }
    for (const pid_t pid : {9, 21, 76, 78, 1, 4194304}) {
        CHECK_FALSE(allows(policy, {}, asking({pid})));
    }
    CHECK(allows(policy, {}, asking({10, 77, 0})));
    CHECK_FALSE(allows(policy, {}, asking({5, 77})));
    CHECK_FALSE(allows(policy, {}, asking({77, 5})));
    CHECK(allows(policy, {}, asking({})));
    const Policy none = good(R"({"rules":[{"pids":[]}]})");
    CHECK(allows(none, {}, asking({0})));
    CHECK_FALSE(allows(none, {}, asking({1})));
    CHECK(none.judge({}, asking({1})).refusal ==
          "pid 1 not allowed: no pids are (rule 1 of the policy)");
}

TEST_CASE("policy: flags; the exit signal is not one")
{
    const Policy policy = good(R"({"rules":[{"flags":["CLONE_VM","CLONE_VFORK"]}]})");
    CHECK(allows(policy, {}, asking({})));
    CHECK(allows(policy, {}, asking({}, CLONE_VM | CLONE_VFORK)));
    CHECK(
        policy.judge({}, asking({}, CLONE_VM | CLONE_NEWPID | CLONE_NEWUTS)).refusal ==
        "CLONE_NEWUTS|CLONE_NEWPID not allowed: only CLONE_VM|CLONE_VFORK (rule 1 of the policy)");
    CHECK_FALSE(allows(policy, {}, asking({}, 1ULL << 40)));
    const Policy none = good(R"({"rules":[{"flags":[]}]})");
    CHECK(allows(none, {}, asking({})));
    CHECK(none.judge({}, asking({}, CLONE_VM)).refusal ==
          "CLONE_VM not allowed: no flags are (rule 1 of the policy)");
}

TEST_CASE("policy: which callers match")
{
    const Policy policy = good(R"({"rules":[
        {"match":{"uid":1000},"deny":"a"},
        {"match":{"uid":[5,6],"container":"web"},"deny":"b"},
        {"match":{"container":"web-*"},"deny":"c"},
        {"match":{"metadata":"*","annotations":{"k":"v*","l":""}},"deny":"d"},
        {}]})");
    const auto reason = [&](const Subject &who) {
        return policy.judge(who, asking({})).refusal.value_or("-").substr(0, 1);
    };
    CHECK(reason(subject("web", 1000)) == "a");
    CHECK(reason(subject("web", 5)) == "b");
    CHECK(reason(subject("web", 7)) == "-");
    CHECK(reason(subject("webx", 5)) == "-");
    CHECK(reason(subject("web-1", 5)) == "c");
    CHECK(reason(subject("web-")) == "c");
    Subject annotated = subject("x");
    annotated.annotations = {{"k", "value"}, {"l", ""}, {"m", "n"}};
    CHECK(reason(annotated) == "d");
    annotated.annotations.erase("l");
    CHECK(reason(annotated) == "-");
}

TEST_CASE("policy: the limit of children is passed to the counter")
{
    const Policy policy = good(R"({"rules":[{"match":{"uid":1}},{"max_children":0}]})");
    CHECK(policy.counts_children());
    CHECK(policy.judge(subject("", 2), asking({})).max_children == 0);
    CHECK_FALSE(policy.judge(subject("", 1), asking({})).max_children.has_value());
    CHECK_FALSE(good(R"({"rules":[{}]})").counts_children());
}

TEST_CASE("policy file: errors, with their positions")
{
    CHECK(why("{\n  \"rules\": [\n    {\"pidz\": []}\n  ]\n}").starts_with("3:11: unknown key"));
    CHECK(why(R"({"rules":[],"x":1})").starts_with("1:15: unknown key \"x\""));
    CHECK(why("{\"rules\":[],\n\"rules\":[]}") == "2:7: \"rules\" appears twice");
    CHECK(why(R"({"rules":[{"match":{"user":1}}]})").find("unknown key \"user\"") !=
          std::string::npos);
    CHECK(why("{\"rules\":[\n{},\n{\"flags\":[\"CLONE_X\"]}]}") ==
          "3:8: \"flags\": \"CLONE_X\" is not a clone flag (\"CLONE_VM\" ...)");
    CHECK(why("{\"rules\":\n,}").starts_with("2:1: "));
    for (const char *const text : {"",
                                   " ",
                                   R"({"rules":[{"max_children":1e999}]})",
                                   "[]",
                                   "7",
                                   "{}",
                                   R"({"rules":{}})",
                                   R"({"rules":[1]})",
                                   R"({"rules":[[]]})",
                                   R"({"rules":[{}]}x)",
                                   R"({"rules":[{"pids":7}]})",
                                   R"({"rules":[{"pids":["7"]}]})",
                                   R"({"rules":[{"pids":[0]}]})",
                                   R"({"rules":[{"pids":[-1]}]})",
                                   R"({"rules":[{"pids":[4194305]}]})",
                                   R"({"rules":[{"pids":[1.5]}]})",
                                   R"({"rules":[{"pids":[[1]]}]})",
                                   R"({"rules":[{"pids":[[1,2,3]]}]})",
                                   R"({"rules":[{"pids":[[2,1]]}]})",
                                   R"({"rules":[{"pids":[18446744073709551615]}]})",
                                   R"({"rules":[{"flags":"CLONE_VM"}]})",
                                   R"({"rules":[{"flags":[1]}]})",
                                   R"({"rules":[{"max_children":-1}]})",
                                   R"({"rules":[{"max_children":1025}]})",
                                   R"({"rules":[{"max_children":true}]})",
                                   R"({"rules":[{"deny":7}]})",
                                   R"({"rules":[{"deny":"x","pids":[1]}]})",
                                   R"({"rules":[{"match":[]}]})",
                                   R"({"rules":[{"match":{"uid":-1}}]})",
                                   R"({"rules":[{"match":{"uid":4294967295}}]})",
                                   R"({"rules":[{"match":{"uid":["0"]}}]})",
                                   R"({"rules":[{"match":{"container":1}}]})",
                                   R"({"rules":[{"match":{"annotations":[]}}]})",
                                   R"({"rules":[{"match":{"annotations":{"a":1}}}]})"}) {
        CAPTURE(text);
        const std::string error = why(text);
        CHECK_FALSE(error.empty());
        CHECK(error.find(": ") != std::string::npos);
        CHECK((error.empty() ? '0' : error[0]) > '0');
    }
}
