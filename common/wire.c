// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * wire: framing and string termination are checked here, ranges by whoever uses them.
 */
#include "wire.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define WIRE_TRIES 100
#define WIRE_HEAD  offsetof(struct wire_msg, u)
#define WIRE_SHORT (WIRE_HEAD + sizeof(struct wire_volume)) /* all but CONNECT */

static_assert(sizeof(struct wire_hello) <= sizeof(struct wire_volume), "HELLO is short");
static_assert(sizeof(struct wire_extents) <= sizeof(struct wire_volume), "EXTENTS are short");
static_assert(sizeof(struct wire_reply) <= sizeof(struct wire_volume), "REPLY is short");
static_assert(sizeof(struct wire_stats_volume) <= sizeof(struct wire_volume), "STATS are short");
static_assert(sizeof(struct wire_stats_guest) <= sizeof(struct wire_volume), "STATS are short");

static const struct timespec wire_pause = {.tv_nsec = 10 * 1000 * 1000};

void wire_start(struct wire_msg *msg, enum wire_type type, uint32_t cookie)
{
    memset(msg, 0, sizeof(*msg));
    msg->type = type;
    msg->cookie = cookie;
}

size_t wire_size(const struct wire_msg *msg)
{
    return msg->type == WIRE_CONNECT ? sizeof(*msg) : WIRE_SHORT;
}

/* The system is short of something for a moment; no reason to give up on the peer. */
static bool wire_passes(int error)
{
    return error == EINTR || error == ENOMEM || error == ENOBUFS || error == ETOOMANYREFS;
}

int wire_send(int sock, const struct wire_msg *msg, const int *fds, unsigned int nfds)
{
    union {
        char bytes[CMSG_SPACE(WIRE_FDS * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec iov = {.iov_base = (void *)(uintptr_t)msg, .iov_len = wire_size(msg)};
    struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};

    if (nfds > WIRE_FDS)
        return -EINVAL;
    if (nfds) {
        memset(&control, 0, sizeof(control));
        header.msg_control = control.bytes;
        header.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&header);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(nfds * sizeof(int));
        memcpy(CMSG_DATA(c), fds, nfds * sizeof(int));
    }
    ssize_t sent = sendmsg(sock, &header, MSG_NOSIGNAL);
    for (int tries = 0; sent < 0 && wire_passes(errno) && tries < WIRE_TRIES; tries++) {
        nanosleep(&wire_pause, NULL);
        sent = sendmsg(sock, &header, MSG_NOSIGNAL);
    }
    if (sent < 0)
        return errno == ECONNRESET ? -EPIPE : -errno;
    return sent == (ssize_t)iov.iov_len ? 0 : -EPROTO;
}

static void wire_take_fds(struct msghdr *header, int fds[WIRE_FDS])
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
            if (i < WIRE_FDS && fds[i] < 0)
                fds[i] = fd;
            else
                close(fd);
        }
    }
}

static bool wire_strings_end(const struct wire_msg *msg)
{
    switch (msg->type) {
    case WIRE_HELLO:
        return memchr(msg->u.hello.note, 0, sizeof(msg->u.hello.note)) != NULL;
    case WIRE_VOLUME_ADD:
        return memchr(msg->u.volume.name, 0, sizeof(msg->u.volume.name)) &&
               memchr(msg->u.volume.note, 0, sizeof(msg->u.volume.note));
    case WIRE_REPLY:
        return memchr(msg->u.reply.text, 0, sizeof(msg->u.reply.text)) != NULL;
    case WIRE_DEAD:
        return memchr(msg->u.dead.text, 0, sizeof(msg->u.dead.text)) != NULL;
    default:
        return true;
    }
}

int wire_receive(int sock, struct wire_msg *msg, int fds[WIRE_FDS])
{
    union {
        char bytes[CMSG_SPACE(WIRE_FDS * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec iov = {.iov_base = msg, .iov_len = sizeof(*msg)};
    struct msghdr header = {.msg_iov = &iov,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen = sizeof(control.bytes)};
    ssize_t got;

    for (int i = 0; i < WIRE_FDS; i++)
        fds[i] = -1;
    do
        got = recvmsg(sock, &header, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return errno == ECONNRESET ? 0 : -errno;
    wire_take_fds(&header, fds);
    memset((char *)msg + got, 0, sizeof(*msg) - (size_t)got);
    if (got >= (ssize_t)WIRE_HEAD && got == (ssize_t)wire_size(msg) &&
        !(header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) && wire_strings_end(msg))
        return 1;
    for (int i = 0; i < WIRE_FDS; i++)
        if (fds[i] >= 0) {
            close(fds[i]);
            fds[i] = -1;
        }
    return got ? -EPROTO : 0;
}
