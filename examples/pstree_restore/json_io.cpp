// SPDX-License-Identifier: MIT
#include "json_io.hpp"

#include <nlohmann/json.hpp>

#include <initializer_list>
#include <stdexcept>
#include <string_view>

namespace pstree
{

namespace
{

using nlohmann::json;

constexpr const char *format_name = "pstree_restore 1";

struct Invalid : std::runtime_error {
    using std::runtime_error::runtime_error;
};

[[noreturn]] void fail(const std::string &where, const std::string &message)
{
    throw Invalid(where + ": " + message);
}

const json &field(const json &object, const char *key, const std::string &where)
{
    const auto it = object.find(key);
    if (it == object.end())
        fail(where, std::string("\"") + key + "\" is missing");
    return *it;
}

void check_object(const json &value, const std::string &where,
                  std::initializer_list<std::string_view> known)
{
    if (!value.is_object())
        fail(where, std::string("should be an object, is of type ") + value.type_name());
    for (const auto &item : value.items()) {
        bool found = false;
        for (const std::string_view key : known)
            found = found || key == item.key();
        if (!found)
            fail(where, "unknown field \"" + escape_name(item.key().substr(0, 40)) + "\"");
    }
}

int integer(const json &value, const std::string &where)
{
    // Signed and unsigned are two types here, and what fits neither was parsed as floating point.
    if (!value.is_number_integer())
        fail(where, std::string("should be a whole number, is ") +
                        (value.is_number() ? "a fraction or out of range" : value.type_name()));
    const bool in_range = value.is_number_unsigned()
                              ? value.get<std::uint64_t>() < static_cast<std::uint64_t>(pid_limit)
                              : value.get<std::int64_t>() >= 0;
    if (!in_range)
        fail(where, value.dump() + " is out of range");
    return value.get<int>();
}

const json &array(const json &value, const std::string &where, std::size_t limit)
{
    if (!value.is_array())
        fail(where, std::string("should be a list, is of type ") + value.type_name());
    if (value.size() > limit)
        fail(where, "has " + std::to_string(value.size()) + " entries, the limit is " +
                        std::to_string(limit));
    return value;
}

Pids pid_list(const json &object, const char *key, const std::string &where)
{
    const std::string place = where + ", \"" + key + "\"";
    const json &list = array(field(object, key, where), place, max_depth);
    if (list.empty())
        fail(place, "is empty");
    Pids pids;
    for (const json &entry : list)
        pids.push_back(integer(entry, place));
    return pids;
}

std::string name(const json &object, const std::string &where)
{
    const json &value = field(object, "name", where);
    if (!value.is_string())
        fail(where, std::string("\"name\" should be a string, is of type ") + value.type_name());
    const auto raw = unescape_name(value.get_ref<const std::string &>());
    if (!raw)
        fail(where, "\"name\": a backslash must be followed by a backslash or by xNN");
    return *raw;
}

Process process(const json &value, std::size_t number)
{
    std::string where = "process entry " + std::to_string(number);
    check_object(value, where, {"pids", "ppid", "pgid", "sid", "namespace", "name", "threads"});
    Process process;
    process.pids = pid_list(value, "pids", where);
    where += " " + to_text(process.pids);
    process.ppid = integer(field(value, "ppid", where), where + ", \"ppid\"");
    process.pgid = pid_list(value, "pgid", where);
    process.sid = pid_list(value, "sid", where);
    process.name = name(value, where);
    if (value.contains("namespace"))
        process.ns = integer(value["namespace"], where + ", \"namespace\"");
    if (!value.contains("threads"))
        return process;
    for (const json &entry : array(value["threads"], where + ", \"threads\"", max_tasks)) {
        const std::string place = where + ", thread";
        check_object(entry, place, {"tids", "name"});
        process.threads.push_back(Thread{pid_list(entry, "tids", place), name(entry, place)});
    }
    return process;
}

Tree tree(const json &value)
{
    check_object(value, "top level", {"format", "pid_namespaces", "processes", "notes"});
    if (field(value, "format", "top level") != format_name)
        fail("top level", std::string("\"format\" should be \"") + format_name + "\"");
    Tree tree;
    if (value.contains("pid_namespaces")) {
        for (const json &entry : array(value["pid_namespaces"], "\"pid_namespaces\"", max_tasks)) {
            const std::string where = "pid namespace " + std::to_string(tree.namespaces.size());
            check_object(entry, where, {"number", "parent"});
            const int number = integer(field(entry, "number", where), where);
            if (static_cast<std::size_t>(number) != tree.namespaces.size())
                fail(where, "pid namespaces must be numbered 1, 2, 3 ... in this order");
            tree.namespaces.push_back(Namespace{integer(field(entry, "parent", where), where)});
        }
    }
    const json &list = array(field(value, "processes", "top level"), "\"processes\"", max_tasks);
    for (const json &entry : list)
        tree.processes.push_back(process(entry, tree.processes.size()));
    return tree;
}

} // namespace

std::variant<Tree, std::string> parse_tree(const std::string &text)
{
    try {
        // No callback for limits: with one, this parser's time is quadratic. It isn't recursive.
        const Tree parsed = tree(json::parse(text));
        if (const auto fault = validate(parsed))
            return *fault;
        return parsed;
    } catch (const Invalid &invalid) {
        return invalid.what();
    } catch (const json::exception &error) {
        const std::string message = error.what();
        const std::size_t prefix = message.find("] "); // "[json.exception.parse_error.101] "
        return "not JSON: " +
               escape_name(prefix == std::string::npos ? message : message.substr(prefix + 2));
    }
}

std::string dump_tree(const Tree &tree, const std::vector<std::string> &notes)
{
    // Ordered, for people; one process to a line keeps big trees readable and diffable.
    using ordered = nlohmann::ordered_json;
    const auto line = [](const ordered &value) {
        return value.dump(-1, ' ', true, ordered::error_handler_t::replace);
    };
    std::string text = "{\n  \"format\": " + line(ordered(format_name)) + ",\n";
    if (!notes.empty())
        text += "  \"notes\": " + line(ordered(notes)) + ",\n";
    ordered namespaces = ordered::array();
    for (std::size_t i = 1; i < tree.namespaces.size(); i++)
        namespaces.push_back({{"number", i}, {"parent", tree.namespaces[i].parent}});
    text += "  \"pid_namespaces\": " + line(namespaces) + ",\n  \"processes\": [";
    const char *separator = "\n";
    for (const Process &process : tree.processes) {
        ordered threads = ordered::array();
        for (const Thread &thread : process.threads)
            threads.push_back({{"tids", thread.tids}, {"name", escape_name(thread.name)}});
        const ordered entry = {{"pids", process.pids},    {"ppid", process.ppid},
                               {"pgid", process.pgid},    {"sid", process.sid},
                               {"namespace", process.ns}, {"name", escape_name(process.name)},
                               {"threads", threads}};
        text += separator + ("    " + line(entry));
        separator = ",\n";
    }
    return text + "\n  ]\n}\n";
}

} // namespace pstree
