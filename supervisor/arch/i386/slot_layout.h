/* SPDX-License-Identifier: MIT */
/*
 * Offsets shared by the code in an i386 target (trampoline.S) and the supervisor (i386.cpp, which
 * asserts each of them against the C++ structs). Included by assembly: macros only.
 */
#ifndef CLONE2_ARCH_I386_SLOT_LAYOUT_H
#define CLONE2_ARCH_I386_SLOT_LAYOUT_H

/* Incremented when a field's meaning changes in a way that the code itself does not show. */
#define I386_LAYOUT_VERSION 2

/* At the start of the code. */
#define I386_CODE_AREA 16

/*
 * One call's slot in the area. EBP_PARENT and EBP_CHILD are the program's ebp while the slot is in
 * use by parent or child, and the slot's own address, SELF, once that one has left. SELF 0: the
 * slot was never used.
 */
#define I386_SELF 0
#define I386_EBP_PARENT 4
#define I386_EBP_CHILD 8
#define I386_OWNER 12
#define I386_REPORT 16
#define I386_PLAIN 20
#define I386_EXIT_PARENT 24
#define I386_EXIT_CHILD 28
#define I386_EBX 32
#define I386_ECX 36
#define I386_EDX 40
#define I386_ESI 44
#define I386_EDI 48
#define I386_CHILD_SP 52
#define I386_NR 56
#define I386_CLONE_ARGS 96

/* In clone3's arguments, where a plain clone has its own. */
#define I386_ARGS_FLAGS 0
#define I386_ARGS_CHILD_TID 16
#define I386_ARGS_PARENT_TID 24
#define I386_ARGS_TLS 56

/* A boot slot, after the code. Its ebp lies where a slot's EBP_PARENT does: see exits. */
#define I386_BOOT_NR 0
#define I386_BOOT_EBP 4
#define I386_BOOT_EBX 8
#define I386_BOOT_ECX 12
#define I386_BOOT_ESI 20
#define I386_BOOT_EXIT 32
#define I386_BOOT_OWNER 36
#define I386_BOOT_MMAP 40

/* Slots of SLOT_SIZE bytes; the first one's room holds the area's own header. */
#define I386_SLOT_SIZE 320
#define I386_AREA_SIZE 262144

#define I386_CLONE_ARGS_SIZE 80 /* CLONE_ARGS_SIZE_VER1, 5.5: with set_tid, without cgroup */
#define I386_NR_CLONE 120
#define I386_NR_CLONE3 435
#define I386_NR_MMAP 90 /* one argument: the address of all six */
#define I386_EINTR 4

#endif
