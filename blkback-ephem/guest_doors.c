// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * guest_doors: EVTCHN_ADD and _DEL, CONNECT and DISCONNECT, and what becomes of a door: closed as
 * asked, dead by its frontend's fault, or silent because its domain died while there was no daemon.
 */
#include "guest_life.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "door.h"
#include "engine.h"
#include "iothread.h"
#include "log.h"
#include "pump.h"

struct events_call {
    struct pump *pump;
    uint32_t domid;
    int fd, err;
};

static void guest_events_add_there(void *arg)
{
    struct events_call *call = arg;

    call->err = pump_events_add(call->pump, call->domid, call->fd);
}

static void guest_events_remove_there(void *arg)
{
    struct events_call *call = arg;

    call->err = pump_events_remove(call->pump, call->domid);
}

void guest_evtchn_add(struct guest *guest, const struct wire_msg *msg, int fds[WIRE_FDS])
{
    struct events_call call = {.domid = msg->u.evtchn.domid, .fd = fds[0], .err = -EINVAL};
    uint32_t thread = msg->u.evtchn.thread;

    if (thread < engine_threads(guest->engine) && call.domid <= UINT16_MAX && fds[0] >= 0) {
        fds[0] = -1;
        call.pump = engine_pump(guest->engine, thread);
        iothread_call(engine_thread(guest->engine, thread), guest_events_add_there, &call);
        if (!call.err)
            guest->domains[call.domid] = true;
    }
    guest_reply_errno(guest, msg->cookie, call.err);
}

void guest_evtchn_del(struct guest *guest, const struct wire_msg *msg)
{
    struct events_call call = {.domid = msg->u.evtchn.domid};

    for (uint32_t i = 0; i < engine_threads(guest->engine) && !call.err; i++) {
        call.pump = engine_pump(guest->engine, i);
        iothread_call(engine_thread(guest->engine, i), guest_events_remove_there, &call);
    }
    if (!call.err && call.domid <= UINT16_MAX)
        guest->domains[call.domid] = false;
    guest_reply_errno(guest, msg->cookie, call.err);
}

static void guest_door_dead(struct door *door, const char *why)
{
    struct guest_door *place = door_arg(door);

    /* One line a cause: the daemon logs what it is told. */
    if (place->guest->daemon.fd < 0)
        log_warn("domain %u, device %u: %s: not served any more", door_config(door)->domid,
                 door_config(door)->devid, why);
    place->dead = why;
    guest_tell_dead(place->guest, door_config(door)->id, why);
}

static void guest_door_silent(struct door *door)
{
    struct guest_door *place = door_arg(door);

    if (place->guest->daemon.fd >= 0)
        return;
    log_info("domain %u is gone: letting go of its device %u", door_config(door)->domid,
             door_config(door)->devid);
    door_close(door, true);
}

static void guest_door_closed(struct door *door)
{
    struct guest_door *place = door_arg(door);
    struct guest *guest = place->guest;

    place->door = NULL;
    if (place->error && place->connect_cookie)
        guest_reply_errno(guest, place->connect_cookie, place->error);
    if (place->disconnect_cookie)
        guest_reply_errno(guest, place->disconnect_cookie, 0);
    place->error = 0;
    place->disconnect_cookie = 0;
}

void guest_connect(struct guest *guest, const struct wire_msg *msg)
{
    const struct wire_door *asked = &msg->u.door;
    int err = -EINVAL;

    if (asked->id < WIRE_DOORS && asked->volume < WIRE_VOLUMES && !guest->doors[asked->id].door &&
        guest->volumes[asked->volume].volume && !guest->volumes[asked->volume].del_cookie) {
        struct guest_door *place = &guest->doors[asked->id];
        struct door_events events = {.dead = guest_door_dead,
                                     .closed = guest_door_closed,
                                     .silent = guest_door_silent,
                                     .arg = place};
        place->guest = guest;
        place->dead = NULL;
        err = door_open(&place->door, guest->engine, guest->mailbox,
                        guest->volumes[asked->volume].volume, asked, &events);
        if (err && place->door) {
            place->error = err;
            place->connect_cookie = msg->cookie;
            return;
        }
    }
    guest_reply_errno(guest, msg->cookie, err);
}

void guest_disconnect(struct guest *guest, const struct wire_msg *msg)
{
    uint32_t id = msg->u.disconnect.id;

    if (id >= WIRE_DOORS || !guest->doors[id].door) {
        guest_reply_errno(guest, msg->cookie, -ENOENT);
        return;
    }
    /* Asked again with force: the first asker is answered now, the second at the end. */
    if (guest->doors[id].disconnect_cookie)
        guest_reply_errno(guest, guest->doors[id].disconnect_cookie, -EALREADY);
    guest->doors[id].disconnect_cookie = msg->cookie;
    door_close(guest->doors[id].door, msg->u.disconnect.force);
}
