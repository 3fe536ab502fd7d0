// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fuzz/wire: what comes over the socket between the planes, as it comes: packets of any length and type,
 * with any number of descriptors, into wire_receive().  What it lets through is a whole message of its
 * type with strings that end, and goes through wire_send() once more unchanged; of what it refuses no
 * descriptor is left.
 */
#include <errno.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>
#include "fuzz.h"
#include "packet.h"
#include "wire.h"

#define FDS_MOST (WIRE_FDS + 3)
#define HEAD     offsetof(struct wire_msg, u)

static int ends[2] = {-1, -1};

static unsigned int count_fds(const int fds[WIRE_FDS], bool end)
{
    unsigned int n = 0;

    for (unsigned int i = 0; i < WIRE_FDS; i++) {
        n += fds[i] >= 0;
        if (fds[i] >= 0 && end)
            close(fds[i]);
    }
    return n;
}

static bool ends_within(const char *text, size_t size)
{
    return memchr(text, 0, size);
}

/* By the header's words, not by wire.c's. */
static void check_strings(const struct wire_msg *msg)
{
    if (msg->type == WIRE_HELLO)
        FUZZ_CHECK(ends_within(msg->u.hello.note, sizeof(msg->u.hello.note)));
    if (msg->type == WIRE_VOLUME_ADD)
        FUZZ_CHECK(ends_within(msg->u.volume.name, sizeof(msg->u.volume.name)) &&
                   ends_within(msg->u.volume.note, sizeof(msg->u.volume.note)));
    if (msg->type == WIRE_REPLY)
        FUZZ_CHECK(ends_within(msg->u.reply.text, sizeof(msg->u.reply.text)));
    if (msg->type == WIRE_DEAD)
        FUZZ_CHECK(ends_within(msg->u.dead.text, sizeof(msg->u.dead.text)));
}

/* One that came through goes once more, the other way. */
static void send_again(const struct wire_msg *msg, const int fds[WIRE_FDS])
{
    struct wire_msg back;
    int got[WIRE_FDS];

    FUZZ_CHECK(!wire_send(ends[1], msg, fds, count_fds(fds, false)));
    FUZZ_CHECK(wire_receive(ends[0], &back, got) == 1);
    FUZZ_CHECK(!memcmp(&back, msg, sizeof(back)));
    FUZZ_CHECK(count_fds(got, true) == count_fds(fds, false));
}

static void packet(struct fuzz_input *in)
{
    static uint8_t bytes[sizeof(struct wire_msg) + 64];
    struct wire_msg msg;
    int fds[WIRE_FDS];
    uint8_t how = fuzz_u8(in);
    unsigned int nfds = how % (FDS_MOST + 1);
    size_t size;

    memset(bytes, how & 0x80 ? 'x' : 0, sizeof(bytes));
    fuzz_take(in, bytes, HEAD);
    if (how & 0x10) { /* a type there is, at its size */
        wire_start(&msg, fuzz_u8(in) % 40u, fuzz_u8(in));
        memcpy(bytes, &msg, HEAD);
    }
    memcpy(&msg, bytes, sizeof(msg));
    size = wire_size(&msg);
    FUZZ_CHECK(size <= sizeof(msg));
    if (how & 0x20 || !size)
        size = 1 + (fuzz_u8(in) | (size_t)fuzz_u8(in) << 8) % sizeof(bytes);
    if (size > HEAD)
        fuzz_take(in, bytes + HEAD, size - HEAD);
    FUZZ_CHECK(packet_send(ends[0], bytes, size, nfds));
    int came = wire_receive(ends[1], &msg, fds);
    FUZZ_CHECK(came == 1 || came == -EPROTO);
    if (came != 1) {
        FUZZ_CHECK(!count_fds(fds, false));
        return;
    }
    FUZZ_CHECK(size <= sizeof(msg) && size == wire_size(&msg) && !memcmp(&msg, bytes, size));
    for (size_t i = size; i < sizeof(msg); i++)
        FUZZ_CHECK(!((const uint8_t *)&msg)[i]);
    FUZZ_CHECK(count_fds(fds, false) == nfds && nfds <= WIRE_FDS);
    check_strings(&msg);
    send_again(&msg, fds);
    count_fds(fds, true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};

    if (ends[0] < 0)
        FUZZ_CHECK(!socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends));
    int lowest = dup(ends[0]);
    close(lowest);
    for (int i = 0; i < 8 && in.left; i++)
        packet(&in);
    int now = dup(ends[0]);
    FUZZ_CHECK(now == lowest); /* a descriptor is lost */
    close(now);
    return 0;
}
