// SPDX-License-Identifier: MIT
#include "audit/log.hpp"
#include "base/diagnostics.hpp"
#include "support.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <vector>

using namespace clone2;
using namespace clone2::test;
using nlohmann::json;

namespace
{

CallRecord ordinary()
{
    CallRecord record;
    record.time_ns = 1700000000123456789;
    record.tid = 4321;
    record.comm = "restorer";
    record.level = 2;
    record.flags = 0x100 | 17;
    record.nr_pids = 3;
    record.pids = {77, 0, 99};
    record.result = 9876;
    record.latency_us = 135;
    return record;
}

bool one_line(const std::string &text)
{
    return !text.empty() && text.back() == '\n' && std::count(text.begin(), text.end(), '\n') == 1;
}

bool no_control_bytes(const std::string &line)
{
    return std::none_of(line.begin(), line.end() - 1, [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte < 0x20 || byte == 0x7f;
    });
}

/// Whether the value is anywhere in the object.
bool holds(const json &object, const json &value)
{
    return std::any_of(object.begin(), object.end(),
                       [&](const json &field) { return field == value; });
}

std::vector<std::string> hostile_names()
{
    std::vector<std::string> names{"",
                                   " ",
                                   "a\nb",
                                   "\n",
                                   "\r\n",
                                   "\"",
                                   "\\",
                                   "\"}\n{\"result\":0,\"",
                                   "\x1b[2J",
                                   "\xff\xfe",
                                   "\xc3",
                                   "\xed\xa0\x80",
                                   "\xf8\x88\x80\x80\x80",
                                   "\xc0\x80",
                                   "a\tb",
                                   std::string("nul\0inside", 10),
                                   "\x7f",
                                   std::string("\xc2\x9b") + "2J",
                                   "\xe2\x80\xa8",
                                   "'",
                                   "%s%n"};
    for (int byte = 0; byte < 256; ++byte) {
        names.emplace_back(3, static_cast<char>(byte));
    }
    Random random(16);
    for (int i = 0; i < 500; ++i) {
        std::string name(15, ' ');
        for (char &c : name) {
            c = static_cast<char>(random.next());
        }
        names.push_back(name);
    }
    return names;
}

} // namespace

TEST_CASE("format_text: an ordinary call")
{
    const std::string line = format_text(ordinary());
    INFO(line);
    CHECK(one_line(line));
    for (const char *part : {"4321", "restorer", "CLONE_VM|SIGCHLD", "77", "99", "9876", "135"}) {
        CHECK(line.find(part) != std::string::npos);
    }
    CallRecord failed = ordinary();
    failed.result = -EBUSY;
    failed.why = "pid 77 is in use";
    const std::string other = format_text(failed);
    INFO(other);
    CHECK(other.find("EBUSY") != std::string::npos);
    CHECK(other.find("pid 77 is in use") != std::string::npos);
}

TEST_CASE("format_json: an ordinary call")
{
    const std::string line = format_json(ordinary());
    INFO(line);
    CHECK(one_line(line));
    const json object = json::parse(line);
    REQUIRE(object.is_object());
    CHECK(holds(object, 4321));
    CHECK(holds(object, "restorer"));
    CHECK(holds(object, 2));
    CHECK(holds(object, json::array({77, 0, 99})));
    CHECK(holds(object, 9876));
    CHECK(holds(object, 135));
    CallRecord failed = ordinary();
    failed.result = -EBUSY;
    failed.why = "pid 77 is in use";
    const json other = json::parse(format_json(failed));
    CHECK(other.dump().find("EBUSY") != std::string::npos);
    CHECK(holds(other, "pid 77 is in use"));
    CHECK(other.dump().find("9876") == std::string::npos);
}

TEST_CASE("format: whose call it was, and the child's pid here")
{
    CallRecord record = ordinary();
    record.uid = 1000;
    record.peer = "we\"b";
    record.child_here = 31;
    const std::string line = format_text(record);
    INFO(line);
    CHECK(line.find("\"restorer\" uid=1000 peer=\"we\\x22b\" level=2 ") != std::string::npos);
    CHECK(line.find(" = 9876 (here 31) <") != std::string::npos);
    const json object = json::parse(format_json(record));
    CHECK(object["uid"] == 1000);
    CHECK(object["peer"] == "we\"b");
    CHECK(object["child_here"] == 31);
    record.child_here = 9876; // the same: the caller is in our namespace
    CHECK(format_text(record).find("here") == std::string::npos);
    record.peer = std::string(5000, 'x');
    CHECK(format_text(record).size() < 500);
}

TEST_CASE("format_json: unknown values are left out")
{
    CallRecord gone = ordinary();
    gone.level = std::nullopt;
    gone.comm.clear();
    const json object = json::parse(format_json(gone));
    CallRecord top = ordinary();
    top.level = 0;
    CHECK(object.value("level", json()).is_null());
    CHECK(json::parse(format_json(top)).value("level", json()) == 0);
}

TEST_CASE("both formats: a call passed to the kernel has no result")
{
    CallRecord passed = ordinary();
    passed.passed_to_kernel = true;
    const std::string text = format_text(passed);
    INFO(text);
    CHECK(one_line(text));
    CHECK(text.find(") = ? (passed to the kernel") != std::string::npos);
    CHECK(text.find("9876") == std::string::npos);
    const auto fields = nlohmann::json::parse(format_json(passed));
    CHECK(fields.at("passed_to_kernel") == true);
    CHECK_FALSE(fields.contains("result"));
}

TEST_CASE("both formats: hostile names stay on one line")
{
    for (const std::string &name : hostile_names()) {
        CallRecord record = ordinary();
        record.comm = name;
        CAPTURE(name);
        const std::string text = format_text(record);
        CHECK(one_line(text));
        CHECK(no_control_bytes(text));
        const std::string line = format_json(record);
        CHECK(one_line(line));
        CHECK(no_control_bytes(line));
        json object;
        CHECK_NOTHROW(object = json::parse(line)); // rejects invalid UTF-8
        CHECK(holds(object, 9876));
        CHECK(object.size() == json::parse(format_json(ordinary())).size());
    }
}

TEST_CASE("both formats: a doubt is part of the line")
{
    CallRecord record = ordinary();
    CHECK_FALSE(json::parse(format_json(record)).contains("doubt"));
    record.doubt = "not what was planned";
    CHECK(format_text(record).find(") = 9876 [not what was planned] <135 us>\n") !=
          std::string::npos);
    CHECK(json::parse(format_json(record)).at("doubt") == "not what was planned");
}

TEST_CASE("both formats: hostile reasons stay on one line")
{
    // A reason may contain a policy file's text or quote a caller.
    for (const std::string &why : hostile_names()) {
        CallRecord record = ordinary();
        record.result = -EPERM;
        record.why = why;
        CAPTURE(why);
        const std::string text = format_text(record);
        CHECK(one_line(text));
        CHECK(no_control_bytes(text));
        CHECK(std::all_of(text.begin(), text.end(),
                          [](char c) { return static_cast<unsigned char>(c) < 0x80; }));
        CHECK(one_line(format_json(record)));
        CHECK(json::accept(format_json(record))); // rejects invalid UTF-8
    }
}

TEST_CASE("Diagnostics: no message can start a new line or move the cursor")
{
    class Heard final : public Diagnostics
    {
    public:
        Heard() : Diagnostics(Verbosity::verbose) {}
        mutable std::vector<std::string> lines;

    protected:
        void tell(Level /*level*/, const std::string &message) const override
        {
            lines.push_back(message);
        }
    };
    // A newline, C0, C1 (as a byte and as UTF-8), DEL, a direction override, invalid UTF-8.
    const std::string hostile = "a\nb\r\x1b[2J\x9b"
                                "2J\xc2\x9b\x7f\xe2\x80\xae\xff\xc3";
    Heard heard;
    heard.info(hostile);
    heard.warn(hostile);
    heard.warn("\\x1b is escaped already");
    REQUIRE(heard.lines.size() == 3);
    for (const std::string &line : heard.lines) {
        CAPTURE(line);
        CHECK(std::all_of(line.begin(), line.end(), [](char c) { return c >= 0x20 && c < 0x7f; }));
    }
    CHECK(heard.lines[0] == heard.lines[1]);
    CHECK(heard.lines[0].find("a\\x0ab") == 0);
    CHECK(heard.lines[2] == "\\x1b is escaped already");
}

TEST_CASE("both formats: extreme numbers")
{
    CallRecord record = ordinary();
    record.flags = ~std::uint64_t{0};
    record.nr_pids = 0xffffffff;
    record.pids.assign(33, std::numeric_limits<pid_t>::min());
    record.level = 32;
    record.latency_us = std::numeric_limits<std::int64_t>::max();
    for (const std::int64_t time :
         {std::numeric_limits<std::int64_t>::min(), std::int64_t{-1}, std::int64_t{0},
          std::int64_t{999999999}, std::numeric_limits<std::int64_t>::max()}) {
        record.time_ns = time;
        record.result = -4711;
        CHECK(one_line(format_text(record)));
        const std::string line = format_json(record);
        CHECK(one_line(line));
        const json object = json::parse(line);
        CHECK(holds(object, 0xffffffffU));
        CHECK(holds(object, std::numeric_limits<std::int64_t>::max()));
    }
    CHECK(one_line(format_text(CallRecord{})));
    CHECK(json::parse(format_json(CallRecord{})).is_object());
}

TEST_CASE("both formats: a line for dropped lines")
{
    const std::string text = format_dropped(4711, LogFormat::text);
    CHECK(one_line(text));
    CHECK(text.find("4711 lines were dropped") != std::string::npos);
    const std::string line = format_dropped(4711, LogFormat::json);
    CHECK(one_line(line));
    CHECK(holds(json::parse(line), 4711));
}
