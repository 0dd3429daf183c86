// SPDX-License-Identifier: MIT
#include "exec.h"

#include "base/arch/native.h"
#include "options.h"
#include "text.h"

#include <errno.h>
#include <sys/syscall.h>

static char shell[] = "/bin/sh";

// Returns the errno. `program` is preceded by one free word (in the launcher's own argv).
static long try_file(const char *file, char **program, char **environment)
{
    long err = -raw_call(SYS_execve, file, program, environment);
    if (err == ENOEXEC) {
        // PROGRAM is inside our argv, so two words fit in place of its name: "/bin/sh FILE".
        char **const script = program - 1;
        char *const before = script[0];
        char *const name = script[1];
        script[0] = shell;
        script[1] = (char *)file;
        err = -raw_call(SYS_execve, shell, script, environment);
        script[0] = before;
        script[1] = name;
    }
    return err;
}

long exec_program(char **program, char **environment)
{
    static struct text file;
    const char *const name = program[0];
    if (!*name) {
        return ENOENT;
    }
    if (has_slash(name)) {
        return try_file(name, program, environment);
    }
    const char *path = variable(environment, "PATH");
    if (!path) {
        path = "/bin:/usr/bin";
    }
    int denied = 0;
    for (;;) {
        file.size = 0;
        for (; *path && *path != ':'; path++) {
            const char letter[] = {*path, 0};
            add(&file, letter);
        }
        if (file.size != 0) {
            add(&file, "/"); // an empty entry is the current directory
        }
        add(&file, name);
        // A truncated path is not the file that was meant.
        const int whole = file.size + 1 < sizeof file.at;
        const long err = whole ? try_file(file.at, program, environment) : ENAMETOOLONG;
        switch (err) {
        case EACCES:
            denied = 1; // a later directory may have one that can be run
            break;
        case ENOENT:
        case ENOTDIR:
        case ESTALE:
        case ENODEV:
        case ETIMEDOUT:
        case ENAMETOOLONG:
            break;
        default:
            return err;
        }
        if (!*path) {
            return denied ? EACCES : ENOENT;
        }
        path++;
    }
}
