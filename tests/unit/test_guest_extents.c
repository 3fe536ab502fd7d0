// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * guest_extents: what a worker says to its daemon of its places, over a real socket, with the daemon
 * played here: asked ahead, returned, kept to itself while there is no daemon, said to the next.
 */
#include "unit.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "guest_life.h"
#include "mailbox.h"
#include "pool_extents.h"

struct rig {
    struct guest *guest;
    struct pool_extents *places;
    int daemon; /* our end */
};

static void rig_daemon(struct rig *rig)
{
    int pair[2];

    CU_ASSERT_EQUAL_FATAL(
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    rig->guest->daemon.fd = pair[0];
    rig->daemon = pair[1];
}

static void rig_open(struct rig *rig)
{
    struct guest *guest = calloc(1, sizeof(*guest));

    CU_ASSERT_PTR_NOT_NULL_FATAL(guest);
    rig->guest = guest;
    list_init(&guest->refreshes);
    guest->listener.fd = 1; /* an orphan that can be found again */
    CU_ASSERT_EQUAL_FATAL(loop_open(&guest->loop), 0);
    CU_ASSERT_EQUAL_FATAL(mailbox_open(&guest->mailbox, guest->loop), 0);
    CU_ASSERT_EQUAL_FATAL(pool_extents_open(&rig->places), 0);
    CU_ASSERT_EQUAL_FATAL(guest_extents_open(guest, rig->places), 0);
    rig_daemon(rig);
}

static void rig_close(struct rig *rig)
{
    struct guest *guest = rig->guest;

    guest_extents_close(guest);
    pool_extents_close(rig->places);
    mailbox_close(guest->mailbox);
    loop_close(guest->loop);
    close(guest->daemon.fd);
    close(rig->daemon);
    free(guest);
}

/* What the worker has said next: its type, or 0. */
static uint32_t rig_heard(struct rig *rig, struct wire_msg *msg)
{
    int fds[WIRE_FDS];

    CU_ASSERT_EQUAL(loop_turn(rig->guest->loop, 0), 0);
    return wire_receive(rig->daemon, msg, fds) == 1 ? msg->type : 0;
}

/* Gives `n` places from `first` on; the worker's reply. */
static int rig_give(struct rig *rig, uint32_t first, uint32_t n)
{
    struct wire_msg msg;

    wire_start(&msg, WIRE_EXTENTS_GIVE, 7);
    msg.u.extents.count = n;
    for (uint32_t i = 0; i < n && i < WIRE_EXTENTS; i++)
        msg.u.extents.extent[i] = first + i;
    guest_extents_give(rig->guest, &msg);
    CU_ASSERT_EQUAL(rig_heard(rig, &msg), WIRE_REPLY);
    CU_ASSERT_EQUAL(msg.cookie, 7);
    return msg.u.reply.error;
}

static void test_said(void)
{
    struct rig rig;
    struct wire_msg msg;
    uint32_t place;

    rig_open(&rig);
    CU_ASSERT_EQUAL(pool_extents_take(rig.places, &place), -EAGAIN);
    CU_ASSERT_EQUAL(rig_heard(&rig, &msg), WIRE_EXTENTS_WANT);
    CU_ASSERT_EQUAL(msg.cookie, 0);
    CU_ASSERT_EQUAL(msg.u.extents.count, POOL_EXTENTS_AHEAD);
    CU_ASSERT_EQUAL(pool_extents_take(rig.places, &place), -EAGAIN);
    CU_ASSERT_EQUAL(rig_heard(&rig, &msg), 0);
    CU_ASSERT_EQUAL(rig_give(&rig, 20, 8), 0);
    CU_ASSERT_EQUAL(rig_give(&rig, 27, 2), -EPROTO);
    CU_ASSERT_EQUAL(rig_give(&rig, 0, WIRE_EXTENTS + 1), -EPROTO);
    for (uint32_t i = 0; i < 4; i++)
        CU_ASSERT_EQUAL(pool_extents_take(rig.places, &place), 0);
    CU_ASSERT_EQUAL(rig_heard(&rig, &msg), 0);
    pool_extents_return(rig.places, 20);
    pool_extents_return(rig.places, 22);
    CU_ASSERT_EQUAL(rig_heard(&rig, &msg), WIRE_EXTENTS_BACK);
    CU_ASSERT_EQUAL(msg.u.extents.count, 2);
    CU_ASSERT_EQUAL(msg.u.extents.extent[0] + msg.u.extents.extent[1], 42);
    CU_ASSERT_EQUAL(rig_heard(&rig, &msg), 0);
    rig_close(&rig);
}

/* The daemon goes while a question is open; meanwhile places are returned. */
static void test_next_daemon(void)
{
    struct rig rig;
    struct wire_msg msg;
    uint32_t place, sum = 0;

    rig_open(&rig);
    CU_ASSERT_EQUAL(rig_give(&rig, 0, 300 - WIRE_EXTENTS), 0);
    CU_ASSERT_EQUAL(rig_give(&rig, 300 - WIRE_EXTENTS, WIRE_EXTENTS), 0);
    for (uint32_t i = 0; i < 300; i++)
        CU_ASSERT_EQUAL(pool_extents_take(rig.places, &place), 0);
    CU_ASSERT_EQUAL(rig_heard(&rig, &msg), WIRE_EXTENTS_WANT);
    CU_ASSERT_EQUAL(rig_give(&rig, 0, 0), 0);
    unit_capture_start();
    guest_orphaned(rig.guest);
    unit_capture_end();
    close(rig.daemon);
    for (uint32_t i = 0; i < 9; i++)
        pool_extents_return(rig.places, i);
    loop_turn(rig.guest->loop, 0);
    rig_daemon(&rig);
    pool_extents_return(rig.places, 9);
    CU_ASSERT_EQUAL(rig_heard(&rig, &msg), 0);
    guest_extents_tell(rig.guest);
    CU_ASSERT_EQUAL(rig_heard(&rig, &msg), WIRE_EXTENTS_GIVE);
    CU_ASSERT_EQUAL(msg.u.extents.count, WIRE_EXTENTS);
    for (uint32_t i = 0; i < msg.u.extents.count; i++)
        sum += msg.u.extents.extent[i];
    CU_ASSERT_EQUAL(rig_heard(&rig, &msg), WIRE_EXTENTS_GIVE);
    CU_ASSERT_EQUAL(msg.u.extents.count, 300 - WIRE_EXTENTS);
    for (uint32_t i = 0; i < msg.u.extents.count; i++)
        sum += msg.u.extents.extent[i];
    CU_ASSERT_EQUAL(sum, 300 * 299 / 2);
    CU_ASSERT_EQUAL(rig_heard(&rig, &msg), 0);
    guest_extents_resumed(rig.guest);
    CU_ASSERT_EQUAL(rig_heard(&rig, &msg), WIRE_EXTENTS_WANT);
    CU_ASSERT_EQUAL(msg.u.extents.count, POOL_EXTENTS_AHEAD);
    CU_ASSERT_EQUAL(rig_heard(&rig, &msg), WIRE_EXTENTS_BACK);
    CU_ASSERT_EQUAL(msg.u.extents.count, 10 - POOL_EXTENTS_SPARE);
    CU_ASSERT_EQUAL(rig_heard(&rig, &msg), 0);
    rig_close(&rig);
}

#define KEEPER_ROUNDS 2000

static _Atomic bool keeper_done;

/* Takes and returns; ends when it has been through it often enough. */
static void *keeper_main(void *arg)
{
    struct pool_extents *places = arg;
    uint32_t held[16], n = 0;

    for (int round = 0; round < KEEPER_ROUNDS;) {
        if (n < ARRAY_SIZE(held) && !pool_extents_take(places, &held[n])) {
            n++;
            continue;
        }
        round += n == ARRAY_SIZE(held);
        if (n == ARRAY_SIZE(held))
            while (n)
                pool_extents_return(places, held[--n]);
        else
            unit_sleep(0);
    }
    keeper_done = true;
    return NULL;
}

/* A keeper on a thread of its own, and a daemon that gives what it is asked for and takes all back:
 * nothing is lost and nothing stands still. */
static void test_keeper(void)
{
    struct rig rig;
    struct wire_msg msg;
    pthread_t keeper;
    bool out[1024] = {false};
    uint32_t wrong = 0, all[64];

    rig_open(&rig);
    keeper_done = false;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&keeper, NULL, keeper_main, rig.places), 0);
    while (!keeper_done) {
        uint32_t type = rig_heard(&rig, &msg), first = 0;

        if (!type)
            unit_sleep(0);
        for (uint32_t i = 0; type == WIRE_EXTENTS_BACK && i < msg.u.extents.count; i++) {
            wrong += !out[msg.u.extents.extent[i]];
            out[msg.u.extents.extent[i]] = false;
        }
        wrong += type == WIRE_REPLY && msg.u.reply.error;
        if (type != WIRE_EXTENTS_WANT)
            continue;
        while (out[first])
            first++;
        out[first] = true;
        wire_start(&msg, WIRE_EXTENTS_GIVE, 7);
        msg.u.extents.count = 1;
        msg.u.extents.extent[0] = first;
        guest_extents_give(rig.guest, &msg);
    }
    pthread_join(keeper, NULL);
    for (uint32_t type; (type = rig_heard(&rig, &msg));)
        for (uint32_t i = 0; type == WIRE_EXTENTS_BACK && i < msg.u.extents.count; i++)
            out[msg.u.extents.extent[i]] = false;
    uint32_t held = pool_extents_held(rig.places, 0, all, ARRAY_SIZE(all));
    for (uint32_t i = 0; i < held; i++)
        wrong += !out[all[i]];
    for (uint32_t i = 0; i < ARRAY_SIZE(out); i++)
        held -= out[i];
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_EQUAL(held, 0);
    rig_close(&rig);
}

static const struct unit_case cases[] = {
    {"asked and returned", test_said},
    {"said again to the next daemon", test_next_daemon},
    {"a keeper on its own thread", test_keeper},
};

int suite_guest_extents(void)
{
    return UNIT_SUITE("guest_extents", cases);
}
