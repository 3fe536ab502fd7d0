// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fakeworker: a worker for tests of the control plane: says what a worker says and serves nobody.
 * It takes extents of its pool, checks that they read as zeros and fills them, and does what it is
 * told by lines in the FIFO $EPHEM_FAKE_DIR/PID.in:
 *   want N      asks for N extents          back N      returns N of those it holds
 *   foreign X   returns X, which is not its own
 *   claim X     will say at RESUME that it holds X too
 *   kind N      will say at RESUME that its pool is of that kind
 *   fill        writes all over its pool
 *   grow N      says N times that its first volume has grown by a sector
 *   rave N      will say at RESUME N times that it serves a ring it does not
 *   mute N      from now on answers no GIVE; 0: answers them again
 *   owe         answers the first GIVE it has not answered
 * What it holds stands in PID.held, a number a line; PID.none appears when the daemon had none, and
 * PID.unclean when an extent it was given had contents.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "wire.h"

#define HELD_MOST 4096u

static struct {
    int daemon, listener, pool, orders;
    struct wire_hello hello;
    struct wire_msg volumes[WIRE_VOLUMES];
    uint32_t count, held[HELD_MOST];
    char *buffer; /* an extent */
    uint32_t mute, rave, owing, owed[64];
} fake = {.daemon = 3, .listener = -1, .pool = -1};

static void fake_path(const char *suffix, char path[256])
{
    const char *dir = getenv("EPHEM_FAKE_DIR");

    snprintf(path, 256, "%.200s/%d.%s", dir ? dir : "/nowhere", (int)getpid(), suffix);
}

static void fake_mark(const char *suffix)
{
    char path[256];

    fake_path(suffix, path);
    close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static void fake_show(void)
{
    char path[256], other[256];

    fake_path("new", path);
    fake_path("held", other);
    FILE *file = fopen(path, "we");
    if (!file)
        exit(3);
    for (uint32_t i = 0; i < fake.count; i++)
        fprintf(file, "%u\n", fake.held[i]);
    fclose(file);
    rename(path, other);
}

static void fake_send(const struct wire_msg *msg)
{
    if (fake.daemon >= 0)
        wire_send(fake.daemon, msg, NULL, 0);
}

static void fake_reply(uint32_t cookie)
{
    struct wire_msg msg;

    wire_start(&msg, WIRE_REPLY, cookie);
    fake_send(&msg);
}

static void fake_fill(uint64_t offset)
{
    memset(fake.buffer, 0xa5, WIRE_EXTENT);
    if (pwrite(fake.pool, fake.buffer, WIRE_EXTENT, (off_t)offset) != (ssize_t)WIRE_EXTENT)
        exit(4);
}

static void fake_given(const struct wire_extents *given)
{
    if (!given->count)
        fake_mark("none");
    for (uint32_t i = 0; i < given->count && fake.count < HELD_MOST; i++) {
        uint64_t offset = given->extent[i] * WIRE_EXTENT;

        if (pread(fake.pool, fake.buffer, WIRE_EXTENT, (off_t)offset) != (ssize_t)WIRE_EXTENT)
            exit(4);
        for (size_t at = 0; at < WIRE_EXTENT; at++)
            if (fake.buffer[at]) {
                fake_mark("unclean");
                break;
            }
        fake_fill(offset);
        fake.held[fake.count++] = given->extent[i];
    }
    fake_show();
}

/* WANT and BACK; `extent` NULL: the first `n` that are held. */
static void fake_say(enum wire_type type, uint32_t n, const uint32_t *extent)
{
    struct wire_msg msg;

    wire_start(&msg, type, 0);
    msg.u.extents.count = n;
    if (extent)
        memcpy(msg.u.extents.extent, extent, n * sizeof(*extent));
    fake_send(&msg);
}

static void fake_resume(uint32_t cookie)
{
    struct wire_msg msg;

    wire_start(&msg, WIRE_HELLO, 0);
    msg.u.hello = fake.hello;
    fake_send(&msg);
    for (int i = 0; i < WIRE_VOLUMES; i++)
        if (fake.volumes[i].type) {
            fake.volumes[i].cookie = 0;
            fake_send(&fake.volumes[i]);
        }
    for (uint32_t i = 0; i < fake.rave; i++) {
        wire_start(&msg, WIRE_CONNECT, 0);
        msg.u.door.id = WIRE_DOORS;
        fake_send(&msg);
    }
    if (fake.count)
        fake_say(WIRE_EXTENTS_GIVE, fake.count, fake.held);
    fake_reply(cookie);
}

static void fake_hear(const struct wire_msg *msg, int fds[WIRE_FDS])
{
    switch (msg->type) {
    case WIRE_HELLO:
        fake.hello = msg->u.hello;
        fake.listener = fds[0];
        fake.pool = fds[1];
        fds[0] = fds[1] = -1;
        fake_show();
        break;
    case WIRE_VOLUME_ADD:
        fake.volumes[msg->u.volume.id % WIRE_VOLUMES] = *msg;
        break;
    case WIRE_VOLUME_DEL:
        fake.volumes[msg->u.volume.id % WIRE_VOLUMES].type = 0;
        break;
    case WIRE_EXTENTS_GIVE:
        fake_given(&msg->u.extents);
        if (fake.mute) {
            fake.owed[fake.owing++ % 64] = msg->cookie;
            return;
        }
        break;
    case WIRE_RESUME:
        fake_resume(msg->cookie);
        return;
    default:
        break;
    }
    fake_reply(msg->cookie);
    if (msg->type == WIRE_QUIT)
        exit(0);
}

static void fake_receive(void)
{
    struct wire_msg msg;
    int fds[WIRE_FDS];

    if (wire_receive(fake.daemon, &msg, fds) <= 0) {
        close(fake.daemon);
        fake.daemon = -1;
        return;
    }
    fake_hear(&msg, fds);
    for (int i = 0; i < WIRE_FDS; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

static void fake_back(uint32_t n)
{
    if (n > fake.count)
        n = fake.count;
    fake_say(WIRE_EXTENTS_BACK, n, fake.held);
    fake.count -= n;
    memmove(fake.held, fake.held + n, fake.count * sizeof(fake.held[0]));
    fake_show();
}

static void fake_grow(uint32_t n)
{
    struct wire_msg msg;

    for (uint32_t i = 0; i < n; i++) {
        wire_start(&msg, WIRE_GREW, 0);
        msg.u.grew.bytes = fake.volumes[0].u.volume.bytes += 512;
        fake_send(&msg);
    }
}

static void fake_owe(void)
{
    uint32_t cookie = fake.owed[0];

    memmove(fake.owed, fake.owed + 1, sizeof(fake.owed) - sizeof(fake.owed[0]));
    fake.owing--;
    fake_reply(cookie);
}

static void fake_order(const char *line)
{
    char word[16];
    uint32_t n = 0;

    if (sscanf(line, "%15s %u", word, &n) < 1)
        return;
    if (!strcmp(word, "want"))
        fake_say(WIRE_EXTENTS_WANT, n, NULL);
    else if (!strcmp(word, "back"))
        fake_back(n);
    else if (!strcmp(word, "foreign"))
        fake_say(WIRE_EXTENTS_BACK, 1, &n);
    else if (!strcmp(word, "claim"))
        fake.held[fake.count++] = n;
    else if (!strcmp(word, "kind"))
        fake.hello.pool.kind = n;
    else if (!strcmp(word, "grow"))
        fake_grow(n);
    else if (!strcmp(word, "rave"))
        fake.rave = n;
    else if (!strcmp(word, "mute"))
        fake.mute = n;
    else if (!strcmp(word, "owe"))
        fake_owe();
    else if (!strcmp(word, "fill"))
        for (uint64_t at = 0; at < fake.hello.pool.bytes; at += WIRE_EXTENT)
            fake_fill(at);
    fake_show();
}

static void fake_obey(void)
{
    char lines[512];
    ssize_t got = read(fake.orders, lines, sizeof(lines) - 1);

    if (got <= 0)
        return;
    lines[got] = '\0';
    for (char *rest = lines, *line; (line = strsep(&rest, "\n"));)
        fake_order(line);
}

int main(void)
{
    char path[256];

    fake_path("in", path);
    fake.buffer = aligned_alloc(4096, WIRE_EXTENT);
    if (!fake.buffer || mkfifo(path, 0600))
        return 3;
    fake.orders = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    for (;;) {
        struct pollfd on[3] = {{.fd = fake.daemon, .events = POLLIN},
                               {.fd = fake.listener, .events = POLLIN},
                               {.fd = fake.orders, .events = POLLIN}};

        if (poll(on, 3, -1) < 0 && errno != EINTR)
            return 3;
        if (on[0].revents)
            fake_receive();
        if (on[1].revents) {
            close(fake.daemon);
            fake.daemon = accept4(fake.listener, NULL, NULL, SOCK_CLOEXEC);
        }
        if (on[2].revents)
            fake_obey();
    }
}
