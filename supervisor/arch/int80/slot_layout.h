/* SPDX-License-Identifier: MIT */
/*
 * Offsets shared by the code in a target that makes i386 calls in 64-bit mode (trampoline.S) and
 * the supervisor (int80.cpp, which asserts each of them against the C++ structs). Included by
 * assembly: macros only.
 */
#ifndef CLONE2_ARCH_INT80_SLOT_LAYOUT_H
#define CLONE2_ARCH_INT80_SLOT_LAYOUT_H

/* Incremented when a field's meaning changes in a way that the code itself does not show. */
#define INT80_LAYOUT_VERSION 1

/* At the start of the code. */
#define INT80_CODE_AREA 16

/* The program's registers: the same in a call's slot and in a boot slot. */
#define INT80_RBP 8
#define INT80_RBX 24
#define INT80_RCX 32
#define INT80_RDX 40
#define INT80_RSI 48
#define INT80_RDI 56

/*
 * One call's slot in the area. RBP and RBP_CHILD are the program's rbp while the slot is in use by
 * parent or child, and the slot's own address, SELF, once that one has left. SELF 0: the slot was
 * never used.
 */
#define INT80_SELF 0
#define INT80_RBP_CHILD 16
#define INT80_OWNER 64
#define INT80_REPORT 68
#define INT80_PLAIN 72
#define INT80_NR 76
#define INT80_EXIT_PARENT 80
#define INT80_EXIT_CHILD 88
#define INT80_CHILD_SP 96
#define INT80_CLONE_ARGS 144

/* In clone3's arguments, where a plain clone has its own. */
#define INT80_ARGS_FLAGS 0
#define INT80_ARGS_CHILD_TID 16
#define INT80_ARGS_PARENT_TID 24
#define INT80_ARGS_TLS 56

/* A boot slot, after the code. */
#define INT80_BOOT_NR 0
#define INT80_BOOT_EXIT 72
#define INT80_BOOT_OWNER 80

/* Slots of SLOT_SIZE bytes; the first one's room holds the area's own header. */
#define INT80_SLOT_SIZE 352
#define INT80_AREA_SIZE 262144

/* An i386 address that any filter takes for one: see CallTable. */
#define INT80_AN_ADDRESS 0x08048000

#define INT80_CLONE_ARGS_SIZE 80 /* CLONE_ARGS_SIZE_VER1, 5.5: with set_tid, without cgroup */
#define INT80_NR_CLONE 120
#define INT80_NR_CLONE3 435
#define INT80_NR_MMAP2 192
#define INT80_PROT_READ_WRITE 3
#define INT80_MAP_PRIVATE_ANONYMOUS 0x22
#define INT80_EINTR 4

#endif
