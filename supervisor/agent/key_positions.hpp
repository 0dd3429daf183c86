// SPDX-License-Identifier: MIT
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace clone2::agent
{

/// A JSON document that remembers where each key is in its text.
class PositionedJson
{
public:
    using Json = nlohmann::ordered_json;

    /// Throws Error if the text is not JSON or an object has a duplicate key.
    explicit PositionedJson(std::string_view text);
    PositionedJson(const PositionedJson &) = delete;
    PositionedJson &operator=(const PositionedJson &) = delete;
    ~PositionedJson() = default;

    struct Error {
        std::string why; ///< "LINE:COLUMN: what is wrong"
    };

    [[nodiscard]] const Json &root() const { return root_; }
    /// An error at the key of this value (a member of some object). For any other value, at the
    /// beginning of the document.
    [[nodiscard]] Error error_at(const Json &value, const std::string &why) const;

private:
    void assign(const Json &value, std::size_t &next);
    [[nodiscard]] std::string place(std::size_t offset) const;

    std::string_view text_;
    std::vector<std::size_t> keys_; ///< offsets just after the keys, in the text's order
    std::map<const Json *, std::size_t> offsets_;
    Json root_;
};

} // namespace clone2::agent
