// SPDX-License-Identifier: MIT
#ifndef SHIM_EXEC_H
#define SHIM_EXEC_H

// Like execvpe(3): searches $PATH and runs a file of unknown format with /bin/sh. Returns only on
// failure, with an errno.
long exec_program(char **program, char **environment);

#endif
