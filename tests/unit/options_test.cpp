// SPDX-License-Identifier: MIT
#include "cli/options.hpp"

#include <doctest/doctest.h>

#include <array>
#include <initializer_list>
#include <sstream>
#include <string>
#include <vector>

using namespace clone2;
using namespace clone2::cli;

namespace
{

using Words = std::vector<std::string>;

Command run(const Words &words)
{
    return parse(words);
}

Options options(const Words &words)
{
    const Command command = run(words);
    const auto *const error = std::get_if<UsageError>(&command);
    INFO((error != nullptr ? error->message : ""));
    REQUIRE(std::holds_alternative<Options>(command));
    return std::get<Options>(command);
}

bool refused(const Words &words)
{
    const Command command = run(words);
    const auto *const error = std::get_if<UsageError>(&command);
    return error != nullptr && !error->message.empty();
}

} // namespace

TEST_CASE("options: the defaults")
{
    const Options given = options({"true"});
    CHECK(given.calls == CallTable());
    CHECK(given.pidns_depth == 0);
    CHECK_FALSE(given.log.has_value());
    CHECK(given.log_format == LogFormat::text);
    CHECK(given.verbosity == Verbosity::normal);
    CHECK_FALSE(given.stats);
    CHECK_FALSE(given.preload);
    CHECK_FALSE(given.wait_all);
    CHECK(given.exit_status == ExitStatus::signal);
    CHECK(given.loop == LoopChoice::automatic);
    CHECK(given.program == Words{"true"});
}

TEST_CASE("options: each one")
{
    for (const Words &words : {Words{"-n", "337", "p"}, Words{"-n337", "p"},
                               Words{"--nr", "337", "p"}, Words{"--nr=337", "p"}}) {
        CHECK(options(words).calls.text() == "337");
        CHECK(options(words).program == Words{"p"});
    }
    CHECK(options({"--nr=0", "p"}).calls.text() == "0");
    CHECK(options({"--nr=500,337", "p"}).calls.text() == "500,337");
    CHECK(options({"--nr=1073741823", "p"}).calls.text() == "1073741823");
    CHECK(options({"--pidns", "p"}).pidns_depth == 1);
    CHECK(options({"--pidns=1", "p"}).pidns_depth == 1);
    CHECK(options({"--pidns=32", "p"}).pidns_depth == 32);
    CHECK(options({"--pidns", "7"}).program == Words{"7"}); // an optional value needs '='
    CHECK(options({"--log=-", "p"}).log == "-");
    CHECK(options({"--log", "-", "p"}).log == "-");
    CHECK(options({"--log", "file", "p"}).log == "file");
    CHECK(options({"--log=a=b", "p"}).log == "a=b");
    CHECK(options({"--log=f", "--log-format=json", "p"}).log_format == LogFormat::json);
    CHECK(options({"--log-format", "text", "--log=f", "p"}).log_format == LogFormat::text);
    CHECK(refused({"--log-format=json", "p"}));
    CHECK(options({"--stats", "p"}).stats);
    CHECK(options({"--preload", "p"}).preload);
    CHECK(options({"--wait-all", "p"}).wait_all);
    CHECK(options({"--exit-status=128", "p"}).exit_status == ExitStatus::code128);
    CHECK(options({"--exit-status", "signal", "p"}).exit_status == ExitStatus::signal);
    CHECK(options({"--event-loop=auto", "p"}).loop == LoopChoice::automatic);
    CHECK(options({"--event-loop=io_uring", "p"}).loop == LoopChoice::io_uring);
    CHECK(options({"--event-loop", "epoll", "p"}).loop == LoopChoice::epoll);
    CHECK(options({"p"}).provider == Provider::automatic);
    CHECK(options({"--provider=auto", "p"}).provider == Provider::automatic);
    CHECK(options({"--provider=kernel", "p"}).provider == Provider::kernel);
    CHECK(options({"--provider", "supervisor", "p"}).provider == Provider::supervisor);
    CHECK(options({"-v", "p"}).verbosity == Verbosity::verbose);
    CHECK(options({"--verbose", "p"}).verbosity == Verbosity::verbose);
    CHECK(options({"-vv", "p"}).verbosity == Verbosity::tracing);
    CHECK(options({"-v", "--verbose", "-v", "p"}).verbosity == Verbosity::tracing);
    CHECK(options({"-vvq", "p"}).verbosity == Verbosity::quiet);
    CHECK(options({"-q", "p"}).verbosity == Verbosity::quiet);
    CHECK(options({"--quiet", "p"}).verbosity == Verbosity::quiet);
}

TEST_CASE("options: help, version and check run no program")
{
    for (const char *word : {"-h", "--help"}) {
        CHECK(std::holds_alternative<ShowHelp>(run({word})));
        CHECK(std::holds_alternative<ShowHelp>(run({word, "p"})));
    }
    for (const char *word : {"-V", "--version"}) {
        CHECK(std::holds_alternative<ShowVersion>(run({word})));
    }
    const auto check = [](const Words &words) {
        const Command command = run(words);
        REQUIRE(std::holds_alternative<Check>(command));
        return std::get<Check>(command);
    };
    CHECK_FALSE(check({"--check"}).feature.has_value());
    CHECK(check({"--check"}).loop == LoopChoice::automatic);
    CHECK(check({"--check=clone3"}).feature == "clone3");
    CHECK(check({"--event-loop=epoll", "--check"}).loop == LoopChoice::epoll);
    CHECK(check({"--check", "--event-loop=io_uring"}).loop == LoopChoice::io_uring);
    CHECK(refused({"--check=a", "program"}));
}

TEST_CASE("options: bundles of short ones")
{
    CHECK(options({"-vn337", "p"}).calls.text() == "337");
    CHECK(options({"-vn337", "p"}).verbosity == Verbosity::verbose);
    CHECK(options({"-vn", "337", "p"}).calls.text() == "337");
    CHECK(options({"-qv", "p"}).verbosity == Verbosity::verbose); // the last one counts
    CHECK(options({"-vq", "p"}).verbosity == Verbosity::quiet);
    CHECK(options({"-n1", "-n2", "p"}).calls.text() == "1,2"); // each counts
    CHECK(refused({"-n1", "-n2,1", "p"}));
    CHECK(std::holds_alternative<ShowHelp>(run({"-vh"})));
    CHECK(refused({"-vx", "p"}));
    CHECK(refused({"-nv", "p"})); // "v" is the value
    CHECK(refused({"-vn"}));
}

TEST_CASE("options: they end at the first word that is not one, or at --")
{
    CHECK(options({"p", "-v", "--nr", "x"}).program == Words{"p", "-v", "--nr", "x"});
    CHECK(options({"p", "-v"}).verbosity == Verbosity::normal);
    CHECK(options({"p", "--"}).program == Words{"p", "--"});
    CHECK(options({"--", "-v"}).program == Words{"-v"});
    CHECK(options({"-v", "--", "-q"}).program == Words{"-q"});
    CHECK(options({"--", "--", "x"}).program == Words{"--", "x"});
    CHECK(options({"-", "-v"}).program == Words{"-", "-v"});
    CHECK(options({"--log", "--", "p"}).log == "--"); // a value, whatever it looks like
    CHECK(options({"--log", "--", "p"}).program == Words{"p"});
    CHECK(options({"-v", "--", "--help"}).program == Words{"--help"});
}

TEST_CASE("options: nothing to run")
{
    CHECK(refused({}));
    CHECK(refused({"--"}));
    CHECK(refused({"-v"}));
    CHECK(refused({"--pidns"}));
}

TEST_CASE("options: missing, unexpected and bad values")
{
    for (const char *name :
         {"--nr", "--log", "--log-format", "--exit-status", "--event-loop", "--provider", "-n"}) {
        CAPTURE(name);
        CHECK(refused({name}));
    }
    for (const char *word :
         {"--stats=1", "--wait-all=", "--verbose=yes", "--quiet=", "--help=x", "--version=1",
          "--unknown", "--unknown=1", "--n", "--verb", "--=", "---", "-x", "-3", "--NR=1"}) {
        CAPTURE(word);
        CHECK(refused({word, "p"}));
    }
    for (const char *value :
         {"",      " ",   "x",    "-1",         "+1",         " 1",         "1 ",
          "0x183", "1.0", "387x", "1073741824", "2147483648", "4294967683", "99999999999999999999",
          "1,",    ",1",  "1,,2", "1,1",        "1=x",        "1=",         ":1",
          "x:1"}) {
        CAPTURE(value);
        CHECK(refused({std::string("--nr=") + value, "p"}));
    }
    for (const char *value : {"", "0", "33", "-1", "x", "1x", "4294967297"}) {
        CAPTURE(value);
        CHECK(refused({std::string("--pidns=") + value, "p"}));
    }
    for (const char *value : {"", "Text", "xml", "json "}) {
        CAPTURE(value);
        CHECK(refused({std::string("--log-format=") + value, "p"}));
        CHECK(refused({std::string("--exit-status=") + value, "p"}));
        CHECK(refused({std::string("--event-loop=") + value, "p"}));
        CHECK(refused({std::string("--provider=") + value, "p"}));
    }
    CHECK(refused({"--log=", "p"}));
    CHECK(refused({"--exit-status=1", "p"}));
}

TEST_CASE("help_text: names every option and exit status, on two screens of 80 columns")
{
    const std::string help = help_text();
    REQUIRE_FALSE(all_options().empty());
    for (const Option &option : all_options()) {
        CAPTURE(option.long_name);
        const std::string name = std::string("--") + option.long_name;
        std::string spelled =
            option.short_name != 0 ? std::string("-") + option.short_name + ", " : std::string();
        spelled += name;
        CHECK(help.find("  " + spelled) != std::string::npos);
        if (option.argument != nullptr) {
            CHECK(help.find(name + (option.argument[0] == '[' ? "" : " ") + option.argument) !=
                  std::string::npos);
        }
        // The first word of its text follows.
        const std::string text = option.text;
        CHECK(help.find(text.substr(0, text.find(' '))) != std::string::npos);
    }
    for (const ExitText &exit : exit_texts()) {
        CHECK(help.find(exit.status) != std::string::npos);
    }
    std::istringstream lines(help);
    std::size_t count = 0;
    for (std::string line; std::getline(lines, line); ++count) {
        CAPTURE(line);
        CHECK(line.size() <= 80);
        CHECK((line.empty() || line.back() != ' '));
    }
    CHECK(count <= 80);
    CHECK(help.back() == '\n');
}

TEST_CASE("options: of a list, the part that is wrong is named")
{
    const auto message = [](const Words &words) {
        return std::get<UsageError>(run(words)).message;
    };
    CHECK(message({"--listen=x", "--allow-uid", "0,nobodyy,daemon"}) ==
          "--allow-uid: 'nobodyy' is not a uid or a user's name");
    CHECK(message({"--listen=x", "--allow-uid", "0,"}) ==
          "--allow-uid: '0,' is not a uid or a user's name");
    const std::string budget =
        " is not listeners=N, calls=N, memory=N or descriptors=N, with N in 4..4294967296";
    CHECK(message({"--listen=x", "--budget", "memory=8,calls=1"}) ==
          "--budget: 'calls=1'" + budget);
    CHECK(message({"--listen=x", "--budget=call=8,memory=8"}) == "--budget: 'call=8'" + budget);
    CHECK(message({"--nr=387,x", "p"}).starts_with("--nr: 'x' is not a system call number"));
    CHECK(message({"--nr=387,387", "p"}).starts_with("--nr: '387,387' is not"));
}

TEST_CASE("options: an unknown one names the nearest, and points to --help")
{
    const auto message = [](const Words &words) {
        return std::get<UsageError>(run(words)).message;
    };
    CHECK(message({"--pidn", "p"}) ==
          "unknown option '--pidn'; did you mean --pidns? (see --help)");
    CHECK(message({"--stat", "p"}).find("did you mean --stats?") != std::string::npos);
    CHECK(message({"--verbsoe", "p"}).find("did you mean --verbose?") != std::string::npos);
    CHECK(message({"--wait_all", "p"}).find("did you mean --wait-all?") != std::string::npos);
    CHECK(message({"--lgo=f", "p"}).find("did you mean --log?") != std::string::npos);
    CHECK(message({"--elephants", "p"}) == "unknown option '--elephants' (see --help)");
    CHECK(message({"-Z", "p"}) == "unknown option '-Z' (see --help)");
}

TEST_CASE("options: a number after --pidns is PROGRAM, perhaps by mistake")
{
    CHECK(options({"--pidns", "3", "p"}).not_found_hint ==
          "if it is the value of --pidns, write --pidns=3");
    CHECK(options({"--pidns", "--", "3"}).not_found_hint.empty());
    CHECK(options({"--pidns=2", "3"}).not_found_hint.empty());
    CHECK(options({"--pidns", "p3"}).not_found_hint.empty());
    CHECK(options({"-v", "3"}).not_found_hint.empty());
}

TEST_CASE("options: failures to inject")
{
    const auto hits = [](const std::string &text) {
        const auto injection = parse_injection("EBUSY:when=" + text);
        std::vector<std::uint64_t> found;
        for (std::uint64_t count = 1; injection && count <= 8; ++count) {
            if (injection->hits(count)) {
                found.push_back(count);
            }
        }
        return found;
    };
    using Counts = std::vector<std::uint64_t>;
    CHECK(hits("2") == Counts{2});
    CHECK(hits("2..4") == Counts{2, 3, 4});
    CHECK(hits("6+") == Counts{6, 7, 8});
    CHECK(hits("2+3") == Counts{2, 5, 8});
    CHECK(hits("2..6+3") == Counts{2, 5});
    CHECK(hits("3..3") == Counts{3});
    for (const char *bad : {"", "0", "x", "2..", "..3", "3..2", "2+0", "2+x", "2-3", "-1", "2 "}) {
        CAPTURE(bad);
        CHECK_FALSE(parse_injection(std::string("EBUSY:when=") + bad).has_value());
    }
    REQUIRE(parse_injection("ENOMEM").has_value());
    CHECK(parse_injection("ENOMEM")->err == ENOMEM);
    CHECK(parse_injection("ENOMEM")->hits(1));
    CHECK(parse_injection("ENOMEM")->hits(1ULL << 40U));
    CHECK(parse_injection("77")->err == 77);
    for (const char *bad : {"", "EBUS", "0", "-1", "512", "EBUSY:", "EBUSY:if=1", "EBUSYwhen=1"}) {
        CAPTURE(bad);
        CHECK_FALSE(parse_injection(bad).has_value());
    }
    const Options both = options({"--inject=EBUSY:when=1", "--inject", "EPERM", "p"});
    CHECK(both.injections.size() == 2);
    CHECK(both.provider == Provider::supervisor);
    CHECK(refused({"--inject=EBUSY", "--provider=kernel", "p"}));
    CHECK(refused({"--policy=f", "--provider=kernel", "p"}));
    CHECK(refused({"--inject=EBUSY", "--preload", "p"}));
    CHECK(options({"--policy=f", "p"}).provider == Provider::supervisor);
}

TEST_CASE("options: --json is for something that prints")
{
    CHECK(options({"--json", "--stats", "p"}).json);
    CHECK(options({"--json", "--metrics=m", "--listen=s"}).json);
    CHECK(std::get<Check>(run({"--check", "--json"})).json);
    CHECK(refused({"--json", "p"}));
    CHECK(refused({"--json", "--listen=s"}));
}

TEST_CASE("options: users may be given by name")
{
    CHECK(options({"--listen=s", "--allow-uid=root,7"}).allowed_uids == std::vector<uid_t>{0, 7});
    CHECK(refused({"--listen=s", "--allow-uid=no such user"}));
}

TEST_CASE("all_options: parse() accepts every listed option")
{
    for (const Option &option : all_options()) {
        const std::string name = std::string("--") + option.long_name;
        CAPTURE(name);
        const bool needs_value = option.argument != nullptr && option.argument[0] != '[';
        if (needs_value) {
            CHECK(refused({name}));
        }
        const Command command = run(needs_value ? Words{name, "1", "p"} : Words{name, "p"});
        const auto *const error = std::get_if<UsageError>(&command);
        CHECK((error == nullptr || error->message.find("unknown") == std::string::npos));
    }
}

TEST_CASE("options: the agent")
{
    const Options agent = options({"--listen", "/s", "--allow-uid", "1,2", "--allow-uid=3",
                                   "--policy=f", "--log=-", "--stats", "-v", "-n337"});
    CHECK(agent.listen == "/s");
    CHECK(agent.allowed_uids == std::vector<uid_t>{1, 2, 3});
    CHECK(agent.policy == "f");
    CHECK(agent.budget.calls == 1024);
    const Options small = options(
        {"--listen=s", "--budget=calls=64,memory=16", "--budget", "listeners=4,descriptors=100"});
    CHECK(small.budget.calls == 64);
    CHECK(small.budget.memory == 16);
    CHECK(small.budget.listeners == 4);
    CHECK(small.budget.descriptors == 100);
    CHECK(agent.program.empty());
    CHECK_FALSE(options({"p"}).listen.has_value());
    for (const Words &words : {Words{"--listen"},
                               Words{"--listen="},
                               Words{"--listen=s", "p"},
                               Words{"--listen=s", "--pidns"},
                               Words{"--listen=s", "--wait-all"},
                               Words{"--listen=s", "--exit-status=128"},
                               Words{"--listen=s", "--allow-uid="},
                               Words{"--listen=s", "--allow-uid=1,"},
                               Words{"--listen=s", "--allow-uid=,1"},
                               Words{"--listen=s", "--allow-uid=-1"},
                               Words{"--listen=s", "--allow-uid=4294967295"},
                               Words{"--listen=s", "--policy="},
                               Words{"--listen=s", "--provider=kernel"},
                               Words{"--listen=s", "--budget="},
                               Words{"--listen=s", "--budget=calls"},
                               Words{"--listen=s", "--budget=calls=3"},
                               Words{"--listen=s", "--budget=calls=4,"},
                               Words{"--listen=s", "--budget=kept=9"},
                               Words{"--budget=calls=9", "p"},
                               Words{"--allow-uid=1", "p"},
                               Words{"--listen=s", "--inject=EBUSY"}}) {
        CHECK(refused(words));
    }
    CHECK(options({"--listen=s", "--provider=kernel", "-n337"}).provider == Provider::kernel);
}

TEST_CASE("options: each option has an effect in each mode or is an error")
{
    struct Way {
        Mode mode;
        Words words;
        Words program;
    };
    const std::array ways{Way{running, {}, {"p"}}, Way{listening, {"--listen=s"}, {}},
                          Way{checking, {"--check"}, {}}, Way{printing, {"--print-bpf"}, {}},
                          Way{dumping, {"--dump-slots=1"}, {}}};
    // A valid value that is not the default.
    struct Example {
        const char *name;
        const char *value;
    };
    const std::array examples{Example{"nr", "=337"},
                              Example{"pidns", ""},
                              Example{"pid", "=5"},
                              Example{"first-pid", "=5"},
                              Example{"pid-max", "=500"},
                              Example{"map-current-user", ""},
                              Example{"map-auto", ""},
                              Example{"log", "=f"},
                              Example{"log-format", "=json"},
                              Example{"stats", ""},
                              Example{"json", ""},
                              Example{"metrics", "=m"},
                              Example{"preload", ""},
                              Example{"require", ""},
                              Example{"optional", ""},
                              Example{"die-with-parent", ""},
                              Example{"wait-all", ""},
                              Example{"exit-status", "=128"},
                              Example{"event-loop", "=epoll"},
                              Example{"provider", "=supervisor"},
                              Example{"listen", "=s"},
                              Example{"allow-uid", "=1"},
                              Example{"policy", "=f"},
                              Example{"inject", "=EBUSY"},
                              Example{"budget", "=calls=64"},
                              Example{"verbose", ""},
                              Example{"quiet", ""},
                              Example{"check", ""},
                              Example{"print-bpf", ""},
                              Example{"dump-slots", "=1"},
                              Example{"help", ""},
                              Example{"version", ""}};
    const auto goes_with_pidns = [](const std::string &name) {
        return name == "pid" || name == "first-pid" || name == "pid-max" ||
               name.starts_with("map-");
    };
    const auto takes = [&](const Example &example, unsigned mode) {
        const std::string name = example.name;
        if (name == "help" || name == "version") {
            return true;
        }
        if (name == "nr") {
            return mode != dumping;
        }
        if (name == "event-loop" || name == "json") {
            return mode != printing && mode != dumping;
        }
        if (name == "dump-slots") {
            return mode == running || mode == dumping;
        }
        if (name == "listen") {
            return mode == listening || mode == checking || mode == running; // it selects another
                                                                             // mode
        }
        if (name == "check" || name == "print-bpf") {
            return mode == running || mode == (name == "check" ? checking : printing) ||
                   (name == "check" && mode == listening);
        }
        if (name == "allow-uid" || name == "budget" || name == "metrics") {
            return mode == listening;
        }
        if (goes_with_pidns(name) || name == "optional") {
            return mode == running;
        }
        if (name == "pidns" || name == "preload" || name == "wait-all" || name == "exit-status" ||
            name == "inject" || name == "require" || name == "die-with-parent") {
            return mode == running;
        }
        return mode == running || mode == listening;
    };
    CHECK(examples.size() == all_options().size());
    for (const Way &way : ways) {
        for (const Example &example : examples) {
            const std::string option = std::string("--") + example.name + example.value;
            CAPTURE(way.mode);
            CAPTURE(option);
            Words words = way.words;
            if (std::string(example.name) == "log-format") {
                words.push_back("--log=f");
            }
            if (goes_with_pidns(example.name) && way.mode == running) {
                words.push_back("--pidns");
            }
            if (std::string(example.name) == "json" && way.mode != checking) {
                words.push_back("--stats");
            }
            words.push_back(option);
            Words reversed(words.rbegin(), words.rend());
            const std::string name = example.name;
            const bool other = name == "listen" || name == "print-bpf" || name == "dump-slots";
            if (way.mode == running && !other) { // those run nothing
                words.insert(words.end(), way.program.begin(), way.program.end());
                reversed.insert(reversed.end(), way.program.begin(), way.program.end());
            }
            CHECK(refused(words) != takes(example, way.mode));
            CHECK(refused(reversed) != takes(example, way.mode));
        }
    }
}

TEST_CASE("options: --print-bpf")
{
    const Command plain = run({"--print-bpf"});
    REQUIRE(std::holds_alternative<PrintBpf>(plain));
    CHECK(std::get<PrintBpf>(plain).calls == CallTable());
    CHECK_FALSE(std::get<PrintBpf>(plain).base64);
    const Command coded = run({"--nr=337", "--print-bpf=base64"});
    REQUIRE(std::holds_alternative<PrintBpf>(coded));
    CHECK(std::get<PrintBpf>(coded).calls.text() == "337");
    CHECK(std::get<PrintBpf>(coded).base64);
    CHECK(refused({"--print-bpf=hex"}));
    CHECK(refused({"--print-bpf", "p"}));
    CHECK(refused({"--print-bpf", "--listen=s"}));
}
