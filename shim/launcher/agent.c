// SPDX-License-Identifier: MIT
// The protocol is the OCI runtime specification's for seccomp listeners (config-linux.md, "The
// Container Process State"). The agent recognises us by "metadata" and answers with one line. No
// call here may use the number that the filter sends to the listener: nothing answers it yet.
#include "agent.h"

#include "base/fd_message.h"

#include "base/arch/native.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>

enum { ANSWER_SECONDS = 30 };

void close_fd(long fd)
{
    raw_call(SYS_close, fd);
}

long move_up(long fd)
{
    if (fd < 0 || fd > 2) {
        return fd;
    }
    const long higher = raw_call(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 3);
    close_fd(fd);
    return higher;
}

static struct unreached not_connected(long err)
{
    struct unreached why = {"connect: ", UNKNOWN_WHETHER_ANY};
    switch (err) {
    case ENOENT:
    case ECONNREFUSED:
        why.means = NO_AGENT;
        break;
    case ENOTDIR:
    case ELOOP:
    case ENAMETOOLONG:
    case EPROTOTYPE:
        why.means = WRONG_PATH;
        break;
    case EACCES:
        why.means = NOT_ALLOWED;
        break;
    default:
        break;
    }
    return why;
}

long connect_agent(const char *path, struct unreached *why)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const size_t length = length_of(path);
    if (length >= sizeof address.sun_path) {
        *why = not_connected(ENAMETOOLONG);
        return -ENAMETOOLONG;
    }
    memcpy(address.sun_path, path, length);
    const long fd = move_up(raw_call(SYS_socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC));
    if (fd < 0) {
        *why = (struct unreached){"socket: ", UNKNOWN_WHETHER_ANY};
        return fd;
    }
    long result;
    do {
        result = raw_call(SYS_connect, fd, &address, sizeof address);
    } while (result == -EINTR);
    if (result < 0) {
        close_fd(fd);
        *why = not_connected(-result);
        return result;
    }
    // Don't wait forever for an agent that hangs.
    const struct timeval limit = {.tv_sec = ANSWER_SECONDS};
    raw_call(SYS_setsockopt, fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return fd;
}

static void compose(struct text *message, const char *nr, const struct text *refusals)
{
    const long pid = raw_call(SYS_getpid);
    message->size = 0;
    add(message, "{\"ociVersion\":\"1.0.2\",\"fds\":[\"seccompFd\"],\"pid\":");
    add_number(message, pid);
    add(message, ",\"metadata\":\"clone2-shim nr=");
    add(message, nr);
    add(message, "\",\"state\":{\"ociVersion\":\"1.0.2\",\"id\":\"clone2-shim\","
                 "\"status\":\"creating\",\"pid\":");
    add_number(message, pid);
    if (refusals->size) {
        add(message, ",\"annotations\":{\"clone2-shim.refused\":\"");
        add(message, refusals->at);
        add(message, "\"}");
    }
    add(message, ",\"bundle\":\"/\"}}");
}

// Sends the listener with the first piece.
static long send_message(long socket, long listener, const struct text *message)
{
    const int fd = (int)listener;
    size_t sent = 0;
    while (sent < message->size) {
        const long n = send_with_fds((int)socket, message->at + sent, message->size - sent, &fd,
                                     sent == 0 ? 1 : 0, 0);
        if (n < 0) {
            return n;
        }
        sent += (size_t)n;
    }
    raw_call(SYS_shutdown, socket, SHUT_WR); // the agent finds the end without it
    return 0;
}

// Reads one line, without its newline.
static long receive_line(long socket, struct text *line)
{
    line->size = 0;
    while (line->size + 1 < sizeof line->at) {
        const long n = raw_call(SYS_read, socket, line->at + line->size, 1);
        if (n == -EINTR) {
            continue;
        }
        if (n <= 0) {
            return n;
        }
        if (line->at[line->size] == '\n') {
            break;
        }
        line->size++;
    }
    line->at[line->size] = 0;
    return 1;
}

int hand_over(long socket, long listener, const char *nr, const struct text *refusals,
              struct text *answer)
{
    static struct text message; // too large for a small stack
    compose(&message, nr, refusals);
    const long sent = send_message(socket, listener, &message);
    // If sending failed because the agent has closed the connection, it may have said why. If it
    // failed otherwise, the agent still waits for the message and will not answer.
    const int will_answer = sent >= 0 || sent == -EPIPE || sent == -ECONNRESET;
    const long received = will_answer ? receive_line(socket, answer) : 0;
    if (received > 0) {
        return equal(answer->at, "ok") ? 0 : -1;
    }
    answer->size = 0;
    if (sent < 0 || received < 0) {
        add(answer, sent < 0 ? "sendmsg: " : "read: ");
        add_error(answer, sent < 0 ? -sent : -received);
    } else {
        add(answer, "it ended without an answer");
    }
    return -1;
}

int ask_agent(long socket, struct text *answer)
{
    raw_call(SYS_shutdown, socket, SHUT_WR);
    // It says a word only to a peer that it turns away.
    const long received = receive_line(socket, answer);
    if (received == 0) {
        return 0;
    }
    if (received < 0) {
        answer->size = 0;
        add(answer, "read: ");
        add_error(answer, -received);
    }
    return -1;
}
