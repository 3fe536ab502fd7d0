// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * connect: keys and state are read in one transaction, so that a ring is never put together from
 * the keys of two frontends, an earlier kernel's and a later one's, nor of one that answers to another
 * backend.
 */
#include "connect.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attach.h"
#include "keys.h"

#define CONNECT_PATIENCE 20000 /* ms, for a worker to take a ring */

struct connect_ring {
    struct vbd *vbd;
    struct wire_door *door;
    uint32_t queues; /* at most */
    char text[WIRE_TEXT];
    int verdict;
};

static int connect_read_key(void *from, const char *node, char *out, size_t size)
{
    struct vbd *vbd = from;
    char path[PATH_ROOM];

    path_frontend(path, &vbd->id, node);
    return xenstore_read(vbd->glue->xs, path, out, size);
}

static int connect_ring_body(struct xenstore *xs, void *arg)
{
    struct connect_ring *ring = arg;
    uint64_t state;

    ring->verdict = -ECANCELED;
    if (attach_state(xs, ring->vbd, true, &state) ||
        (state != XENBUS_INITIALISED && state != XENBUS_CONNECTED))
        return -ECANCELED;
    ring->verdict = keys_read(connect_read_key, ring->vbd, ring->queues, ring->door, ring->text);
    return 0;
}

static void connect_done(void *arg, int error, const char *text)
{
    struct vbd *vbd = arg;
    char words[WIRE_TEXT + 32];

    if (!error) {
        vbd->door = VBD_SERVED;
        glue_touched(vbd->glue, vbd->id.domid);
        return;
    }
    life_give_door(vbd->life, vbd->door_id);
    vbd->door_id = -1;
    vbd->door = VBD_NO_DOOR;
    if (error == -EPIPE)
        return;
    snprintf(words, sizeof(words), "its ring cannot be served: %s",
             text[0] ? text : strerror(-error));
    attach_refuse(vbd, words);
}

void connect_ring(struct vbd *vbd)
{
    struct wire_msg msg;

    wire_start(&msg, WIRE_CONNECT, 0);
    struct connect_ring ring = {
        .vbd = vbd, .door = &msg.u.door, .queues = vbd->glue->policy->queues};
    int err = xenstore_transact(vbd->glue->xs, connect_ring_body, &ring);
    if (err == -ECANCELED || xenstore_lost(vbd->glue->xs))
        return;
    if (err == -EAGAIN) {
        attach_refuse(vbd, "the frontend never stops writing its ring keys");
        return;
    }
    if (err || ring.verdict) {
        attach_refuse(vbd, ring.text[0] ? ring.text : "the ring keys cannot be read");
        return;
    }
    err = life_channels(vbd->life, vbd->id.domid);
    vbd->door_id = err ? -1 : life_take_door(vbd->life);
    if (vbd->door_id < 0) {
        attach_refuse(vbd, err ? "no event channel handle for the worker: is xen-evtchn loaded?"
                               : "the guest has too many connections");
        return;
    }
    msg.u.door.id = (uint32_t)vbd->door_id;
    msg.u.door.volume = (uint32_t)vbd->volume_id;
    msg.u.door.domid = vbd->id.domid;
    msg.u.door.devid = vbd->id.devid;
    log_debug("vbd %u/%u: connecting %u queues of %u pages", vbd->id.domid, vbd->id.devid,
              msg.u.door.queues, 1u << msg.u.door.order);
    if (!life_call(vbd->life, &msg, NULL, 0, CONNECT_PATIENCE, connect_done, vbd)) {
        vbd->door = VBD_CONNECTING;
    } else {
        life_give_door(vbd->life, vbd->door_id);
        vbd->door_id = -1;
    }
}

static bool connect_is_same(const struct wire_door *a, const struct wire_door *b)
{
    if (a->protocol != b->protocol || a->queues != b->queues || a->order != b->order ||
        a->queues > WIRE_QUEUES || a->order > KEYS_MAX_ORDER)
        return false;
    for (uint32_t i = 0; i < a->queues; i++) {
        const struct wire_queue *x = &a->queue[i], *y = &b->queue[i];

        if (x->port != y->port || memcmp(x->refs, y->refs, sizeof(x->refs[0]) << a->order))
            return false;
    }
    return true;
}

void connect_compare(struct vbd *vbd)
{
    struct wire_door door = {.id = 0};
    struct connect_ring ring = {.vbd = vbd, .door = &door, .queues = WIRE_QUEUES};

    if (!vbd->replayed || vbd->door != VBD_SERVED)
        return;
    int err = xenstore_transact(vbd->glue->xs, connect_ring_body, &ring);
    if (xenstore_lost(vbd->glue->xs))
        return;
    /* -ECANCELED: the frontend wants no ring any more, which xenbus' table sees too. */
    if (err != -ECANCELED && (err || ring.verdict || !connect_is_same(&door, vbd->replayed)))
        attach_refuse(vbd, "its ring keys are not those its worker serves");
    free(vbd->replayed);
    vbd->replayed = NULL;
}

int connect_put_size(struct xenstore *xs, const struct vbd *vbd)
{
    const struct attach_pair nodes[] = {
        {"sectors", vbd->bytes / SECTOR_SIZE},
        {"info", vbd->readonly ? 4 : 0},
        {"sector-size", SECTOR_SIZE},
        {"physical-sector-size", vbd->bytes % BLOCK_SIZE ? SECTOR_SIZE : BLOCK_SIZE},
    };

    return attach_put_all(xs, vbd, nodes, ARRAY_SIZE(nodes));
}

static int connect_announce_body(struct xenstore *xs, void *arg)
{
    static const struct attach_pair connected[] = {{"state", XENBUS_CONNECTED}};
    struct vbd *vbd = arg;
    uint64_t state;

    if (attach_state(xs, vbd, true, &state) || attach_state(xs, vbd, false, &state) ||
        (state != XENBUS_INIT_WAIT && state != XENBUS_INITIALISED))
        return -ECANCELED;
    int err = connect_put_size(xs, vbd);
    return err ? err : attach_put_all(xs, vbd, connected, ARRAY_SIZE(connected));
}

void connect_announce(struct vbd *vbd)
{
    char path[PATH_ROOM];
    int err = xenstore_transact(vbd->glue->xs, connect_announce_body, vbd);

    if (!err) {
        vbd->announced = vbd->bytes;
        if (log_allowed(&vbd->chatter))
            log_info("vbd %u/%u: connected", vbd->id.domid, vbd->id.devid);
        path_error(path, &vbd->id, NULL);
        xenstore_remove(vbd->glue->xs, path);
    } else if (err != -ECANCELED) {
        if (log_allowed(&vbd->limit))
            log_error("vbd %u/%u: cannot be announced: %s", vbd->id.domid, vbd->id.devid,
                      strerror(-err));
        loop_timer_set(vbd->glue->loop, &vbd->again, 1000);
        return;
    }
    glue_touched(vbd->glue, vbd->id.domid);
}

uint64_t connect_announced(struct vbd *vbd)
{
    char path[PATH_ROOM];
    uint64_t sectors;

    path_backend(path, &vbd->id, "sectors");
    if (xenstore_read_u64(vbd->glue->xs, path, UINT64_MAX / SECTOR_SIZE, &sectors))
        return 0;
    return sectors * SECTOR_SIZE;
}

static int connect_resize_body(struct xenstore *xs, void *arg)
{
    struct vbd *vbd = arg;
    const struct attach_pair nodes[] = {
        {"sectors", vbd->bytes / SECTOR_SIZE},
        {"state", XENBUS_CONNECTED},
    };
    uint64_t state;

    if (attach_state(xs, vbd, false, &state) || state != XENBUS_CONNECTED)
        return -ECANCELED;
    return attach_put_all(xs, vbd, nodes, ARRAY_SIZE(nodes));
}

void connect_resize(struct vbd *vbd)
{
    int err = xenstore_transact(vbd->glue->xs, connect_resize_body, vbd);

    if (!err) {
        vbd->announced = vbd->bytes;
        return;
    }
    if (err == -ECANCELED) {
        glue_touched(vbd->glue, vbd->id.domid);
        return;
    }
    if (log_allowed(&vbd->limit))
        log_error("vbd %u/%u: its new size cannot be announced: %s; trying again", vbd->id.domid,
                  vbd->id.devid, strerror(-err));
    loop_timer_set(vbd->glue->loop, &vbd->again, 1000);
}
