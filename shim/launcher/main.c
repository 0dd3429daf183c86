// SPDX-License-Identifier: MIT
// clone2-shim: gives clone2 to a program inside a container or sandbox, where no supervisor can be
// started. It installs the filter, hands its listener to an agent outside and executes the program.
//
// Freestanding: without a libc, one small static file runs in any root file system and makes
// only the system calls written here.
#include "agent.h"
#include "base/arch/native.h"
#include "check.h"
#include "exec.h"
#include "filter.h"
#include "options.h"
#include "output.h"
#include "probe.h"
#include "text.h"

#include <errno.h>
#include <linux/audit.h>
#include <sys/syscall.h>

enum { NOT_EXECUTABLE = 126, NOT_FOUND = 127 };

void shim_main(long *stack) __attribute__((noreturn));

__attribute__((noreturn)) static void end(long status)
{
    for (;;) {
        raw_call(SYS_exit_group, status);
    }
}

static void say_error(const char *before, const char *what, const char *call, long err,
                      const char *advice)
{
    static struct text after;
    after.size = 0;
    add(&after, ": ");
    add(&after, call);
    add_error(&after, err);
    add(&after, advice);
    say(before, what, after.at);
}

static void say_unreached(const char *path, const struct unreached *why, long err)
{
    static const char *const advice[] = {
        [NO_AGENT] = " (start clone2-supervise --listen; --socket or $CLONE2_SOCKET set the path)",
        [WRONG_PATH] = " (--socket or $CLONE2_SOCKET set the path)",
        [NOT_ALLOWED] = " (if an agent listens there, it must allow this user: --allow-uid)",
        [UNKNOWN_WHETHER_ANY] = "",
    };
    say_error(why->means == UNKNOWN_WHETHER_ANY ? "can't connect to " : "no agent at ", path,
              why->call, err, advice[why->means]);
}

static void warn_of_others(const struct shim_calls *calls)
{
    for (unsigned i = 0; i < calls->count; i++) {
        const struct shared_number *const shared = calls->at[i].shared;
        if (shared && !shared->guard_count) {
            static struct text line;
            line.size = 0;
            add_number(&line, shared->number);
            add(&line, "=");
            add(&line, shared->abi);
            say(line.at, " also takes all calls of the system call that has this number today", "");
        }
    }
}

// 0: PROGRAM has clone2.
static int get_clone2(const struct shim_options *options)
{
    static struct text answer;
    // First, so that nothing has changed if there is no agent.
    struct unreached why;
    const long socket = connect_agent(options->socket, &why);
    if (socket < 0) {
        say_unreached(options->socket, &why, -socket);
        return -1;
    }
    static struct text refusals;
    const int not_alone = under_a_filter();
    struct installed_filter installed;
    const long listener = move_up(install_listener(&options->calls, &installed));
    if (listener < 0) {
        say_error("installing the filter", "", "seccomp: ", -listener,
                  advice_for_filter(-listener));
        close_fd(socket);
        return -1;
    }
    for (unsigned i = 0; not_alone && i < options->calls.count; i++) {
        const struct shim_call *const one = &options->calls.at[i];
        if (one->audit_arch == NATIVE_AUDIT_ARCH) {
            const long seen = probe_call(listener, one->number, one->shared);
            if (is_refused(seen)) {
                add(&refusals, refusals.size ? ", " : "");
                add_number(&refusals, one->number);
                add(&refusals, " with ");
                add_outcome(&refusals, seen);
            }
        }
    }
    warn_of_others(&options->calls);
    const int result = hand_over(socket, listener, options->nr, &refusals, &answer);
    // From now on only the agent holds it; when the agent ends, calls fail with ENOSYS.
    close_fd(listener);
    close_fd(socket);
    if (result != 0) {
        say("the agent refused: ", answer.at, "");
    } else if (refusals.size) {
        say("a stricter filter of this sandbox refuses clone2's number: ", refusals.at,
            " (its profile must allow it)");
        return options->require ? -1 : 0;
    }
    return result;
}

void shim_main(long *stack)
{
    const long argc = stack[0];
    char **const argv = (char **)(stack + 1);
    char **const environment = argv + argc + 1;
    struct shim_options options;
    static struct text wrong;
    // With argc 0, argv has only its NULL.
    switch (parse_options(argc > 0 ? argv + 1 : argv, environment, &options, &wrong)) {
    case PARSED_HELP:
        end(print(1, help_text) ? 0 : OWN_FAILURE);
    case PARSED_VERSION:
        end(print(1, "clone2-shim " CLONE2_VERSION "\n") ? 0 : OWN_FAILURE);
    case PARSED_CHECK:
        end(run_check(&options));
    case PARSED_WRONG:
        say(wrong.at, "", "");
        end(OWN_FAILURE);
    case PARSED_RUN:
        break;
    }
    if (get_clone2(&options) != 0) {
        if (!options.optional) {
            end(OWN_FAILURE);
        }
        say("continuing without clone2", "", "");
    }
    const long err = exec_program(options.program, environment);
    say_error("", options.program[0], "", err, "");
    end(err == ENOENT ? NOT_FOUND : NOT_EXECUTABLE);
}
