// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string_view>

namespace clone2::agent
{

/// Finds where a JSON object that comes in pieces ends, without understanding more of it than
/// braces and strings. A peer need not end its side for us to know that all is there: a runtime
/// may keep its socket open for as long as the container lives. Nesting is limited here, before
/// any parser recurses. Pure.
class DocumentEnd
{
public:
    enum class State {
        more,       ///< not there yet
        ended,      ///< the object is complete; only white space has followed
        not_object, ///< it doesn't begin with '{', or something follows its end
        too_deep    ///< nested deeper than max_depth
    };
    static constexpr unsigned max_depth = 32;

    /// The next piece. Once it has left `more` and `ended`, the state stays.
    State feed(std::string_view piece);

private:
    State step(char c);

    State state_ = State::more;
    unsigned depth_ = 0;
    bool in_string_ = false;
    bool escaped_ = false;
};

} // namespace clone2::agent
