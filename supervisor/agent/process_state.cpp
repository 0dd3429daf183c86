// SPDX-License-Identifier: MIT
#include "agent/process_state.hpp"

#include "base/printable.hpp"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

namespace clone2::agent
{

namespace
{

using nlohmann::json;

/// What clone2-shim writes into "metadata", before its number.
constexpr std::string_view shim_metadata = "clone2-shim nr=";

/// A member that may be absent, or null, as an empty value is for some encoders.
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

std::optional<int> number_of_shim(std::string_view metadata)
{
    if (!metadata.starts_with(shim_metadata)) {
        return std::nullopt;
    }
    metadata.remove_prefix(shim_metadata.size());
    int nr = -1;
    const auto [end, error] =
        std::from_chars(metadata.data(), metadata.data() + metadata.size(), nr);
    if (error != std::errc() || end != metadata.data() + metadata.size() || nr < 0) {
        return std::nullopt;
    }
    return nr;
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

json parse(std::string_view text)
{
    return json::parse(text, nullptr, false);
}

} // namespace

std::string Subject::name() const
{
    constexpr std::size_t shown = 64;
    const std::string who = nr ? "clone2-shim" : "container";
    const std::string id = nr ? "" : " \"" + printable(container.substr(0, shown), "\\\"") + "\"";
    return who + id + " (uid " + std::to_string(uid) + ", pid " + std::to_string(pid) + " there)";
}

std::variant<ProcessState, ProtocolError> parse_process_state(std::string_view text)
{
    const json document = parse(text);
    if (document.is_discarded()) {
        return ProtocolError{"the message is not JSON"};
    }
    if (!document.is_object()) {
        return ProtocolError{"the message is not a JSON object"};
    }
    const json *const fds = member(document, "fds");
    if (fds == nullptr || !fds->is_array()) {
        return ProtocolError{"the message has no array \"fds\""};
    }
    ProcessState state;
    state.fd_count = fds->size();
    const auto listener = std::find(fds->begin(), fds->end(), "seccompFd");
    if (listener == fds->end()) {
        return ProtocolError{"the message has no \"seccompFd\" in \"fds\""};
    }
    if (std::count(fds->begin(), fds->end(), "seccompFd") != 1) {
        return ProtocolError{"the message has more than one \"seccompFd\" in \"fds\""};
    }
    state.listener_index = static_cast<std::size_t>(listener - fds->begin());
    Subject &subject = state.subject;
    subject.pid = integer_or_zero(document, "pid");
    subject.metadata = string_or_empty(document, "metadata");
    if (const json *const inner = member(document, "state")) {
        if (inner->is_object()) {
            subject.container = string_or_empty(*inner, "id");
            subject.annotations = string_map(member(*inner, "annotations"));
        }
    }
    subject.nr = number_of_shim(subject.metadata);
    state.from_shim = subject.nr.has_value();
    return state;
}

std::string encode_subject(const Subject &subject)
{
    json document{{"uid", subject.uid},
                  {"pid", subject.pid},
                  {"container", subject.container},
                  {"metadata", subject.metadata},
                  {"annotations", subject.annotations}};
    if (subject.nr) {
        document["nr"] = *subject.nr;
    }
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
    subject.pid = integer_or_zero(document, "pid");
    subject.container = string_or_empty(document, "container");
    subject.metadata = string_or_empty(document, "metadata");
    subject.annotations = string_map(member(document, "annotations"));
    if (const json *const nr = member(document, "nr")) {
        subject.nr = nr->is_number_integer() ? std::optional(nr->get<int>()) : std::nullopt;
    }
    return subject;
}

} // namespace clone2::agent
