/* SPDX-License-Identifier: MIT */
/*
 * Offsets shared by the code in the target (trampoline.S) and the supervisor (x86_64.cpp,
 * which asserts each of them against the C++ structs). Included by assembly: macros only.
 */
#ifndef CLONE2_ARCH_X86_64_SLOT_LAYOUT_H
#define CLONE2_ARCH_X86_64_SLOT_LAYOUT_H

/* Raised with each change of what a field means that the code itself does not show. */
#define LAYOUT_VERSION 3

/* Before the code. */
#define CODE_AREA 16

/* One call's slot in the area. */
#define SLOT_PARENT_BUSY 0
#define SLOT_CHILD_BUSY 4
#define SLOT_OWNER 8
#define SLOT_REPORT 12 /* 16 bits */
#define SLOT_PLAIN 14  /* 16 bits */
#define SLOT_RET 16
#define SLOT_RDI 24
#define SLOT_RSI 32
#define SLOT_CHILD_SP 40
#define SLOT_NR 48
#define SLOT_CLONE_ARGS 88
#define SLOT_FLAGS 88
#define SLOT_CHILD_TID 104
#define SLOT_PARENT_TID 112
#define SLOT_RDX 296
#define SLOT_R10 304
#define SLOT_R9 312

/* A boot slot, after the code. */
#define BOOT_RDI 0
#define BOOT_RSI 8
#define BOOT_RDX 16
#define BOOT_R10 24
#define BOOT_R8 32
#define BOOT_R9 40
#define BOOT_RET 48
#define BOOT_NR 56
#define BOOT_OWNER 64

/* Slots of SLOT_SIZE bytes; the first one's room holds the area's own header. */
#define SLOT_SIZE 320
#define AREA_SIZE 262144

#define CLONE_ARGS_SIZE 80 /* CLONE_ARGS_SIZE_VER1, 5.5: with set_tid, without cgroup */
#define NR_CLONE 56
#define NR_CLONE3 435
#define NR_MMAP 9
#define PROT_READ_WRITE 3
#define MAP_PRIVATE_ANONYMOUS 0x22
#define EINTR 4

#endif
