/* SPDX-License-Identifier: MIT */
/*
 * Shared by the code in targets and the supervisor, of every architecture and every version.
 * Included by assembly: macros only.
 *
 * Each system-call instruction in the code is followed by a jump, one of these marks and a word of
 * the signature: they let a supervisor recognize a call from any supervisor's code. In ASCII the
 * marks read "clone2" and the kind of call.
 */
#ifndef CLONE2_ARCH_MARKS_H
#define CLONE2_ARCH_MARKS_H

#define MARK_REPORT 0x005232656e6f6c63
#define MARK_BOOT_REPORT 0x004232656e6f6c63

/*
 * Added to the result of clone3, a pid or -errno, in a report: the sum looks like an address. A
 * filter may trap a number only if an argument looks like an address (see CallTable), and a call's
 * reports use the same number.
 */
#define REPORT_BIAS 0x40000000

#endif
