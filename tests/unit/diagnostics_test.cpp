// SPDX-License-Identifier: MIT
#include "base/diagnostics.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

using namespace clone2;

namespace
{

class Kept final : public Diagnostics
{
public:
    using Diagnostics::Diagnostics;
    [[nodiscard]] auto count(const std::string &message) const
    {
        return std::count(messages_.begin(), messages_.end(), message);
    }

    [[nodiscard]] std::size_t longest() const
    {
        std::size_t size = 0;
        for (const std::string &message : messages_) {
            size = std::max(size, message.size());
        }
        return size;
    }

private:
    void tell(Level /*level*/, const std::string &message) const override
    {
        messages_.push_back(message);
    }
    mutable std::vector<std::string> messages_;
};

} // namespace

TEST_CASE("Diagnostics: no user's warnings hide another's")
{
    Kept kept(Verbosity::normal);
    for (int i = 0; i < 100; ++i) {
        kept.warn("noise", 1000);
    }
    kept.warn("once", 1001);
    kept.warn("nobody's", std::nullopt);
    CHECK(kept.count("noise") == 10);
    CHECK(kept.count("once") == 1);
    CHECK(kept.count("nobody's") == 1);
}

TEST_CASE("Diagnostics: the warnings of very many users are limited together")
{
    Kept kept(Verbosity::normal);
    for (uid_t user = 1; user <= 5000; ++user) {
        kept.warn("noise", user);
    }
    CHECK(kept.count("noise") >= 1000);
    CHECK(kept.count("noise") <= 1100);
}

TEST_CASE("Diagnostics: a long message is shortened")
{
    Kept kept(Verbosity::tracing);
    const std::string message(1000, 'x');
    kept.warn(message);
    CHECK(kept.count(message) == 1);
    for (const std::string &longer : {message + "y", std::string(1000000, 'y')}) {
        kept.warn(longer);
        kept.info(longer);
        kept.trace(std::string(1000000, '\n'));
    }
    CHECK(kept.longest() == 1003);
    CHECK(kept.count(message + "...") == 2);
}
