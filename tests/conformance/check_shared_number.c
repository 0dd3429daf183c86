// SPDX-License-Identifier: MIT
// clone2 under recvmmsg's number, as programs of 2009 make it: both work in one program. Runs by
// name only, because it needs that number.
#define _GNU_SOURCE
#include "call.h"
#include "harness.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>

static void beside_recvmmsg(void)
{
    struct call *c = call_new();
    if (options.nr != ARCH_RECVMMSG_NR) {
        broken("this needs -n %d, on i386", ARCH_RECVMMSG_NR);
    }
    int ends[2];
    char text[8] = "";
    struct iovec piece = {text, sizeof text};
    struct mmsghdr message = {.msg_hdr = {.msg_iov = &piece, .msg_iovlen = 1}};
    const uint64_t at = (uintptr_t)&message;
    NEED(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends));
    for (int i = 0; i < 3; i++) {
        NEED(send(ends[0], "hello", 5, 0));
        expect_long("recvmmsg", 1, arch_raw(options.nr, (uint64_t)ends[1], at, 1, 0, 0, 0));
        expect_long("the message's length", 5, (long)message.msg_len);
        expect_long("recvmmsg of -1", -EBADF, arch_raw(options.nr, ~0ULL, at, 1, 0, 0, 0));
        CALL_SET(c, SIGCHLD, 520);
        call_ok(c, 520);
    }
}

const struct check shared_number_checks[] = {
    {"beside-recvmmsg", "recvmmsg in the same program (-n 337, i386)", beside_recvmmsg},
    {0},
};
