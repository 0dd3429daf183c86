// SPDX-License-Identifier: MIT
#include "agent/policy_file.hpp"

#include "agent/key_positions.hpp"
#include "base/kernel_limits.hpp"
#include "base/printable.hpp"
#include "base/users.hpp"
#include "plan/flags.hpp"

#include <limits>

namespace clone2::agent
{

namespace
{

using Json = PositionedJson::Json;
using Error = PositionedJson::Error;

/// Far more than is sensible; each call polls the descriptors of all children.
constexpr std::uint32_t most_children = 1024;

class Reader
{
public:
    explicit Reader(const PositionedJson &document) : document_(document) {}

    std::vector<Rule> rules() const
    {
        const Json &root = document_.root();
        if (!root.is_object() || !root.contains("rules")) {
            throw document_.error_at(root, "not an object with \"rules\"");
        }
        std::vector<Rule> rules;
        for (const auto &[key, value] : root.items()) {
            if (key != "rules") {
                throw unknown(key, value, "rules");
            }
            for (const Json &rule : array(value, key)) {
                rules.push_back(read_rule(rule, value));
            }
        }
        return rules;
    }

private:
    Rule read_rule(const Json &object, const Json &rules) const
    {
        if (!object.is_object()) {
            throw document_.error_at(rules, "a rule is not an object");
        }
        Rule rule;
        for (const auto &[key, value] : object.items()) {
            if (key == "match") {
                read_match(value, rule);
            } else if (key == "deny") {
                rule.deny = string(value, key);
            } else if (key == "pids") {
                rule.pids = ranges(value);
            } else if (key == "flags") {
                rule.flags = flags(value);
            } else if (key == "max_children") {
                rule.max_children =
                    static_cast<std::uint32_t>(integer(value, value, key, 0, most_children));
            } else {
                throw unknown(key, value, "match, deny, pids, flags, max_children");
            }
        }
        if (rule.deny && (rule.pids || rule.flags || rule.max_children)) {
            throw document_.error_at(object.at("deny"),
                                     "\"deny\" refuses all calls: pids, flags and max_children "
                                     "have no effect beside it");
        }
        return rule;
    }

    void read_match(const Json &object, Rule &rule) const
    {
        if (!object.is_object()) {
            throw document_.error_at(object, "\"match\" is not an object");
        }
        for (const auto &[key, value] : object.items()) {
            if (key == "uid") {
                rule.uids = uids(value);
            } else if (key == "container") {
                rule.container = string(value, key);
            } else if (key == "metadata") {
                rule.metadata = string(value, key);
            } else if (key == "annotations") {
                if (!value.is_object()) {
                    throw document_.error_at(value, "\"annotations\" is not an object");
                }
                for (const auto &[name, text] : value.items()) {
                    rule.annotations.emplace(name, string(text, name));
                }
            } else {
                throw unknown(key, value, "uid, container, metadata, annotations");
            }
        }
    }

    std::set<uid_t> uids(const Json &value) const
    {
        std::set<uid_t> found;
        const auto one = [&](const Json &uid) {
            if (uid.is_string()) {
                const std::optional<uid_t> named = uid_of_user(uid.get<std::string>());
                if (!named) {
                    throw document_.error_at(value, "\"uid\": there is no user " +
                                                        printable(uid.dump(), ""));
                }
                found.insert(*named);
                return;
            }
            // The highest value means "none" in every system call.
            found.insert(static_cast<uid_t>(
                integer(uid, value, "uid", 0, std::numeric_limits<uid_t>::max() - 1)));
        };
        if (!value.is_array()) {
            one(value);
            return found;
        }
        for (const Json &uid : value) {
            one(uid);
        }
        return found;
    }

    std::vector<PidRange> ranges(const Json &value) const
    {
        std::vector<PidRange> found;
        for (const Json &element : array(value, "pids")) {
            PidRange range;
            if (element.is_array()) {
                if (element.size() != 2) {
                    throw document_.error_at(value, "\"pids\": a range is [FIRST, LAST]");
                }
                range.first = pid(element[0], value);
                range.last = pid(element[1], value);
                if (range.first > range.last) {
                    throw document_.error_at(value, "\"pids\": a range ends before it begins");
                }
            } else {
                range.first = range.last = pid(element, value);
            }
            found.push_back(range);
        }
        return found;
    }

    pid_t pid(const Json &element, const Json &owner) const
    {
        return static_cast<pid_t>(integer(element, owner, "pids", 1, highest_pid));
    }

    std::uint64_t flags(const Json &value) const
    {
        std::uint64_t bits = 0;
        for (const Json &element : array(value, "flags")) {
            const std::string name = element.is_string() ? element.get<std::string>() : "";
            const auto bit = flag_by_name(name);
            if (!bit) {
                throw document_.error_at(value, "\"flags\": " + printable(element.dump(), "") +
                                                    " is not a clone flag (\"CLONE_VM\" ...)");
            }
            bits |= *bit;
        }
        return bits;
    }

    const Json &array(const Json &value, const std::string &key) const
    {
        if (!value.is_array()) {
            throw document_.error_at(value, "\"" + printable(key) + "\" is not an array");
        }
        return value;
    }

    std::string string(const Json &value, const std::string &key) const
    {
        if (!value.is_string()) {
            throw document_.error_at(value, "\"" + printable(key) + "\" is not a string");
        }
        return value.get<std::string>();
    }

    std::int64_t integer(const Json &value, const Json &owner, const std::string &key,
                         std::int64_t low, std::int64_t high) const
    {
        // Rejects an unsigned number beyond the signed range before converting it.
        const bool whole = value.is_number_unsigned()
                               ? value.get<std::uint64_t>() <= static_cast<std::uint64_t>(high)
                               : value.is_number_integer();
        if (!whole || value.get<std::int64_t>() < low || value.get<std::int64_t>() > high) {
            throw document_.error_at(owner, "\"" + printable(key) + "\": not a whole number from " +
                                                std::to_string(low) + " to " +
                                                std::to_string(high));
        }
        return value.get<std::int64_t>();
    }

    Error unknown(const std::string &key, const Json &value, const char *known) const
    {
        return document_.error_at(value, "unknown key \"" + printable(key) +
                                             "\" (known keys: " + known + ")");
    }

    const PositionedJson &document_;
};

} // namespace

std::variant<Policy, PolicyError> parse_policy(std::string_view text)
{
    try {
        const PositionedJson document(text);
        return Policy(Reader(document).rules());
    } catch (const Error &error) {
        return PolicyError{error.why};
    }
}

} // namespace clone2::agent
