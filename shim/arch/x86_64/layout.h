// SPDX-License-Identifier: MIT
// Offsets for the assembly. layout.c checks them against the C structs at compile time.
#ifndef SHIM_LAYOUT_H
#define SHIM_LAYOUT_H

// struct shim_call; its first member is the kernel's call
#define CALL_NR 0
#define CALL_ARG0 8
#define CALL_ARG1 16
#define CALL_ARG2 24
#define CALL_ARG3 32
#define CALL_ARG4 40
#define CALL_CHILD_SP 48
#define CALL_CLONE3 56

#define CALL_PROGRAM_NR 536

// struct shim_slot; its first member is the call
#define SLOT_SAVED 568
#define SLOT_RESUME 616
#define SLOT_RESULT 624
#define SLOT_REINSTALL 632
#define SLOT_CHILD_CLEARS 640
#define SLOT_PARENT_OWNS 648

// Size of the frame: struct shim_call, rounded up.
#define FRAME_SIZE 640

#define SHIM_MAKE_CALL_VALUE 1
#define NR_EXIT 60
#define NR_RT_SIGACTION 13
#define NR_RT_SIGRETURN 15
#define NUMBER_OF_SIGSYS 31

#endif
