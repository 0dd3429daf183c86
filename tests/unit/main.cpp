// SPDX-License-Identifier: MIT
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <unistd.h>

#include <csignal>
#include <cstring>

namespace
{

// Far more than any test needs, so only a hang exceeds it.
constexpr unsigned seconds_per_case = 60;

const char *volatile running = "";

void on_alarm(int /*signal*/)
{
    const char *const name = running;
    for (const char *part : {"HANGS: ", name, "\n"}) {
        if (write(STDERR_FILENO, part, std::strlen(part)) < 0) {
            break;
        }
    }
    _exit(1);
}

/// Runs every test case under alarm().
struct Guard : doctest::IReporter {
    explicit Guard(const doctest::ContextOptions & /*options*/)
    {
        struct sigaction action {
        };
        action.sa_handler = on_alarm;
        sigaction(SIGALRM, &action, nullptr);
        signal(SIGPIPE, SIG_IGN);
    }

    void report_query(const doctest::QueryData & /*query*/) override {}
    void test_run_start() override {}
    void test_run_end(const doctest::TestRunStats & /*stats*/) override {}
    void test_case_start(const doctest::TestCaseData &data) override
    {
        running = data.m_name;
        alarm(seconds_per_case);
    }
    void test_case_reenter(const doctest::TestCaseData & /*data*/) override {}
    void test_case_end(const doctest::CurrentTestCaseStats & /*stats*/) override { alarm(0); }
    void test_case_exception(const doctest::TestCaseException & /*error*/) override {}
    void subcase_start(const doctest::SubcaseSignature & /*subcase*/) override {}
    void subcase_end() override {}
    void log_assert(const doctest::AssertData & /*data*/) override {}
    void log_message(const doctest::MessageData & /*message*/) override {}
    void test_case_skipped(const doctest::TestCaseData & /*data*/) override {}
};

REGISTER_LISTENER("guard", 1, Guard);

} // namespace
