// SPDX-License-Identifier: MIT
#include "base/result.hpp"

#include <system_error>

namespace clone2
{

std::string Error::to_string() const
{
    std::string text = operation;
    if (tid != 0) {
        // "ptrace(PTRACE_SEIZE)" becomes "ptrace(PTRACE_SEIZE, 4711)".
        if (!text.empty() && text.back() == ')') {
            text.pop_back();
            text += (text.ends_with('(') ? "" : ", ") + std::to_string(tid) + ")";
        } else {
            text += "(" + std::to_string(tid) + ")";
        }
    }
    return text + ": " + std::generic_category().message(err);
}

void throw_exception_from_error(const Error &error, const boost::source_location & /*where*/)
{
    throw std::system_error(error.err, std::generic_category(), error.operation);
}

} // namespace clone2
