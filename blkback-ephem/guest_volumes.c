// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * guest_volumes: VOLUME_ADD and VOLUME_DEL, and what a guest's volumes tell: statistics, and the
 * replay of everything in force for a daemon that starts anew.
 * A volume has a name (id) for each frontend that counts on it, all in one table, and goes with the
 * last of them; nobody counts, the table is looked through.
 */
#include "guest_life.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "door.h"
#include "engine.h"
#include "pool.h"
#include "util.h"
#include "volume.h"

uint32_t guest_volume_doors(const struct guest *guest, uint32_t id)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < WIRE_DOORS; i++)
        n += guest->doors[i].door && door_config(guest->doors[i].door)->volume == id;
    return n;
}

bool guest_volume_is_first(const struct guest *guest, uint32_t id)
{
    for (uint32_t i = 0; i < id; i++)
        if (guest->volumes[i].volume == guest->volumes[id].volume)
            return false;
    return guest->volumes[id].volume != NULL;
}

static bool guest_volume_is_last(const struct guest *guest, uint32_t id)
{
    for (uint32_t i = 0; i < WIRE_VOLUMES; i++)
        if (i != id && guest->volumes[i].volume == guest->volumes[id].volume)
            return false;
    return true;
}

static int guest_volume_check(const struct wire_volume *asked, int fd)
{
    if (!asked->bytes || asked->bytes % SECTOR_SIZE || asked->base_bytes % SECTOR_SIZE ||
        asked->base_bytes > asked->bytes || (asked->base_bytes != 0) != (fd >= 0))
        return -EINVAL;
    if (asked->flags & WIRE_VOLUME_GROWS && asked->base_bytes != asked->bytes)
        return -EINVAL;
    return 0;
}

/* A volume of its own; takes the base. */
static int guest_volume_open(struct guest *guest, const struct wire_volume *asked,
                             int fds[WIRE_FDS])
{
    struct volume_config config = {
        .bytes = asked->bytes,
        .base_bytes = asked->base_bytes,
        .base = fds[0],
        .grows = asked->flags & WIRE_VOLUME_GROWS,
        .readonly = asked->flags & WIRE_VOLUME_READONLY,
        .discard = asked->flags & WIRE_VOLUME_DISCARD,
    };
    int err = guest_volume_check(asked, fds[0]);

    if (err)
        return err;
    memcpy(config.name, asked->name, sizeof(config.name));
    err = volume_open(&guest->volumes[asked->id].volume, engine_pool(guest->engine), &config);
    if (!err)
        fds[0] = -1;
    return err;
}

/* One more name of a volume that is there, and stays: its end has not been asked for. */
static int guest_volume_share(struct guest *guest, const struct wire_volume *asked, int fd)
{
    if (fd >= 0 || asked->same >= WIRE_VOLUMES || asked->base_bytes)
        return -EINVAL;
    const struct guest_volume *other = &guest->volumes[asked->same];
    if (!other->volume || other->del_cookie)
        return -ENOENT;
    if ((asked->flags ^ other->asked.flags) & (WIRE_VOLUME_READONLY | WIRE_VOLUME_GROWS))
        return -EINVAL;
    guest->volumes[asked->id].volume = other->volume;
    guest->volumes[asked->id].growing = other->growing;
    return 0;
}

static void guest_volume_added(struct guest *guest, const struct wire_msg *msg)
{
    struct guest_volume *place = &guest->volumes[msg->u.volume.id];

    place->asked = msg->u.volume;
    place->asked.bytes = volume_bytes(place->volume);
    place->asked.base_bytes = volume_base_bytes(place->volume);
    place->guest = guest;
    place->del_cookie = 0;
    guest_reply_errno(guest, msg->cookie, 0);
    /* It had grown before this name was given, and the daemon did not know yet. */
    if (place->asked.bytes > msg->u.volume.bytes)
        guest_tell_grew(guest, place->asked.id, place->asked.bytes);
}

void guest_volume_add(struct guest *guest, const struct wire_msg *msg, int fds[WIRE_FDS])
{
    const struct wire_volume *asked = &msg->u.volume;
    int err = -EINVAL;

    if (asked->id < WIRE_VOLUMES && !guest->volumes[asked->id].volume)
        err = asked->flags & WIRE_VOLUME_SAME ? guest_volume_share(guest, asked, fds[0])
                                              : guest_volume_open(guest, asked, fds);
    if (err == -ENOENT && asked->flags & WIRE_VOLUME_SAME)
        guest_reply(guest, msg->cookie, err,
                    "the guest's other frontend of this disk has no volume: see that one's error");
    else if (err)
        guest_reply_errno(guest, msg->cookie, err);
    else
        guest_volume_added(guest, msg);
}

static void guest_volume_close(struct guest *guest, uint32_t id, uint32_t cookie)
{
    if (guest_volume_is_last(guest, id))
        volume_close(guest->volumes[id].volume);
    guest->volumes[id].volume = NULL;
    guest->volumes[id].growing = false;
    guest->volumes[id].del_cookie = 0;
    guest_reply_errno(guest, cookie, 0);
}

void guest_volume_settle(struct guest *guest, uint32_t id)
{
    const struct guest_volume *place = &guest->volumes[id];

    if (place->del_cookie && !place->growing && !place->nbd)
        guest_volume_close(guest, id, place->del_cookie);
}

void guest_volume_del(struct guest *guest, const struct wire_msg *msg)
{
    uint32_t id = msg->u.volume.id;
    int err = 0;

    if (id >= WIRE_VOLUMES || !guest->volumes[id].volume)
        err = -ENOENT;
    else if (guest_volume_doors(guest, id))
        err = -EBUSY;
    else if (guest->volumes[id].del_cookie)
        err = -EALREADY;
    if (err) {
        guest_reply_errno(guest, msg->cookie, err);
        return;
    }
    guest->volumes[id].del_cookie = msg->cookie;
    guest_nbd_shut(guest, id);
    guest_volume_settle(guest, id);
}

static uint64_t guest_resident(const struct guest *guest)
{
    unsigned long long size = 0, resident = 0, shared = 0;
    char text[128];
    ssize_t got = pread(guest->statm, text, sizeof(text) - 1, 0);

    text[got > 0 ? got : 0] = '\0';
    if (sscanf(text, "%llu %llu %llu", &size, &resident, &shared) != 3)
        resident = shared = 0;
    /* Not the guest's ring pages and the programs' text. */
    return (resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void guest_stats_pool(const struct guest *guest, struct wire_stats_guest *g)
{
    struct pool_stats stats;

    pool_stats(engine_pool(guest->engine), &stats);
    g->pool_bytes = stats.taken;
    g->pool_used = stats.used;
    g->pool_left = stats.left;
    g->low_since = stats.low_since;
    g->ram_bytes = stats.ram;
    g->slot_bytes = stats.memory;
    g->pool_writes = stats.writes;
    g->pool_write_blocks = stats.write_blocks;
    g->tampered = stats.tampered;
    g->held = pool_held(engine_pool(guest->engine), &g->held_since);
}

void guest_stats(struct guest *guest, uint32_t cookie)
{
    struct wire_msg msg;

    for (uint32_t i = 0; i < WIRE_VOLUMES; i++) {
        struct volume_stats stats;
        if (!guest->volumes[i].volume)
            continue;
        volume_stats(guest->volumes[i].volume, &stats);
        wire_start(&msg, WIRE_STATS_VOLUME, cookie);
        msg.u.stats_volume = (struct wire_stats_volume){
            .id = i,
            .doors = guest_volume_doors(guest, i),
            .reads = stats.reads,
            .writes = stats.writes,
            .flushes = stats.flushes,
            .discards = stats.discards,
            .bytes_read = stats.bytes_read,
            .bytes_written = stats.bytes_written,
            .errors = stats.errors,
            .blocks = stats.blocks,
            .index_bytes = stats.index_bytes,
            .latency_ns = stats.latency_ns,
        };
        static_assert(sizeof(msg.u.stats_volume.latency) == sizeof(stats.latency), "all classes");
        memcpy(msg.u.stats_volume.latency, stats.latency, sizeof(stats.latency));
        guest_send(guest, &msg);
    }
    struct wire_stats_guest *g = &msg.u.stats_guest;
    wire_start(&msg, WIRE_STATS_GUEST, cookie);
    guest_stats_pool(guest, g);
    g->resident = guest_resident(guest);
    g->throttled = limit_throttled(engine_limit(guest->engine));
    guest_send(guest, &msg);
    guest_reply_errno(guest, cookie, 0);
}

void guest_resume(struct guest *guest, uint32_t cookie)
{
    struct wire_msg msg;

    wire_start(&msg, WIRE_HELLO, 0);
    msg.u.hello = guest->hello;
    guest_send(guest, &msg);
    for (uint32_t i = 0; i < WIRE_VOLUMES; i++) {
        if (!guest->volumes[i].volume)
            continue;
        wire_start(&msg, WIRE_VOLUME_ADD, 0);
        msg.u.volume = guest->volumes[i].asked;
        guest_send(guest, &msg);
    }
    for (uint32_t domid = 0; domid < ARRAY_SIZE(guest->domains); domid++) {
        for (uint32_t t = 0; guest->domains[domid] && t < guest->hello.threads; t++) {
            wire_start(&msg, WIRE_EVTCHN_ADD, 0);
            msg.u.evtchn = (struct wire_evtchn){.domid = domid, .thread = t};
            guest_send(guest, &msg);
        }
    }
    for (uint32_t i = 0; i < WIRE_DOORS; i++) {
        /* A closing one too: only a DISCONNECT of its own tells the new daemon that it has ended. */
        if (!guest->doors[i].door)
            continue;
        wire_start(&msg, WIRE_CONNECT, 0);
        msg.u.door = *door_config(guest->doors[i].door);
        guest_send(guest, &msg);
        if (guest->doors[i].dead)
            guest_tell_dead(guest, i, guest->doors[i].dead);
    }
    guest_extents_tell(guest);
    guest_reply_errno(guest, cookie, 0);
    guest_extents_resumed(guest);
}
