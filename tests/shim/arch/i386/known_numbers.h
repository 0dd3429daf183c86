// SPDX-License-Identifier: MIT
#ifndef SHIM_TEST_KNOWN_NUMBERS_H
#define SHIM_TEST_KNOWN_NUMBERS_H

#define ARCH_OF_SECCOMP SCMP_ARCH_X86

static const int free_numbers[] = {387, 392, 480, 500, 600, 0x3fffffff};
static const int taken_numbers[] = {0, 105, 386, 393, 402, 403, 423, 424, 435, 479};

#endif
