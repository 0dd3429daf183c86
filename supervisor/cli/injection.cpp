// SPDX-License-Identifier: MIT
#include "cli/injection.hpp"

#include "plan/flags.hpp"

#include <charconv>

namespace clone2::cli
{

namespace
{

/// Higher ones are internal to the kernel (ERESTARTSYS), or mean nothing.
constexpr int highest_injected = 511;

/// Takes a number > 0 from the beginning of the text.
std::optional<std::uint64_t> take_number(std::string_view &text)
{
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || value == 0) {
        return std::nullopt;
    }
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return value;
}

bool take(std::string_view &text, std::string_view prefix)
{
    const bool there = text.starts_with(prefix);
    text.remove_prefix(there ? prefix.size() : 0);
    return there;
}

std::optional<int> parse_errno(std::string_view text)
{
    std::string_view rest = text;
    const std::optional<std::uint64_t> number = take_number(rest);
    if (number && rest.empty() && *number <= highest_injected) {
        return static_cast<int>(*number);
    }
    for (int err = 1; err <= highest_injected; ++err) {
        if (errno_name(err) == text) {
            return err;
        }
    }
    return std::nullopt;
}

/// "FIRST", "FIRST..LAST", "FIRST+", "FIRST+STEP", "FIRST..LAST+STEP".
bool parse_when(std::string_view text, Injection &injection)
{
    const std::optional<std::uint64_t> first = take_number(text);
    if (!first) {
        return false;
    }
    injection.first = *first;
    const bool has_last = take(text, "..");
    if (has_last) {
        const std::optional<std::uint64_t> last = take_number(text);
        if (!last || *last < *first) {
            return false;
        }
        injection.last = *last;
    }
    const bool repeated = take(text, "+");
    if (!has_last && !repeated) {
        injection.last = *first;
    }
    if (repeated && !text.empty()) {
        const std::optional<std::uint64_t> step = take_number(text);
        if (!step) {
            return false;
        }
        injection.step = *step;
    }
    return text.empty();
}

} // namespace

std::optional<Injection> parse_injection(std::string_view text)
{
    const std::string_view name = text.substr(0, text.find(':'));
    const std::optional<int> err = parse_errno(name);
    if (!err) {
        return std::nullopt;
    }
    Injection injection;
    injection.err = *err;
    text.remove_prefix(name.size());
    if (!text.empty() && !(take(text, ":when=") && parse_when(text, injection))) {
        return std::nullopt;
    }
    return injection;
}

} // namespace clone2::cli
