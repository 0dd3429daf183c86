/* SPDX-License-Identifier: MIT */
/* Offsets shared by the trial's program (trial.S) and its maker. Included by assembly: macros only.
 */
#ifndef CLONE2_ARCH_I386_TRIAL_H
#define CLONE2_ARCH_I386_TRIAL_H

/* Where the program is loaded: the usual place of 32-bit programs. */
#define TRIAL_BASE 0x08048000

/* Its parameters. */
#define TRIAL_NUMBER 0
#define TRIAL_ARGS 4
#define TRIAL_REPORT 28
#define TRIAL_BY_VDSO 32
#define TRIAL_DATA 40

#endif
