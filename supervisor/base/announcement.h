/* SPDX-License-Identifier: MIT */
/* How libclone2 makes itself known to a supervisor's log. C and C++. */
#ifndef CLONE2_ANNOUNCEMENT_H
#define CLONE2_ANNOUNCEMENT_H

/* A prctl() that no kernel knows. libclone2 makes it before its first call in each executed program
 * if that has a seccomp filter: from here on it serves this program's calls itself. */
#define CLONE2_ANNOUNCEMENT 0x32656e73U

#endif
