// SPDX-License-Identifier: MIT
#include "cli/witness.hpp"

#include "cli/messages.hpp"

#include <algorithm>

namespace clone2::cli
{

namespace
{

/// No answers come while the command is stopped, so the list needs a limit.
constexpr std::size_t max_heard = 4096;

} // namespace

Witness::Witness() : signals_(open_signals(forwarded_signals())) {}

void Witness::begin()
{
    while (read_signal(signals_)) {
    }
}

void Witness::look()
{
    while (const std::optional<SentSignal> signal = read_signal(signals_)) {
        // The command itself recognises the kernel's signals to the group.
        if (signal->is_of_kernel() || is_wake_up(*signal)) {
            continue;
        }
        const bool noted = signal->is_standard() &&
                           std::any_of(heard_.begin(), heard_.end(), [&](const Heard &heard) {
                               return heard.question == 0 && heard.signal.number == signal->number;
                           });
        if (!noted && heard_.size() < max_heard) {
            heard_.push_back({*signal});
        }
    }
}

void Witness::ask(const Fd &command)
{
    if (waiting_ || heard_.empty()) {
        return;
    }
    ++question_;
    for (Heard &heard : heard_) {
        heard.question = question_;
    }
    wait_for_the_group(); // then the command has received it, too
    waiting_ = true;
    send_value(command, ProgramStatus{ProgramStatus::Kind::asked_for_signals, question_, false});
}

bool Witness::has(const SentSignal &signal)
{
    look();
    bool found = false;
    for (Heard &heard : heard_) {
        if (heard.signal.number != signal.number) {
            continue;
        }
        // Standard signals of one kind may have merged here or in the command; others never do.
        if (signal.is_standard()) {
            heard.for_group = found = true;
        } else if (!heard.for_group) {
            return heard.for_group = true;
        }
    }
    return found;
}

bool Witness::may_have_lost(const SentSignal &signal) const
{
    return std::any_of(heard_.begin(), heard_.end(), [&](const Heard &heard) {
        return !heard.for_group && take_each_other_back(heard.signal.number, signal.number);
    });
}

std::vector<SentSignal> Witness::answered(int question)
{
    waiting_ = false;
    std::vector<SentSignal> alone;
    for (const Heard &heard : heard_) {
        if (heard.question == question && !heard.for_group) {
            alone.push_back(heard.signal);
        }
    }
    std::erase_if(heard_, [question](const Heard &heard) { return heard.question == question; });
    return alone;
}

} // namespace clone2::cli
