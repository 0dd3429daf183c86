/* SPDX-License-Identifier: MIT */
/* Messages with file descriptors through Unix sockets (SCM_RIGHTS). C and C++; sending needs no C
 * library. Async-signal-safe and thread-safe. */
#ifndef CLONE2_FD_MESSAGE_H
#define CLONE2_FD_MESSAGE_H

#include "base/arch/native.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

enum {
    FDS_SENT_MAX = 2,
    FDS_RECEIVED_MAX = 253 /* SCM_MAX_FD of include/net/scm.h: no message has more */
};

/* Sends with `count` descriptors, 0 to FDS_SENT_MAX, like sendmsg(2); raises no SIGPIPE. Returns
 * the bytes sent, or -errno, but never -EINTR. */
static inline long send_with_fds(int socket, const void *bytes, size_t size, const int *fds,
                                 size_t count, int flags)
{
    union {
        struct cmsghdr rights;
        char room[CMSG_SPACE(FDS_SENT_MAX * sizeof(int))];
    } control;
    struct iovec data = {(void *)bytes, size};
    struct msghdr message;
    long sent;
    memset(&message, 0, sizeof message);
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    if (count != 0) {
        message.msg_control = &control;
        message.msg_controllen = CMSG_LEN(count * sizeof(int));
        control.rights.cmsg_level = SOL_SOCKET;
        control.rights.cmsg_type = SCM_RIGHTS;
        control.rights.cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(&control.rights), fds, count * sizeof(int));
    }
    do {
        sent = raw_call(SYS_sendmsg, socket, &message, flags | MSG_NOSIGNAL);
    } while (sent == -EINTR);
    return sent;
}

struct message_received {
    ssize_t size;    /* in bytes, or -errno, but never -EINTR */
    size_t fd_count; /* how many descriptors arrived */
    int flags;       /* MSG_CTRUNC: some were lost for lack of room */
};

/* Receives like recvmsg(2), with up to `room` (at most FDS_RECEIVED_MAX) descriptors, which are set
 * to close-on-exec. */
static inline struct message_received receive_with_fds(int socket, void *bytes, size_t size,
                                                       int *fds, size_t room, int flags)
{
    union {
        struct cmsghdr first;
        char room[CMSG_SPACE(FDS_RECEIVED_MAX * sizeof(int))];
    } control;
    struct iovec data = {bytes, size};
    struct msghdr message;
    struct cmsghdr *part;
    struct message_received received = {-1, 0, 0};
    int reset = 0;
    memset(&message, 0, sizeof message);
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = &control;
    message.msg_controllen = CMSG_LEN(room * sizeof(int)); /* CMSG_SPACE may hold one more */
    for (;;) {
        received.size = recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC);
        if (received.size >= 0) {
            break;
        }
        /* ECONNRESET comes once, before the sent data, if the sender ended with unread input. */
        if (errno != EINTR && (errno != ECONNRESET || reset)) {
            received.size = -errno;
            return received;
        }
        reset = errno == ECONNRESET;
    }
    received.flags = message.msg_flags;
    for (part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part)) {
        if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_RIGHTS) {
            const size_t length = part->cmsg_len - CMSG_LEN(0);
            memcpy(fds + received.fd_count, CMSG_DATA(part), length);
            received.fd_count += length / sizeof(int);
        }
    }
    return received;
}

#endif
