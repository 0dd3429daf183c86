// SPDX-License-Identifier: MIT
#include "options.h"

#include "text.h"

// As clone2-supervise: the standard call of each architecture.
static const char default_nr[] = "387,i386:387";

const char help_text[] =
    "Usage: clone2-shim [-n N[,N...]] [--socket PATH] [--optional|--require] [--] PROGRAM "
    "[ARG...]\n"
    "       clone2-shim --check[=FEATURE] [-n N[,N...]] [--socket PATH]\n\n"
    "Run PROGRAM with the clone2 system call inside a container or sandbox. An agent outside\n"
    "(clone2-supervise --listen) serves it; the agent's socket must be mounted inside.\n\n"
    "  --socket PATH  the agent's socket (default: $CLONE2_SOCKET, or\n"
    "                 /run/clone2-supervise/agent.sock)\n"
    "  -n, --nr N[,N...]\n"
    "                 the system call numbers to give to clone2, each as [ARCH:]N[=ABI]; ARCH is\n"
    "                 x86_64 (default) or i386, ABI clone2 (default), eclone or clone_with_pids\n"
    "                 (default: 387 of each ARCH). A number that another system call has today is\n"
    "                 refused, or shared with it: i386:337, 299, 300=eclone,\n"
    "                 i386:338=eclone\n"
    "  --optional     if clone2 is not available, say so and run PROGRAM without it\n"
    "  --require      don't run PROGRAM, either, if the sandbox's own filter refuses the number\n"
    "                 (default: warn)\n"
    "  --check[=FEATURE]\n"
    "                 print what this place allows, run nothing. Exit status: 0 if clone2-shim "
    "can\n"
    "                 run programs here or, with FEATURE, if that feature is there, else 1\n"
    "  -h, --help     print this\n"
    "  -V, --version  print the version\n\n"
    "Exit status: 125: clone2 is not available; 126: PROGRAM can't be executed; 127: it was not\n"
    "found; else PROGRAM's own.\n";

const char *variable(char **environment, const char *name)
{
    for (; *environment; environment++) {
        const char *have = *environment;
        const char *want = name;
        while (*want && *have == *want) {
            have++;
            want++;
        }
        if (!*want && *have == '=') {
            return have + 1;
        }
    }
    return NULL;
}

enum option { SOCKET, NR, OPTIONAL, REQUIRE, CHECK, HELP, VERSION, UNKNOWN };
static const struct known_option {
    const char *name;
    char letter;
    enum { NO_VALUE, VALUE, MAYBE_VALUE } takes; // MAYBE: as NAME=VALUE only
} known_options[UNKNOWN] = {
    {"--socket", 0, VALUE},       {"--nr", 'n', VALUE},        {"--optional", 0, NO_VALUE},
    {"--require", 0, NO_VALUE},   {"--check", 0, MAYBE_VALUE}, {"--help", 'h', NO_VALUE},
    {"--version", 'V', NO_VALUE},
};

// Which option this word is. `*attached`: its value in the same word, or NULL.
static enum option find_option(const char *word, const char **attached)
{
    enum option option = SOCKET;
    for (; option < UNKNOWN; option++) {
        const struct known_option *const known = &known_options[option];
        const size_t length = length_of(known->name);
        if (starts_with(word, known->name) && (!word[length] || word[length] == '=')) {
            *attached = word[length] ? word + length + 1 : NULL;
            break;
        }
        if (word[1] == known->letter && (known->takes == VALUE || !word[2])) {
            *attached = word[2] ? word + 2 : NULL;
            break;
        }
    }
    return option;
}

enum { LONGEST_TYPED = 16 };

// How many letters must be added, removed or replaced to make one of the other (Levenshtein).
static size_t distance(const char *typed, const char *name)
{
    size_t row[LONGEST_TYPED + 1];
    const size_t length = length_of(name);
    for (size_t j = 0; j <= length; j++) {
        row[j] = j;
    }
    for (size_t i = 0; typed[i]; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < length; j++) {
            size_t fewest = diagonal + (typed[i] != name[j]);
            diagonal = row[j + 1];
            fewest = fewest <= row[j] ? fewest : row[j] + 1;
            row[j + 1] = fewest <= diagonal ? fewest : diagonal + 1;
        }
    }
    return row[length];
}

// What was probably meant; NULL: nothing is near.
static const char *nearest(const char *typed)
{
    const size_t length = length_of(typed);
    const char *best = NULL;
    size_t best_distance = length / 4 + 2;
    for (enum option option = SOCKET; length <= LONGEST_TYPED && option < UNKNOWN; option++) {
        const char *const name = known_options[option].name;
        const size_t its_distance =
            length >= 4 && starts_with(name, typed) ? 0 : distance(typed, name);
        if (its_distance < best_distance) {
            best = name;
            best_distance = its_distance;
        }
    }
    return best;
}

static enum parsed unknown(char *word, struct text *wrong)
{
    for (char *end = word; *end; end++) {
        if (*end == '=') {
            *end = 0;
        }
    }
    const char *const meant = nearest(word);
    add(wrong, "unknown option '");
    add(wrong, word);
    add(wrong, "'");
    if (meant) {
        add(wrong, "; did you mean ");
        add(wrong, meant);
        add(wrong, "?");
    }
    add(wrong, " (see --help)");
    return PARSED_WRONG;
}

// --check runs nothing. "--check FEATURE" is accepted, because people type it.
static enum parsed parse_check(struct shim_options *options, struct text *wrong)
{
    char **rest = options->program;
    if (*rest && !options->feature) {
        options->feature = *rest++;
    }
    if (*rest) {
        add(wrong, "--check runs no program");
        return PARSED_WRONG;
    }
    return PARSED_CHECK;
}

static enum parsed parse_program(struct shim_options *options, struct text *wrong)
{
    if (options->optional && options->require) {
        add(wrong, "--optional does not go with --require");
        return PARSED_WRONG;
    }
    if (!*options->program) {
        add(wrong, "no PROGRAM given (see --help)");
        return PARSED_WRONG;
    }
    return PARSED_RUN;
}

// All numbers that are given count.
static int take_numbers(const char *value, struct shim_options *options, struct text *wrong)
{
    static struct text numbers;
    if (numbers.size) {
        add(&numbers, ",");
    }
    add(&numbers, value);
    options->nr = numbers.at;
    return parse_calls(numbers.at, &options->calls, wrong);
}

enum parsed parse_options(char **arguments, char **environment, struct shim_options *options,
                          struct text *wrong)
{
    *options =
        (struct shim_options){.socket = variable(environment, "CLONE2_SOCKET"), .nr = default_nr};
    if (!options->socket || !*options->socket) {
        options->socket = "/run/clone2-supervise/agent.sock";
    }
    (void)parse_calls(default_nr, &options->calls, wrong);
    while (*arguments && (*arguments)[0] == '-' && (*arguments)[1]) {
        char *const word = *arguments++;
        if (equal(word, "--")) {
            break;
        }
        const char *value = NULL;
        const enum option option = find_option(word, &value);
        if (option == UNKNOWN) {
            return unknown(word, wrong);
        }
        const struct known_option *const known = &known_options[option];
        if (known->takes == VALUE && !value && *arguments) {
            value = *arguments++;
        }
        if (known->takes == (value ? NO_VALUE : VALUE)) {
            add(wrong, "option '");
            add(wrong, known->name);
            add(wrong, value ? "' takes no value" : "' needs a value (see --help)");
            return PARSED_WRONG;
        }
        switch (option) {
        case SOCKET:
            options->socket = value;
            break;
        case NR:
            if (!take_numbers(value, options, wrong)) {
                return PARSED_WRONG;
            }
            break;
        case OPTIONAL:
            options->optional = 1;
            break;
        case REQUIRE:
            options->require = 1;
            break;
        case CHECK:
            options->check = 1;
            options->feature = value ? value : options->feature;
            break;
        case HELP:
            return PARSED_HELP;
        case VERSION:
            return PARSED_VERSION;
        case UNKNOWN:
            break;
        }
    }
    options->program = arguments;
    return options->check ? parse_check(options, wrong) : parse_program(options, wrong);
}
