// SPDX-License-Identifier: MIT
#include "agent/document_end.hpp"

namespace clone2::agent
{

DocumentEnd::State DocumentEnd::step(char c)
{
    if (in_string_) {
        if (escaped_) {
            escaped_ = false;
        } else if (c == '\\') {
            escaped_ = true;
        } else if (c == '"') {
            in_string_ = false;
        }
        return State::more;
    }
    if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
        return state_;
    }
    if (state_ == State::ended || (depth_ == 0 && c != '{')) {
        return State::not_object;
    }
    switch (c) {
    case '"':
        in_string_ = true;
        return State::more;
    case '{':
    case '[':
        return ++depth_ > max_depth ? State::too_deep : State::more;
    case '}':
    case ']':
        return --depth_ == 0 ? State::ended : State::more;
    default:
        return State::more;
    }
}

DocumentEnd::State DocumentEnd::feed(std::string_view piece)
{
    for (const char c : piece) {
        if (state_ != State::more && state_ != State::ended) {
            break;
        }
        state_ = step(c);
    }
    return state_;
}

} // namespace clone2::agent
