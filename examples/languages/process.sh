#!/bin/sh
# SPDX-License-Identifier: MIT
# sh process.sh [PID...]: any shell; with_pid must be in $PATH
for pid in "${@:-7000}"; do
    with_pid "$pid" /bin/sh -c 'echo "child: my pid is $$"' && echo "parent: the child's pid was $pid"
done
