// SPDX-License-Identifier: MIT
#include "agent/process_state.hpp"

#include "base/printable.hpp"

#include <array>
#include <nlohmann/json.hpp>

namespace clone2::agent
{

namespace
{

using nlohmann::json;

/// What clone2-shim writes into "metadata", followed by the calls that its filter traps.
constexpr std::string_view shim_metadata = "clone2-shim nr=";

/// An optional member. null counts as absent, because some encoders write it for an empty value.
const json *member(const json &object, const char *name)
{
    const auto found = object.find(name);
    return found == object.end() || found->is_null() ? nullptr : &*found;
}

std::string string_or_empty(const json &object, const char *name)
{
    const json *const value = member(object, name);
    return value != nullptr && value->is_string() ? value->get<std::string>() : std::string();
}

std::optional<CallTable> calls_of_shim(std::string_view metadata)
{
    if (!metadata.starts_with(shim_metadata)) {
        return std::nullopt;
    }
    metadata.remove_prefix(shim_metadata.size());
    return CallTable::parse(metadata);
}

std::map<std::string, std::string> string_map(const json *object)
{
    std::map<std::string, std::string> strings;
    if (object != nullptr && object->is_object()) {
        for (const auto &[key, value] : object->items()) {
            if (value.is_string()) {
                strings.emplace(key, value.get<std::string>());
            }
        }
    }
    return strings;
}

std::int64_t integer_or_zero(const json &object, const char *name)
{
    const json *const value = member(object, name);
    return value != nullptr && value->is_number_integer() ? value->get<std::int64_t>() : 0;
}

/// Extracts from a message only what is needed and builds nothing else: a message of maximum size
/// can hold a hundred thousand values. The last of duplicate keys wins.
class StateReader
{
public:
    ProcessState found;
    bool fds_are_array = false;
    std::size_t listeners = 0; ///< "seccompFd" entries in "fds"
    std::string why;           ///< the refusal; empty: not JSON

    bool null() { return other_fd(); }
    bool boolean(bool /*value*/) { return other_fd(); }
    bool number_integer(std::int64_t value) { return integer(value); }
    bool number_unsigned(std::uint64_t value) { return integer(static_cast<std::int64_t>(value)); }
    bool number_float(double /*value*/, const std::string & /*text*/) { return other_fd(); }
    bool binary(json::binary_t & /*value*/) { return other_fd(); }

    bool string(std::string &value)
    {
        if (depth_ == 1 && at(1, "metadata")) {
            found.subject.metadata = std::move(value);
        } else if (in_fds()) {
            if (value == "seccompFd" && listeners++ == 0) {
                found.listener_index = found.fd_count;
            }
            ++found.fd_count;
        } else if (depth_ == 2 && at(1, "state") && at(2, "id")) {
            found.subject.container = std::move(value);
        } else if (in_annotations()) {
            if (found.subject.annotations.size() >= max_annotations) {
                why =
                    "the message has more than " + std::to_string(max_annotations) + " annotations";
                return false;
            }
            found.subject.annotations.insert_or_assign(std::move(annotation_), std::move(value));
        }
        return scalar();
    }

    bool start_object(std::size_t /*elements*/) { return enter(true); }
    bool end_object() { return leave(); }
    bool start_array(std::size_t /*elements*/) { return enter(false); }
    bool end_array() { return leave(); }

    bool key(std::string &name)
    {
        if (in_annotations()) {
            found.subject.annotations.erase(name);
            annotation_ = std::move(name);
            return true;
        }
        if (depth_ <= path_.size()) {
            path_[depth_ - 1] = std::move(name);
            forget();
        }
        return true;
    }

    bool parse_error(std::size_t /*at*/, const std::string & /*token*/,
                     const json::exception & /*error*/)
    {
        return false;
    }

private:
    /// Whether the parser is in the member `name` of the object at this depth.
    [[nodiscard]] bool at(std::size_t depth, const char *name) const
    {
        return path_[depth - 1] == name;
    }
    [[nodiscard]] bool in_fds() const { return depth_ == 2 && at(1, "fds") && fds_are_array; }
    [[nodiscard]] bool in_annotations() const
    {
        return depth_ == 3 && at(1, "state") && at(2, "annotations") && third_is_object_;
    }

    /// Forgets the value of an earlier member with the same key.
    void forget()
    {
        if (depth_ == 2 && at(1, "state")) {
            if (at(2, "id")) {
                found.subject.container.clear();
            } else if (at(2, "annotations")) {
                found.subject.annotations.clear();
            }
        } else if (depth_ == 1 && at(1, "fds")) {
            fds_are_array = false;
            listeners = found.fd_count = found.listener_index = 0;
        } else if (depth_ == 1 && at(1, "pid")) {
            found.subject.pid = 0;
        } else if (depth_ == 1 && at(1, "metadata")) {
            found.subject.metadata.clear();
        } else if (depth_ == 1 && at(1, "state")) {
            found.subject.container.clear();
            found.subject.annotations.clear();
        }
    }

    bool integer(std::int64_t value)
    {
        if (depth_ == 1 && at(1, "pid")) {
            found.subject.pid = value;
        }
        return other_fd();
    }
    bool scalar() { return depth_ > 0 || refuse_root(); }
    bool other_fd()
    {
        found.fd_count += in_fds() ? 1 : 0;
        return scalar();
    }
    bool refuse_root()
    {
        why = "the message is not a JSON object";
        return false;
    }
    bool enter(bool object)
    {
        if (depth_ == 0 && !object) {
            return refuse_root();
        }
        found.fd_count += in_fds() ? 1 : 0;
        if (depth_ == 1 && at(1, "fds")) {
            fds_are_array = !object;
        }
        ++depth_;
        if (depth_ == 3) {
            third_is_object_ = object;
        }
        if (depth_ <= path_.size()) {
            path_[depth_ - 1].clear();
        }
        return true;
    }
    bool leave()
    {
        --depth_;
        return true;
    }

    std::size_t depth_ = 0;
    std::array<std::string, 3> path_; ///< the keys on the path to the current value
    std::string annotation_;
    bool third_is_object_ = false; ///< whether the value last entered at depth 3 is an object
};

json parse(std::string_view text)
{
    return json::parse(text, nullptr, false);
}

} // namespace

std::string Subject::id() const
{
    if (calls) {
        return "clone2-shim" + (pid_here != 0 ? " " + std::to_string(pid_here) : "");
    }
    constexpr std::size_t longest = 255; // it is in each line; runtimes name a directory by it
    return container.empty() ? "container" : shortened(container, longest);
}

std::string Subject::name() const
{
    constexpr std::size_t shown = 64;
    const std::string who =
        calls ? id() : "container \"" + printable(container.substr(0, shown), "\\\"") + "\"";
    return who + " (uid " + std::to_string(uid) + ", pid " + std::to_string(pid) + " there)";
}

std::variant<ProcessState, ProtocolError> parse_process_state(std::string_view text)
{
    StateReader reader;
    if (!json::sax_parse(text, &reader)) {
        return ProtocolError{reader.why.empty() ? "the message is not JSON" : reader.why};
    }
    if (!reader.fds_are_array) {
        return ProtocolError{"the message has no \"fds\" array"};
    }
    if (reader.listeners == 0) {
        return ProtocolError{"the message has no \"seccompFd\" in \"fds\""};
    }
    if (reader.listeners != 1) {
        return ProtocolError{"the message has more than one \"seccompFd\" in \"fds\""};
    }
    ProcessState state = std::move(reader.found);
    state.subject.calls = calls_of_shim(state.subject.metadata);
    return state;
}

std::size_t bytes_kept(const Subject &subject)
{
    // About the size of a map node and two strings without their contents.
    constexpr std::size_t of_one = 160;
    std::size_t bytes = sizeof subject + subject.container.size() + subject.metadata.size();
    for (const auto &[key, value] : subject.annotations) {
        bytes += of_one + key.size() + value.size();
    }
    return bytes;
}

std::string encode_subject(const Subject &subject)
{
    json document{{"uid", subject.uid},           {"pid_here", subject.pid_here},
                  {"pid", subject.pid},           {"container", subject.container},
                  {"metadata", subject.metadata}, {"annotations", subject.annotations}};
    return document.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::optional<Subject> decode_subject(std::string_view text)
{
    const json document = parse(text);
    if (!document.is_object() || !document.contains("uid") ||
        !document["uid"].is_number_unsigned()) {
        return std::nullopt;
    }
    Subject subject;
    subject.uid = document["uid"].get<uid_t>();
    subject.pid_here = static_cast<pid_t>(integer_or_zero(document, "pid_here"));
    subject.pid = integer_or_zero(document, "pid");
    subject.container = string_or_empty(document, "container");
    subject.metadata = string_or_empty(document, "metadata");
    subject.annotations = string_map(member(document, "annotations"));
    subject.calls = calls_of_shim(subject.metadata);
    return subject;
}

} // namespace clone2::agent
