// SPDX-License-Identifier: MIT
#include "calls.h"

enum { HIGHEST_NR = 0x3fffffff }; // above it x32 begins

static const char *const abis[] = {"clone2", "eclone", "clone_with_pids"};

// The text up to `end` or its own end, in `word`, and what follows that character; NULL: the text
// has no such character, or the word is too long.
static const char *split(const char *text, char end, char word[static 32])
{
    for (size_t size = 0; size < 31; size++) {
        if (text[size] == end || !text[size]) {
            word[size] = 0;
            return text[size] ? text + size + 1 : NULL;
        }
        word[size] = text[size];
    }
    word[0] = 0; // no number, and no name
    return NULL;
}

static int is_abi(const char *name)
{
    for (size_t i = 0; i < sizeof abis / sizeof abis[0]; i++) {
        if (equal(name, abis[i])) {
            return 1;
        }
    }
    return 0;
}

static const struct shared_number *find_shared(unsigned audit_arch, long nr, const char *abi)
{
    for (size_t i = 0; i < sizeof shared_numbers / sizeof shared_numbers[0]; i++) {
        const struct shared_number *const one = &shared_numbers[i];
        if (one->audit_arch == audit_arch && one->number == nr && equal(one->abi, abi)) {
            return one;
        }
    }
    return NULL;
}

static const char not_a_number[] = "is not a system call number";

// What is wrong with this one; NULL: nothing.
static const char *parse_call(const char *text, struct shim_calls *calls)
{
    char word[32];
    const struct served_arch *arch = served_archs;
    const char *rest = split(text, ':', word);
    if (rest) {
        while (arch->name && !equal(arch->name, word)) {
            arch++;
        }
        if (!arch->name) {
            return "is for no architecture that is served";
        }
        text = rest;
    }
    rest = split(text, '=', word);
    if (rest && !is_abi(rest)) {
        return "names no form of the call: clone2, eclone, clone_with_pids";
    }
    const long nr = number_in(word, HIGHEST_NR);
    if (nr < 0) {
        return not_a_number;
    }
    const struct shared_number *const shared =
        find_shared(arch->audit_arch, nr, rest ? rest : abis[0]);
    if (!shared && arch->number_is_taken(nr)) {
        return "is the number of another system call";
    }
    for (unsigned i = 0; i < calls->count; i++) {
        if (calls->at[i].audit_arch == arch->audit_arch && calls->at[i].number == (int)nr) {
            return "is there twice";
        }
    }
    if (calls->count == MOST_CALLS) {
        return "is one number too many";
    }
    calls->at[calls->count++] = (struct shim_call){arch->audit_arch, (int)nr, shared};
    return NULL;
}

int parse_calls(const char *text, struct shim_calls *calls, struct text *wrong)
{
    calls->count = 0;
    do {
        char call[64];
        size_t size = 0;
        while (text[size] && text[size] != ',' && size + 1 < sizeof call) {
            call[size] = text[size];
            size++;
        }
        call[size] = 0;
        const char *why = parse_call(call, calls);
        text += size;
        if (!why && *text && *text != ',') {
            why = not_a_number;
        }
        if (why) {
            add(wrong, "--nr: '");
            add(wrong, call);
            add(wrong, "' ");
            add(wrong, why);
            return 0;
        }
    } while (*text++);
    return 1;
}
