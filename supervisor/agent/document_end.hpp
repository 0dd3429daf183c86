// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string_view>

namespace clone2::agent
{

/// Finds the end of a JSON object that arrives in pieces, looking only at braces and strings. The
/// end can't be taken from the peer closing its side: a runtime may keep its socket open as long as
/// the container lives. The nesting depth is limited here, before any parser recurses. Pure.
class DocumentEnd
{
public:
    enum class State {
        more,       ///< incomplete
        ended,      ///< the object is complete; only white space has followed
        not_object, ///< does not begin with '{', or something follows its end
        too_deep    ///< nested deeper than max_depth
    };
    static constexpr unsigned max_depth = 32;

    /// Feeds the next piece. `not_object` and `too_deep` are final.
    State feed(std::string_view piece);

private:
    State step(char c);

    State state_ = State::more;
    unsigned depth_ = 0;
    bool in_string_ = false;
    bool escaped_ = false;
};

} // namespace clone2::agent
