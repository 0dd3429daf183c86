// SPDX-License-Identifier: MIT
#include "agent/document_end.hpp"
#include "agent/process_state.hpp"
#include "agent/systemd.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace clone2;
using namespace clone2::agent;

namespace
{

using State = DocumentEnd::State;

State whole(std::string_view text)
{
    DocumentEnd end;
    return end.feed(text);
}

/// Feeds it byte by byte.
State pieces(std::string_view text)
{
    DocumentEnd end;
    State state = State::more;
    for (const char &c : text) {
        state = end.feed({&c, 1});
    }
    return state;
}

ProcessState good(std::string_view text)
{
    const auto parsed = parse_process_state(text);
    const auto *const error = std::get_if<ProtocolError>(&parsed);
    INFO((error != nullptr ? error->why : ""));
    REQUIRE(std::holds_alternative<ProcessState>(parsed));
    return std::get<ProcessState>(parsed);
}

std::string why(std::string_view text)
{
    const auto parsed = parse_process_state(text);
    const auto *const error = std::get_if<ProtocolError>(&parsed);
    return error != nullptr ? error->why : "";
}

} // namespace

TEST_CASE("document end: whole, in pieces, strings that contain an apparent end")
{
    for (const std::string_view text : {R"({})", R"( {} )", "\n{\"a\":[1,2,{}]}\n", R"({"a":"}"})",
                                        R"({"a":"\"}"})", R"({"a":"\\"})", R"({"}":"{"})"}) {
        CAPTURE(text);
        CHECK(whole(text) == State::ended);
        CHECK(pieces(text) == State::ended);
    }
    for (const std::string_view text :
         {"", " ", "{", R"({"a":")", R"({"a":"\"}")", R"({"a":[)", R"({"a":"}\)"}) {
        CAPTURE(text);
        CHECK(whole(text) == State::more);
        CHECK(pieces(text) == State::more);
    }
    for (const std::string_view text :
         {"[]", "1", "null", "{}x", "{} {", "{}}", "\xef\xbb\xbf{}"}) {
        CAPTURE(text);
        CHECK(whole(text) == State::not_object);
        CHECK(pieces(text) == State::not_object);
    }
}

TEST_CASE("document end: depth")
{
    // In pieces, one level deeper each, up to one less than the limit.
    const std::string deepest(DocumentEnd::max_depth - 1, '[');
    CHECK(whole("{\"a\":" + deepest) == State::more);
    CHECK(whole("{\"a\":" + deepest + "[") == State::too_deep);
    CHECK(pieces("{\"a\":" + deepest + "[") == State::too_deep);
    DocumentEnd end;
    CHECK(end.feed("{\"a\":" + deepest + "[") == State::too_deep);
    CHECK(end.feed("]]]]}") == State::too_deep);
}

TEST_CASE("process state: the specification's example")
{
    const ProcessState state = good(R"({
        "ociVersion": "1.0.2",
        "fds": ["seccompFd"],
        "pid": 4422,
        "metadata": "MKNOD=/dev/null,/dev/net/tun;BPF_MAP_TYPES=hash,array",
        "state": {
            "ociVersion": "1.0.2", "id": "oci-container1", "status": "creating", "pid": 4422,
            "bundle": "/containers/redis", "annotations": {"myKey": "myValue"}
        }
    })");
    CHECK(state.fd_count == 1);
    CHECK(state.listener_index == 0);
    CHECK_FALSE(state.subject.calls.has_value());
    CHECK(state.subject.pid == 4422);
    CHECK(state.subject.container == "oci-container1");
    CHECK(state.subject.metadata == "MKNOD=/dev/null,/dev/net/tun;BPF_MAP_TYPES=hash,array");
    CHECK(state.subject.annotations == std::map<std::string, std::string>{{"myKey", "myValue"}});
}

TEST_CASE("process state: position of the listener, missing parts, odd parts")
{
    CHECK(good(R"({"fds":["a","b","seccompFd"]})").listener_index == 2);
    CHECK(good(R"({"fds":["a","b","seccompFd"]})").fd_count == 3);
    CHECK(good(R"({"fds":["seccompFd",7]})").fd_count == 2);
    CHECK(good(R"({"fds":["seccompFd"],"pid":"x","metadata":7,"state":[]})").subject.pid == 0);
    CHECK(good(R"({"fds":["seccompFd"],"state":{"id":null,"annotations":{"a":1,"b":"c"}}})")
              .subject.annotations.size() == 1);
    CHECK(why("{}") == "the message has no \"fds\" array");
    CHECK(why(R"({"fds":null})") == "the message has no \"fds\" array");
    CHECK(why(R"({"fds":{"seccompFd":1}})") == "the message has no \"fds\" array");
    CHECK(why(R"({"fds":["SeccompFd"]})") == "the message has no \"seccompFd\" in \"fds\"");
    CHECK(why(R"({"fds":["seccompFd","seccompFd"]})") ==
          "the message has more than one \"seccompFd\" in \"fds\"");
    CHECK(why("{") == "the message is not JSON");
    CHECK(why("[]") == "the message is not a JSON object");
    CHECK(why("") == "the message is not JSON");
}

TEST_CASE("process state: the last duplicate key counts; nested keys are different keys")
{
    const ProcessState state = good(R"({
        "fds": ["a", "seccompFd"], "pid": 1, "metadata": "old",
        "state": {"id": "old", "annotations": {"old": "x"}},
        "x": {"fds": [1, 2], "state": {"id": "x"}, "pid": 9, "metadata": "x"},
        "fds": [{"seccompFd": "seccompFd"}, ["seccompFd"], "seccompFd", null, 1.5, true],
        "pid": 2, "metadata": null,
        "state": {"x": {"id": "y", "annotations": {"y": "y"}}, "id": "new", "y": ["id", {"id": "z"}],
                  "annotations": {"a": "1", "b": [], "c": {"d": "e"}, "f": "2", "a": 3, "g": "4",
                                  "g": "5"}, "z": {"annotations": 1}}
    })");
    CHECK(state.fd_count == 6);
    CHECK(state.listener_index == 2);
    CHECK(state.subject.pid == 2);
    CHECK(state.subject.metadata.empty());
    CHECK(state.subject.container == "new");
    CHECK(state.subject.annotations == std::map<std::string, std::string>{{"f", "2"}, {"g", "5"}});
    CHECK(good(R"({"fds":["seccompFd"],"state":{"annotations":["a",{"b":"c"}]}})")
              .subject.annotations.empty());
    CHECK(good(R"({"fds":["seccompFd"],"state":{"annotations":{"a":"b"}},"state":null})")
              .subject.annotations.empty());
}

TEST_CASE("process state: too many annotations are refused, and they count by their memory")
{
    const auto with = [](std::size_t annotations) {
        std::string text = R"({"fds":["seccompFd"],"state":{"annotations":{"x":"")";
        for (std::size_t i = 1; i < annotations; ++i) {
            text += ",\"" + std::to_string(i) + "\":\"\"";
        }
        return text + "}}}";
    };
    const ProcessState state = good(with(max_annotations));
    CHECK(state.subject.annotations.size() == max_annotations);
    CHECK(bytes_kept(state.subject) >= max_annotations * 96);
    CHECK(why(with(max_annotations + 1)) == "the message has more than 4096 annotations");
}

TEST_CASE("process state: clone2-shim is recognised by its metadata")
{
    const auto calls = [](const std::string &metadata) {
        return good(R"({"fds":["seccompFd"],"metadata":")" + metadata + "\"}").subject.calls;
    };
    CHECK(calls("clone2-shim nr=387") == CallTable::parse("387"));
    CHECK(calls("clone2-shim nr=0") == CallTable::parse("0"));
    CHECK(calls("clone2-shim nr=387,x86_64:500=clone2") == CallTable::parse("387,500"));
    for (const char *const other :
         {"", "clone2-shim", "clone2-shim nr=", "clone2-shim nr=-1", "clone2-shim nr=387 ",
          "xclone2-shim nr=387", "clone2-shim nr=99999999999999999999"}) {
        CAPTURE(other);
        CHECK_FALSE(calls(other).has_value());
    }
}

TEST_CASE("subject: survives encoding and decoding, even invalid UTF-8")
{
    Subject subject;
    subject.uid = 4294967294;
    subject.pid_here = 4711;
    subject.pid = -5;
    subject.container = "a\"b\\\n";
    subject.metadata = "clone2-shim nr=337";
    subject.annotations = {{"k", "v"}, {"", ""}};
    subject.calls = CallTable::parse("337");
    const auto back = decode_subject(encode_subject(subject));
    REQUIRE(back.has_value());
    CHECK(back->uid == subject.uid);
    CHECK(back->pid_here == subject.pid_here);
    CHECK(back->pid == subject.pid);
    CHECK(back->container == subject.container);
    CHECK(back->metadata == subject.metadata);
    CHECK(back->annotations == subject.annotations);
    CHECK(back->calls == subject.calls);
    subject.container = "\xff";
    CHECK(decode_subject(encode_subject(subject)).has_value());
    for (const char *const text : {"", "{}", "[]", R"({"uid":-1})", R"({"uid":"0"})"}) {
        CHECK_FALSE(decode_subject(text).has_value());
    }
}

TEST_CASE("subject: its name is printable")
{
    Subject subject;
    subject.container = "\x1b\"x";
    CHECK(subject.name() == "container \"\\x1b\\x22x\" (uid 0, pid 0 there)");
    subject.container = std::string(1000, 'x');
    CHECK(subject.name().size() < 128);
    subject.calls = CallTable::parse("387");
    CHECK(subject.name() == "clone2-shim (uid 0, pid 0 there)");
    subject.pid_here = 4711;
    CHECK(subject.name() == "clone2-shim 4711 (uid 0, pid 0 there)");
    CHECK(subject.id() == "clone2-shim 4711");
}

TEST_CASE("passed descriptors: sd_listen_fds(3)")
{
    CHECK(decode_passed(7, "7", "2", "a:b").names == std::vector<std::string>{"a", "b"});
    CHECK(decode_passed(7, "7", "3", "a").names ==
          std::vector<std::string>{"a", "unknown", "unknown"});
    CHECK(decode_passed(7, "7", "2", nullptr).count == 2);
    CHECK(decode_passed(7, "7", "2", ":b").names == std::vector<std::string>{"unknown", "b"});
    CHECK(decode_passed(7, "8", "2", "a:b").count == 0);
    for (const char *const count : {"", "0", "-1", "x", "2x", "99999999999999999999", "70000"}) {
        CAPTURE(count);
        CHECK(decode_passed(7, "7", count, "a").count == 0);
    }
    CHECK(decode_passed(7, nullptr, "1", "a").count == 0);
    CHECK(decode_passed(7, "7", nullptr, "a").count == 0);
}
