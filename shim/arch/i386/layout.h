// SPDX-License-Identifier: MIT
// Offsets for the assembly. layout.c checks them against the C structs at compile time.
#ifndef SHIM_LAYOUT_H
#define SHIM_LAYOUT_H

// struct shim_call; its first member is the kernel's call. Of its values, the lower halves.
#define CALL_NR 0
#define CALL_ARG0 8
#define CALL_ARG1 16
#define CALL_ARG2 24
#define CALL_ARG3 32
#define CALL_ARG4 40
#define CALL_CHILD_SP 48

#define CALL_PROGRAM_NR 524

// struct shim_slot; its first member is the call
#define SLOT_SAVED 556
#define SLOT_RESULT 612
#define SLOT_REINSTALL 616
#define SLOT_HOLD 624

// struct shim_hold
#define HOLD_PARENT_EXIT 8
#define HOLD_CHILD_EXIT 12

// Size of the frame: struct shim_call, rounded up to a multiple of 16.
#define FRAME_SIZE 576

#define SHIM_MAKE_CALL_VALUE 1
#define NR_EXIT 1
#define NR_RT_SIGRETURN 173
#define NR_RT_SIGACTION 174
#define NUMBER_OF_SIGSYS 31

#endif
