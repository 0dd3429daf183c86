// SPDX-License-Identifier: MIT
#include "agent/key_positions.hpp"

#include "base/printable.hpp"

#include <algorithm>
#include <iterator>
#include <set>

namespace clone2::agent
{

namespace
{

/// Counts the characters read, since the parser gives a position only for syntax errors.
class CountingIterator
{
public:
    using iterator_category = std::input_iterator_tag;
    using value_type = char;
    using difference_type = std::ptrdiff_t;
    using pointer = const char *;
    using reference = const char &;

    CountingIterator(const char *at, std::size_t *count) : at_(at), count_(count) {}
    reference operator*() const { return *at_; }
    CountingIterator &operator++()
    {
        ++at_;
        ++*count_;
        return *this;
    }
    bool operator==(const CountingIterator &other) const { return at_ == other.at_; }
    bool operator!=(const CountingIterator &other) const { return at_ != other.at_; }

private:
    const char *at_;
    std::size_t *count_;
};

} // namespace

PositionedJson::PositionedJson(std::string_view text) : text_(text)
{
    std::vector<std::set<std::string>> open; // the keys so far of each open object
    std::size_t count = 0;
    const auto note = [&](int, Json::parse_event_t event, Json &parsed) {
        if (event == Json::parse_event_t::object_start) {
            open.emplace_back();
        } else if (event == Json::parse_event_t::object_end) {
            open.pop_back();
        } else if (event == Json::parse_event_t::key) {
            keys_.push_back(count);
            if (!open.back().insert(parsed.get<std::string>()).second) {
                throw Error{place(count) + "\"" + printable(parsed.get<std::string>()) +
                            "\" appears twice"};
            }
        }
        return true;
    };
    try {
        root_ = Json::parse(CountingIterator(text.data(), &count),
                            CountingIterator(text.data() + text.size(), &count), note);
    } catch (const Json::parse_error &error) {
        // "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error ..."
        const std::string what = printable(error.what());
        const std::size_t reason = what.find(": ");
        throw Error{place(error.byte) +
                    (reason == std::string::npos ? what : what.substr(reason + 2))};
    } catch (const Json::exception &error) { // a number too large
        throw Error{place(count) + printable(error.what())};
    }
    std::size_t next = 0;
    assign(root_, next);
}

void PositionedJson::assign(const Json &value, std::size_t &next)
{
    if (value.is_object()) {
        for (const auto &[key, member] : value.items()) {
            offsets_[&member] = keys_[next++];
            assign(member, next);
        }
    } else if (value.is_array()) {
        for (const Json &element : value) {
            assign(element, next);
        }
    }
}

std::string PositionedJson::place(std::size_t offset) const
{
    const std::string_view before = text_.substr(0, offset);
    const auto lines = std::count(before.begin(), before.end(), '\n');
    const std::size_t line_start = before.rfind('\n') + 1; // npos + 1 is 0
    return std::to_string(lines + 1) + ":" + std::to_string(before.size() - line_start) + ": ";
}

PositionedJson::Error PositionedJson::error_at(const Json &value, const std::string &why) const
{
    const auto found = offsets_.find(&value);
    return {
        place(found != offsets_.end() ? found->second : std::min<std::size_t>(1, text_.size())) +
        why};
}

} // namespace clone2::agent
