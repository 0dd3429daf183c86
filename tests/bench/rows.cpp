// SPDX-License-Identifier: MIT
#include "rows.hpp"

#include <initializer_list>

namespace bench
{
namespace
{

constexpr std::initializer_list<unsigned> every = {1, 2, 4, 8}, few = {1, 4}, one = {1};

class Rows
{
public:
    Rows(const Options &options, Provider provider, std::string label)
        : options_(options), provider_(provider), label_(std::move(label))
    {
    }

    Rows &add(Kind kind, std::initializer_list<unsigned> callers, std::size_t mib = 0)
    {
        for (const unsigned n : callers) {
            const Workload w{kind, n, mib, options_.seconds, options_.number, provider_, label_};
            if (options_.wants(row_name(w))) {
                all_.push_back(w);
            }
        }
        return *this;
    }
    std::vector<Workload> all() const { return all_; }

private:
    const Options &options_;
    Provider provider_;
    std::string label_;
    std::vector<Workload> all_;
};

} // namespace

std::vector<Workload> rows(const Options &o, const std::string &role)
{
    if (role == "calls-logged" || role == "calls-judged") {
        return Rows(o, Provider::supervised, role == "calls-logged" ? ", logged" : ", judged")
            .add(Kind::process, few)
            .add(Kind::thread, one)
            .all();
    }
    if (role == "calls-least") {
        return Rows(o, Provider::least, ", least")
            .add(Kind::process, every)
            .add(Kind::thread, every)
            .all();
    }
    if (role == "calls-preload") {
        // A function can't return on a thread's empty stack: processes only.
        return Rows(o, Provider::preloaded, ", preload").add(Kind::process, few).all();
    }
    if (role == "calls-trap") {
        return Rows(o, Provider::supervised, ", trap")
            .add(Kind::process, few)
            .add(Kind::thread, few)
            .all();
    }
    return Rows(o, Provider::supervised, "")
        .add(Kind::process, every)
        .add(Kind::process, o.quick ? one : every, 256)
        .add(Kind::thread, every)
        .add(Kind::first, one)
        .all();
}

} // namespace bench
