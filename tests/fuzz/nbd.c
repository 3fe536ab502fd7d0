// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fuzz/nbd: the NBD door from accept to close: up to three clients that negotiate and ask, honestly or
 * not, read slowly, go away in the middle; the production door, volume and pool; disks that are late,
 * fail and fill up.  In the end whoever can still be understood gets every answer, and nothing is left.
 */
#include "nbd.h"

#include "client.h"
#include "kernel.h"
#include "loop.h"
#include "model.h"

#define CLIENTS 3u
#define SETTLE  40000

static struct world world;
static struct client clients[CLIENTS];
static struct loop *loop;
static struct nbd *door;
static int listener;

static void nbd_turn(uint32_t us)
{
    FUZZ_CHECK(!loop_turn(loop, 0));
    world_turn(&world, us);
    for (uint32_t i = 0; i < CLIENTS; i++)
        if (clients[i].state != CLIENT_NONE && kernel_gone(clients[i].fd)) {
            client_take(&clients[i], CLIENT_IN); /* what it got before */
            client_lost(&clients[i]);
        }
}

static void nbd_waits(void)
{
    static int turns;

    nbd_turn(1000);
    turns = clients[0].state + clients[1].state + clients[2].state ? turns + 1 : 0;
    FUZZ_CHECK(turns < SETTLE);
}

static void nbd_begin(struct fuzz_input *in)
{
    struct nbd_export export = {.name = "disk"};

    world_open(&world, in);
    model_open(WORLD_SECTORS, (uint32_t)(world.rig.config.base_bytes / 512));
    export.volume = world.rig.volume;
    FUZZ_CHECK(!loop_open(&loop));
    listener = kernel_listener();
    FUZZ_CHECK(!nbd_open(&door, loop, listener, &export, 1, world.rig.lanes, world.rig.config.lanes,
                         world.limit));
    for (uint32_t i = 0; i < CLIENTS; i++)
        clients[i].state = CLIENT_NONE;
    kernel_waits = nbd_waits;
}

static void nbd_connect(struct client *client)
{
    if (client->state != CLIENT_NONE)
        return;
    client->last_cookie = 0;
    client_open(client, &world, kernel_socket());
    kernel_arrives(listener, client->fd);
}

static void nbd_step(struct fuzz_input *in)
{
    uint8_t what = fuzz_u8(in);
    struct client *client = &clients[(what >> 6) % CLIENTS];

    if (client->state == CLIENT_NONE)
        nbd_connect(client);
    else if ((what & 15) < 8)
        client_step(client, in);
    else if ((what & 15) < 12)
        nbd_turn(what & 0x20 ? 100 : 5000);
    else if ((what & 15) == 12)
        world_trouble(&world, in);
    else if ((what & 15) == 13)
        client_take(client, fuzz_u8(in) * 16u);
    else
        for (int i = 0; i < 8; i++) {
            nbd_turn(what & 1 ? 2000000 : 1000);
            client_take(client, CLIENT_IN);
        }
}

static bool nbd_rests(void)
{
    for (uint32_t i = 0; i < CLIENTS; i++)
        if (clients[i].state != CLIENT_NONE && !clients[i].wild && !client_rests(&clients[i]))
            return false;
    return true;
}

static void nbd_settle(void)
{
    int turns = 0;

    world_heal(&world);
    do {
        nbd_turn(1000);
        for (uint32_t i = 0; i < CLIENTS; i++)
            client_take(&clients[i], CLIENT_IN);
        FUZZ_CHECK(turns++ < SETTLE); /* something is never answered */
    } while (!nbd_rests());
}

static void nbd_end(void)
{
    nbd_close(door);
    nbd_turn(0);
    for (uint32_t i = 0; i < CLIENTS; i++)
        FUZZ_CHECK(clients[i].state == CLIENT_NONE);
    loop_close(loop);
    kernel_close(listener);
    world_close(&world);
}

const struct world_target world_target = {
    .begin = nbd_begin, .step = nbd_step, .settle = nbd_settle, .end = nbd_end};
