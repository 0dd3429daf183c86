// SPDX-License-Identifier: MIT
#include "header_test.c" // the same in C++
