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

// The value of option `name` or "-LETTER" at *at, written as "NAME VALUE" (then *at moves to the
// value), "NAME=VALUE" or "-LETTERVALUE". NULL: another option, or no value (then *at is at the
// end).
static const char *value_of(const char *name, char letter, char ***at)
{
    const char *have = **at;
    if (letter && have[1] == letter) {
        return have[2] ? have + 2 : *++*at;
    }
    for (; *name && *have == *name; name++) {
        have++;
    }
    if (*name || (*have && *have != '=')) {
        return NULL;
    }
    if (*have) {
        return have + 1;
    }
    return *++*at;
}

// --check runs nothing. "--check FEATURE" is accepted, because people type it.
static enum parsed parse_check(struct shim_options *options, const char **wrong, const char **word)
{
    char **rest = options->program;
    if (*rest && !options->feature) {
        options->feature = *rest++;
    }
    if (*rest) {
        *word = *rest;
        *wrong = "--check runs no program";
        return PARSED_WRONG;
    }
    return PARSED_CHECK;
}

enum parsed parse_options(char **arguments, char **environment, struct shim_options *options,
                          const char **wrong, const char **word)
{
    options->socket = variable(environment, "CLONE2_SOCKET");
    if (!options->socket || !*options->socket) {
        options->socket = "/run/clone2-supervise/agent.sock";
    }
    options->nr = default_nr;
    (void)parse_calls(default_nr, &options->calls);
    options->optional = 0;
    options->require = 0;
    options->check = 0;
    options->feature = NULL;
    for (; *arguments && (*arguments)[0] == '-' && (*arguments)[1]; arguments++) {
        const char *value;
        *word = *arguments;
        if (equal(*arguments, "--")) {
            arguments++;
            break;
        }
        if (equal(*arguments, "--help") || equal(*arguments, "-h")) {
            return PARSED_HELP;
        }
        if (equal(*arguments, "--version") || equal(*arguments, "-V")) {
            return PARSED_VERSION;
        }
        if (equal(*arguments, "--optional")) {
            options->optional = 1;
            options->require = 0;
        } else if (equal(*arguments, "--require")) {
            options->require = 1;
            options->optional = 0;
        } else if (equal(*arguments, "--check")) {
            options->check = 1;
        } else if ((value = value_of("--check", 0, &arguments))) {
            options->check = 1;
            options->feature = value;
        } else if ((value = value_of("--socket", 0, &arguments))) {
            options->socket = value;
        } else if (*arguments && (value = value_of("--nr", 'n', &arguments))) {
            // All that are given count.
            static struct text numbers;
            if (numbers.size) {
                add(&numbers, ",");
            }
            add(&numbers, value);
            options->nr = numbers.at;
            *wrong = parse_calls(numbers.at, &options->calls);
            if (*wrong) {
                return PARSED_WRONG;
            }
        } else {
            *wrong = *arguments ? "unknown option" : "the option needs a value";
            return PARSED_WRONG;
        }
    }
    options->program = arguments;
    if (options->check) {
        return parse_check(options, wrong, word);
    }
    if (*arguments) {
        return PARSED_RUN;
    }
    *wrong = "no PROGRAM given (see --help)";
    *word = NULL;
    return PARSED_WRONG;
}
