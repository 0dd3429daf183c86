// SPDX-License-Identifier: MIT
#ifndef SHIM_TEST_KNOWN_NUMBERS_H
#define SHIM_TEST_KNOWN_NUMBERS_H

#define ARCH_OF_SECCOMP SCMP_ARCH_X86_64

static const int free_numbers[] = {337, 386, 387, 423, 500, 600, 0x3fffffff};
static const int taken_numbers[] = {
    0, 105, 334, 335, 336, 424, 435, 479, 512, 547, 0x40000000 + 387};

#endif
