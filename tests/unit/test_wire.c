// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * wire: over a real socket pair, with a peer that breaks every rule.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "packet.h"
#include "util.h"
#include "wire.h"

static int near, far;

static void pair_open(void)
{
    int pair[2] = {-1, -1};

    CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    near = pair[0];
    far = pair[1];
}

static void pair_close(void)
{
    close(near);
    close(far);
}

static void round_trip(void)
{
    struct wire_msg out, in;
    int fds[WIRE_FDS], give[2];

    pair_open();
    unsigned int before = unit_fds();
    for (unsigned int n = 0; n <= WIRE_FDS; n++) {
        wire_start(&out, WIRE_VOLUME_ADD, 77 + n);
        out.u.volume.bytes = 1 << 20;
        strcpy(out.u.volume.name, "xvda");
        give[0] = give[1] = far;
        CU_ASSERT_EQUAL(wire_send(far, &out, give, n), 0);
        CU_ASSERT_EQUAL_FATAL(wire_receive(near, &in, fds), 1);
        CU_ASSERT_EQUAL(memcmp(&in, &out, sizeof(in)), 0);
        for (unsigned int i = 0; i < WIRE_FDS; i++) {
            CU_ASSERT_EQUAL(fds[i] >= 0, i < n);
            if (fds[i] < 0)
                continue;
            CU_ASSERT(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
            close(fds[i]);
        }
    }
    CU_ASSERT_EQUAL(wire_send(far, &out, give, WIRE_FDS + 1), -EINVAL);
    CU_ASSERT_EQUAL(unit_fds(), before);
    pair_close();
}

/* Only a ring's keys are long; a short message leaves nothing of an earlier one behind it. */
static void sizes(void)
{
    struct wire_msg out, in;
    int fds[WIRE_FDS];

    pair_open();
    wire_start(&out, WIRE_CONNECT, 1);
    CU_ASSERT_EQUAL(wire_size(&out), sizeof(out));
    memset(&out.u.door, 0xa5, sizeof(out.u.door));
    CU_ASSERT_EQUAL(wire_send(far, &out, NULL, 0), 0);
    CU_ASSERT_EQUAL_FATAL(wire_receive(near, &in, fds), 1);
    CU_ASSERT_EQUAL(memcmp(&in, &out, sizeof(in)), 0);
    wire_start(&out, WIRE_STATS_VOLUME, 2);
    CU_ASSERT(wire_size(&out) < sizeof(out) / 3);
    CU_ASSERT_EQUAL(wire_send(far, &out, NULL, 0), 0);
    CU_ASSERT_EQUAL_FATAL(wire_receive(near, &in, fds), 1);
    CU_ASSERT_EQUAL(memcmp(&in, &out, sizeof(in)), 0);
    pair_close();
}

static void wrong_sizes(void)
{
    static const enum wire_type types[] = {WIRE_STATS, WIRE_CONNECT};
    static const size_t lengths[] = {1,
                                     4,
                                     7,
                                     8,
                                     sizeof(struct wire_msg) - 1,
                                     sizeof(struct wire_msg) + 1,
                                     2 * sizeof(struct wire_msg)};
    struct wire_msg *bytes = calloc(2, sizeof(*bytes)), in;
    int fds[WIRE_FDS];

    pair_open();
    unsigned int before = unit_fds();
    for (unsigned int n = 0; n <= WIRE_FDS; n++) {
        for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
            bytes->type = types[n % ARRAY_SIZE(types)];
            CU_ASSERT(packet_send(far, bytes, lengths[i], n));
            CU_ASSERT_EQUAL(wire_receive(near, &in, fds), -EPROTO);
            CU_ASSERT(fds[0] == -1 && fds[1] == -1);
            CU_ASSERT_EQUAL(unit_fds(), before);
        }
    }
    /* One type's size is not another's. */
    bytes->type = WIRE_STATS;
    CU_ASSERT(packet_send(far, bytes, sizeof(*bytes), 0));
    CU_ASSERT_EQUAL(wire_receive(near, &in, fds), -EPROTO);
    size_t length = wire_size(bytes);
    bytes->type = WIRE_CONNECT;
    CU_ASSERT(packet_send(far, bytes, length, 0));
    CU_ASSERT_EQUAL(wire_receive(near, &in, fds), -EPROTO);
    pair_close();
    free(bytes);
}

static void surplus_descriptors(void)
{
    struct wire_msg out, in;
    int fds[WIRE_FDS];

    pair_open();
    unsigned int before = unit_fds();
    wire_start(&out, WIRE_STATS, 1);
    for (unsigned int n = WIRE_FDS + 1; n <= PACKET_FDS; n++) {
        CU_ASSERT(packet_send(far, &out, wire_size(&out), n));
        CU_ASSERT_EQUAL(wire_receive(near, &in, fds), -EPROTO);
        CU_ASSERT(fds[0] == -1 && fds[1] == -1);
        CU_ASSERT_EQUAL(unit_fds(), before);
    }
    pair_close();
}

/* An empty packet looks like the end; what came with it must not stay open. */
static void empty_packet(void)
{
    struct wire_msg in;
    int fds[WIRE_FDS];

    pair_open();
    unsigned int before = unit_fds();
    CU_ASSERT(packet_send(far, "", 0, 1));
    CU_ASSERT(wire_receive(near, &in, fds) <= 0);
    CU_ASSERT_EQUAL(unit_fds(), before);
    pair_close();
}

static void unterminated(void)
{
    static const struct {
        enum wire_type type;
        size_t offset, size;
    } rows[] = {
        {WIRE_HELLO, offsetof(struct wire_msg, u.hello.note), WIRE_NOTE},
        {WIRE_VOLUME_ADD, offsetof(struct wire_msg, u.volume.name), 32},
        {WIRE_VOLUME_ADD, offsetof(struct wire_msg, u.volume.note), WIRE_NOTE},
        {WIRE_REPLY, offsetof(struct wire_msg, u.reply.text), WIRE_TEXT},
        {WIRE_DEAD, offsetof(struct wire_msg, u.dead.text), WIRE_TEXT},
    };
    struct wire_msg out, in;
    int fds[WIRE_FDS];

    pair_open();
    unsigned int before = unit_fds();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        wire_start(&out, rows[i].type, 1);
        char *string = (char *)&out + rows[i].offset;
        memset(string, 'x', rows[i].size);
        CU_ASSERT(packet_send(far, &out, wire_size(&out), 2));
        CU_ASSERT_EQUAL(wire_receive(near, &in, fds), -EPROTO);
        CU_ASSERT_EQUAL(unit_fds(), before);
        string[rows[i].size - 1] = '\0';
        CU_ASSERT(packet_send(far, &out, wire_size(&out), 0));
        CU_ASSERT_EQUAL(wire_receive(near, &in, fds), 1);
    }
    pair_close();
}

static void the_end(void)
{
    struct wire_msg msg;
    int fds[WIRE_FDS];

    pair_open();
    fcntl(near, F_SETFL, O_NONBLOCK);
    CU_ASSERT_EQUAL(wire_receive(near, &msg, fds), -EAGAIN);
    wire_start(&msg, WIRE_QUIT, 1);
    int err, sent = 0;
    fcntl(far, F_SETFL, O_NONBLOCK);
    while (!(err = wire_send(far, &msg, NULL, 0)))
        sent++;
    CU_ASSERT_EQUAL(err, -EAGAIN);
    for (; sent; sent--)
        CU_ASSERT_EQUAL(wire_receive(near, &msg, fds), 1);
    close(far);
    CU_ASSERT_EQUAL(wire_receive(near, &msg, fds), 0);
    CU_ASSERT_EQUAL(wire_send(near, &msg, NULL, 0), -EPIPE);
    close(near);
}

int suite_wire(void)
{
    static const struct unit_case cases[] = {
        {"round trip", round_trip},
        {"a size for each type", sizes},
        {"wrong sizes", wrong_sizes},
        {"surplus descriptors", surplus_descriptors},
        {"empty packet with a descriptor", empty_packet},
        {"unterminated strings", unterminated},
        {"full socket and hang-up", the_end},
    };

    return UNIT_SUITE("wire", cases);
}
