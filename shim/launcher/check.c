// SPDX-License-Identifier: MIT
#include "check.h"

#include "agent.h"
#include "filter.h"
#include "output.h"
#include "probe.h"

#include "base/capabilities.h"
#include "base/nesting_level.h"

#include <linux/audit.h>
#include <sys/prctl.h>

struct check {
    const struct shim_options *options;
    struct text names; // of all features
    int known;         // the feature asked for is one of them
    int good;
    int written;
};

// What was found out before anything is printed. Our own filter must not hide another's answer, so
// it comes last.
struct facts {
    long clone2; // as probe_call() has it
    int filtered;
    long clone3;
    int level;
    uint64_t capabilities;
    int no_new_privs;
    long listener;
    struct installed_filter installed;
};

enum kind { OPTIONAL, REQUIRED };
static const int standard_nr = 387;

static void feature(struct check *check, const char *name, int present, enum kind kind,
                    const char *found, const char *consequence)
{
    enum { COLUMN = 15 };
    const char *const only = check->options->feature;
    static struct text line;
    add(&check->names, " ");
    add(&check->names, name);
    if (only && !equal(only, name)) {
        return;
    }
    check->known = 1;
    check->good = check->good && (present || (!only && kind == OPTIONAL));
    line.size = 0;
    add(&line, name);
    while (line.size < COLUMN) {
        add(&line, " ");
    }
    add(&line, present ? "yes  " : "no   ");
    add_printable(&line, found);
    add(&line, ": ");
    add(&line, consequence);
    add(&line, "\n");
    check->written = check->written && print(1, line.at);
}

static const char *with_error(struct text *text, const char *before, long err, const char *after)
{
    text->size = 0;
    add(text, before);
    add_error_name(text, err);
    add(text, after);
    return text->at;
}

static const char *with_number(struct text *text, const char *before, long number,
                               const char *after)
{
    text->size = 0;
    add(text, before);
    add_number(text, number);
    add(text, after);
    return text->at;
}

static void check_notification(struct check *check, const struct facts *facts)
{
    static struct text found;
    if (facts->listener >= 0) {
        feature(check, "notification", 1, REQUIRED, "works", "calls can be caught");
        return;
    }
    feature(check, "notification", 0, REQUIRED,
            with_error(&found, "seccomp(NEW_LISTENER): ", -facts->listener,
                       advice_for_filter(-facts->listener)),
            "clone2-shim can't run programs here");
}

static void check_number(struct check *check, const struct facts *facts,
                         const struct shim_call *call)
{
    const int nr = call->number;
    static struct text found;
    if (facts->listener < 0) {
        feature(check, "number", 0, OPTIONAL, "unknown", "see notification");
        return;
    }
    const long seen = probe_call(facts->listener, nr, call->shared);
    if (seen == PROBE_FAILED) {
        feature(check, "number", 0, OPTIONAL,
                with_number(&found, "system call ", nr, " can't be tried"),
                "no child process can make the call and be waited for");
        return;
    }
    if (!is_refused(seen)) {
        feature(check, "number", 1, REQUIRED,
                with_number(&found, "system call ", nr, " reaches our filter"),
                "no stricter filter is in the way");
        return;
    }
    (void)with_number(&found, "system call ", nr, " is refused by another filter, with ");
    add_outcome(&found, seen);
    feature(check, "number", 0, REQUIRED, found.at,
            "the sandbox's or container's seccomp profile comes first: it must allow this number");
}

static void check_pids(struct check *check, const struct facts *facts)
{
    static struct text found;
    static struct text consequence;
    const int can = facts->level >= 0;
    if (can) {
        feature(check, "set_tid", 1, REQUIRED, "clone3 accepts chosen pids", "pids can be chosen");
        feature(check, "nesting", 1, OPTIONAL,
                with_number(&found, "pid namespace level ", facts->level, ""),
                with_number(&consequence, "a call made from here may name up to ", facts->level + 1,
                            " pids"));
    } else {
        found.size = 0;
        if (facts->clone3 == EINVAL) {
            add(&found, "clone3 refuses set_tid");
        } else if (facts->clone3 < 0) {
            add(&found, "clone3 is refused by a filter, with ");
            add_outcome(&found, facts->clone3);
        } else {
            (void)with_error(&found, "clone3 itself gives ", facts->clone3,
                             ": not in this kernel (5.5), or forbidden by a filter here");
        }
        feature(check, "set_tid", 0, REQUIRED, found.at, "no pid can be chosen");
        feature(check, "nesting", 0, OPTIONAL, "unknown", "unknown how many pids a call may name");
    }
    const char *const name = facts->capabilities & CAPABILITY(CAP_SYS_ADMIN) ? "has CAP_SYS_ADMIN"
                             : facts->capabilities & PID_CAPABILITIES ? "has CAP_CHECKPOINT_RESTORE"
                                                                      : NULL;
    feature(check, "privilege", name != NULL, OPTIONAL,
            name ? name : "neither CAP_SYS_ADMIN nor CAP_CHECKPOINT_RESTORE",
            name ? "programs that also have it may choose pids"
                 : "programs may call clone2 with nr_pids = 0 only");
}

static void check_filter(struct check *check, const struct facts *facts)
{
    if (facts->listener < 0) {
        feature(check, "wait_killable", 0, OPTIONAL, "unknown", "see notification");
        feature(check, "no_new_privs", 0, OPTIONAL, "unknown", "see notification");
        return;
    }
    feature(check, "wait_killable", facts->installed.wait_killable, OPTIONAL,
            facts->installed.wait_killable ? "WAIT_KILLABLE_RECV works (5.19)" : "missing",
            facts->installed.wait_killable
                ? "a signal ends a call with EINTR only before it is received"
                : "a signal may end a call with EINTR at any time");
    const int no_new_privs = facts->no_new_privs || facts->installed.no_new_privs;
    feature(check, "no_new_privs", !no_new_privs, OPTIONAL,
            facts->no_new_privs             ? "is set already"
            : facts->installed.no_new_privs ? "has to be set"
                                            : "need not be set",
            no_new_privs ? "set-user-ID programs run without their privilege"
                         : "set-user-ID programs work");
}

static void check_native(struct check *check, const struct facts *facts)
{
    static struct text found;
    // With null arguments, an implementation of clone2 fails with EFAULT before anything else.
    if (facts->clone2 == EFAULT) {
        feature(
            check, "native", 1, OPTIONAL,
            with_number(&found,
                        facts->filtered ? "system call " : "the kernel has clone2, system call ",
                        standard_nr,
                        facts->filtered ? " is answered, by the kernel or by a supervisor" : ""),
            "programs have clone2 here without clone2-shim");
    } else {
        feature(check, "native", 0, OPTIONAL,
                with_number(&found, "system call ", standard_nr,
                            facts->clone2 < 0 ? " kills its caller" : " does not exist"),
                facts->clone2 < 0 ? "see number" : "programs need clone2-shim");
    }
}

static void no_agent(struct check *check, const struct unreached *why, long err)
{
    static const char *const consequences[] = {
        [NO_AGENT] = "clone2-shim needs an agent (clone2-supervise --listen)",
        [WRONG_PATH] = "clone2-shim needs an agent (clone2-supervise --listen)",
        [NOT_ALLOWED] = "if an agent listens there, it must allow this user (--allow-uid)",
        [UNKNOWN_WHETHER_ANY] = "it could not be found out whether an agent is there",
    };
    static struct text found;
    const int unknown = why->means == UNKNOWN_WHETHER_ANY;
    add(&found, unknown ? "can't connect to " : "none at ");
    add(&found, check->options->socket);
    add(&found, " (");
    add(&found, unknown ? why->call : "");
    add_error_name(&found, err);
    add(&found, ")");
    feature(check, "agent", 0, REQUIRED, found.at, consequences[why->means]);
}

static void check_agent(struct check *check)
{
    static struct text found;
    static struct text answer;
    struct unreached why;
    const long socket = connect_agent(check->options->socket, &why);
    if (socket < 0) {
        no_agent(check, &why, -socket);
        return;
    }
    found.size = 0;
    if (ask_agent(socket, &answer) == 0) {
        add(&found, "an agent accepts connections at ");
        add(&found, check->options->socket);
        feature(check, "agent", 1, REQUIRED, found.at, "clone2-shim can run programs here");
    } else {
        add(&found, "the agent refused: ");
        add(&found, answer.at);
        feature(check, "agent", 0, REQUIRED, found.at, "clone2-shim can't run programs here");
    }
    close_fd(socket);
}

int run_check(const struct shim_options *options)
{
    static struct check check;
    struct facts facts;
    check = (struct check){.options = options, .good = 1, .written = 1};
    facts.clone2 = probe_call(NO_LISTENER, standard_nr, NULL);
    facts.filtered = under_a_filter();
    facts.clone3 =
        probe_call(NO_LISTENER, SYS_clone3, NULL); // first in a child: a filter may kill for it
    facts.level = facts.clone3 == EINVAL ? nesting_level() : -1;
    facts.capabilities = effective_capabilities(0);
    facts.no_new_privs = raw_call(SYS_prctl, PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
    facts.listener = install_listener(&options->calls, &facts.installed);
    check_notification(&check, &facts);
    for (unsigned i = 0; i < options->calls.count; i++) {
        if (options->calls.at[i].audit_arch ==
            NATIVE_AUDIT_ARCH) { // others can't be made from here
            check_number(&check, &facts, &options->calls.at[i]);
        }
    }
    check_pids(&check, &facts);
    check_filter(&check, &facts);
    check_native(&check, &facts);
    check_agent(&check);
    if (!check.known && options->feature) {
        static struct text rest;
        add(&rest, "'; features:");
        add(&rest, check.names.at);
        say("--check: no feature '", options->feature, rest.at);
        return OWN_FAILURE;
    }
    if (!check.written) {
        say("--check: stdout can't be written", "", "");
        return OWN_FAILURE;
    }
    return check.good ? 0 : 1;
}
