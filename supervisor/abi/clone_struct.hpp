// SPDX-License-Identifier: MIT
#pragma once

#define CLONE2_ONLY_STRUCT // clone2 is our namespace
#include "../../shim/clone2.h"

namespace clone2
{

using CloneStruct = ::clone_struct;
static_assert(sizeof(CloneStruct) == 40);

} // namespace clone2
