// SPDX-License-Identifier: MIT
#ifndef SHIM_EXEC_H
#define SHIM_EXEC_H

// As execvpe(3): searches $PATH, and gives a file without a known format to /bin/sh. Comes back
// with an errno only.
long exec_program(char **program, char **environment);

#endif
