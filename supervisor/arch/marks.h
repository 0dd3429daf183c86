/* SPDX-License-Identifier: MIT */
/*
 * Shared by the code in targets and the supervisor, of every architecture and every version.
 * Included by assembly: macros only.
 *
 * After each system-call instruction of the code comes a jump, then one of these marks, then a word
 * of the signature: so a supervisor recognizes a call out of any supervisor's code. In ASCII the
 * marks read "clone2" and which call it is.
 */
#ifndef CLONE2_ARCH_MARKS_H
#define CLONE2_ARCH_MARKS_H

#define MARK_REPORT 0x005232656e6f6c63
#define MARK_BOOT_REPORT 0x004232656e6f6c63

/*
 * A report carries the result of clone3, a pid or -errno, with this added: the sum looks like an
 * address. A filter may trap a number by an argument that must be one (see CallTable), and the
 * reports of a call come by the same number.
 */
#define REPORT_BIAS 0x40000000

#endif
