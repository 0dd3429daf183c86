// SPDX-License-Identifier: MIT
#ifndef SHIM_OUTPUT_H
#define SHIM_OUTPUT_H

// Writes text to a descriptor. 0: not all of it was written.
int print(long fd, const char *text);

// A line on stderr, with everything that a terminal would not print escaped.
void say(const char *before, const char *what, const char *after);

#endif
