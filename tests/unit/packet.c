// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * packet: by sendmsg(2) alone: wire.c, which is what is tested, sends nothing of the kind.
 */
#include "packet.h"

#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

bool packet_send(int sock, const void *bytes, size_t size, unsigned int nfds)
{
    union {
        char bytes[CMSG_SPACE(PACKET_FDS * sizeof(int))];
        struct cmsghdr align;
    } control = {.bytes = {0}};
    struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
    struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};

    if (nfds) {
        header.msg_control = control.bytes;
        header.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&header);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(nfds * sizeof(int));
        for (unsigned int i = 0; i < nfds; i++)
            memcpy(CMSG_DATA(c) + i * sizeof(int), &sock, sizeof(int));
    }
    return sendmsg(sock, &header, MSG_NOSIGNAL) == (ssize_t)size;
}
