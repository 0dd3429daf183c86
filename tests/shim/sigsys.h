// SPDX-License-Identifier: MIT
#ifndef SHIM_TEST_SIGSYS_H
#define SHIM_TEST_SIGSYS_H

// sigsys_test.c
int is_blocked(void); // SIGSYS
void send_sigsys(void);
void exec_self(const char *name); // runs this case in a new program

// sigsys_calls.c: cases
void call(void);
void call_blocked(void);
void call_ignored(void);
void call_in_handler(void);
void call_in_waits(void);
void call_in_threads(void);
void start_blocked_and_call(void);

#endif
