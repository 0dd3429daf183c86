// SPDX-License-Identifier: MIT
#include "json_io.hpp"

#include <nlohmann/json.hpp>

#include <set>

namespace pstree
{

namespace
{

using nlohmann::json;

constexpr const char *format_name = "pstree_restore 1";

/// The library's at(), get() and parse() also throw what is wrong.
void check_fields(const json &object, const std::set<std::string> &known)
{
    for (const auto &item : object.items()) {
        if (!known.contains(item.key())) {
            throw Failure("unknown field \"" + item.key().substr(0, 40) + "\"");
        }
    }
}

/// get<int>() would accept fractions and overflow on big numbers.
int number(const json &value)
{
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() >= pid_limit) {
        throw Failure(value.dump().substr(0, 40) + " is not a number from 0 to " +
                      std::to_string(pid_limit - 1));
    }
    return value.get<int>();
}

std::vector<json> list(const json &value)
{
    return value.get<std::vector<json>>();
}

Pids numbers(const json &value)
{
    Pids pids;
    for (const json &entry : list(value)) {
        pids.push_back(number(entry));
    }
    return pids;
}

Process process(const json &value)
{
    check_fields(value, {"pids", "ppid", "pgid", "sid", "namespace", "name", "threads"});
    Process process;
    process.pids = numbers(value.at("pids"));
    process.ppid = number(value.at("ppid"));
    process.pgid = numbers(value.at("pgid"));
    process.sid = numbers(value.at("sid"));
    process.ns = static_cast<std::size_t>(number(value.value("namespace", json(0U))));
    process.name = unescape_name(value.at("name").get<std::string>());
    for (const json &entry : list(value.value("threads", json::array()))) {
        check_fields(entry, {"tids", "name"});
        process.threads.push_back(
            Thread{numbers(entry.at("tids")), unescape_name(entry.at("name").get<std::string>())});
    }
    return process;
}

Tree tree(const json &file)
{
    Tree tree;
    if (file.at("format") != format_name) {
        throw Failure(std::string("\"format\" should be \"") + format_name + "\"");
    }
    check_fields(file, {"format", "pid_namespaces", "processes", "notes"});
    for (const json &entry : list(file.value("pid_namespaces", json::array()))) {
        check_fields(entry, {"number", "parent"});
        if (entry.at("number") != tree.namespaces.size()) {
            throw Failure("pid namespaces must be numbered 1, 2, 3 ... in this order");
        }
        tree.namespaces.push_back(static_cast<std::size_t>(number(entry.at("parent"))));
    }
    for (const json &entry : list(file.at("processes"))) {
        try {
            tree.processes.push_back(process(entry));
        } catch (const std::exception &error) {
            throw Failure("process entry " + std::to_string(tree.processes.size()) + ": " +
                          error.what());
        }
    }
    return tree;
}

} // namespace

Tree parse_tree(std::istream &input)
{
    Tree parsed = tree(json::parse(input));
    validate(parsed);
    canonicalise(parsed);
    return parsed;
}

std::string dump_tree(const Tree &tree, const std::vector<std::string> &notes)
{
    // Ordered, for human readers; one process per line keeps big trees readable and diffable.
    using ordered = nlohmann::ordered_json;
    std::string text = "{\n  \"format\": " + ordered(format_name).dump() + ",\n";
    if (!notes.empty()) {
        text += "  \"notes\": " + ordered(notes).dump() + ",\n";
    }
    ordered namespaces = ordered::array();
    for (std::size_t i = 1; i < tree.namespaces.size(); i++) {
        namespaces.push_back({{"number", i}, {"parent", tree.namespaces[i]}});
    }
    text += "  \"pid_namespaces\": " + namespaces.dump() + ",\n  \"processes\": [";
    const char *separator = "\n    ";
    for (const Process &process : tree.processes) {
        ordered threads = ordered::array();
        for (const Thread &thread : process.threads) {
            threads.push_back({{"tids", thread.tids}, {"name", escape_name(thread.name)}});
        }
        const ordered entry = {{"pids", process.pids},    {"ppid", process.ppid},
                               {"pgid", process.pgid},    {"sid", process.sid},
                               {"namespace", process.ns}, {"name", escape_name(process.name)},
                               {"threads", threads}};
        text += separator + entry.dump();
        separator = ",\n    ";
    }
    return text + "\n  ]\n}\n";
}

} // namespace pstree
