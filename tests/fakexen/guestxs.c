// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * guestxs N SOCK: the xenbus driver of domain N's kernel. It offers xenstored the domain's ring
 * page (grant 1) and a port, introduces the domain, then carries messages between that ring and its
 * clients on the unix socket SOCK. A libxenstore program with XENSTORED_PATH=SOCK thereby *is*
 * domain N to xenstored, with its permissions and quotas; several of them are so together, and
 * none sees another's replies and watches.
 *
 * Ends on SIGTERM; xenstored learns of the domain's end from fxctl destroy.
 */
#define _GNU_SOURCE
#include "guestxs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

_Noreturn void die(const char *what)
{
    fprintf(stderr, "guestxs: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int listen_at(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (strlen(path) >= sizeof(addr.sun_path))
        errno = ENAMETOOLONG, die(path);
    strcpy(addr.sun_path, path);
    unlink(path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 8))
        die(path);
    return fd;
}

/* Who finds no room waits in the queue of the listener. */
static void welcome(int listener)
{
    int client;

    while (mux_has_room() &&
           (client = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0)
        mux_add(client);
}

int main(int argc, char **argv)
{
    struct pollfd fds[MUX_CLIENTS + 2];
    int listener;

    if (argc != 3) {
        fprintf(stderr, "usage: guestxs DOMID SOCKET\n");
        return 2;
    }
    setenv("FAKEXEN_DOMID", argv[1], 1);
    unsetenv("XENSTORED_PATH");
    ring_open((uint16_t)strtoul(argv[1], NULL, 10));
    listener = listen_at(argv[2]);
    for (;;) {
        struct pollfd *clients = fds + 2;

        mux_run();
        fds[0] = (struct pollfd){.fd = ring_fd(), .events = POLLIN};
        fds[1] = (struct pollfd){.fd = mux_has_room() ? listener : -1, .events = POLLIN};
        mux_wants(clients);
        if (poll(fds, MUX_CLIENTS + 2, -1) < 0)
            continue;
        if (fds[0].revents)
            ring_event();
        mux_ready(clients);
        if (fds[1].revents)
            welcome(listener);
    }
}
