// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * guest: the main thread of a worker.  Acquire (HELLO), drop, then parse: no guest-written byte is
 * looked at before sandbox_drop.
 *
 * Original messages are kept, because a restarted daemon learns from them what it had asked for.
 * Without a daemon the guest is served on; a door whose domain has died is closed, so that no dead
 * domain's page is kept, and with the last of them the life ends.
 * Deliberately absent: paths, xenstore, policy.
 */
#include "guest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "door.h"
#include "engine.h"
#include "iothread.h"
#include "log.h"
#include "loop.h"
#include "mailbox.h"
#include "pool.h"
#include "pump.h"
#include "sandbox.h"
#include "volume.h"
#include "wire.h"

#define TICK_MS 2000u

struct guest_volume {
    struct volume *volume;
    struct wire_volume asked;
};

struct guest_door {
    struct door *door;
    struct guest *guest;
    uint32_t connect_cookie;    /* of a CONNECT that failed and is being undone */
    uint32_t disconnect_cookie; /* 0: nobody waits for the end */
    int error;
};

struct guest {
    struct loop *loop;
    struct mailbox *mailbox;
    struct engine *engine;
    struct loop_source daemon, listener;
    struct loop_timer tick;
    bool ended;
    int status;
    struct wire_hello hello;
    struct guest_volume volumes[WIRE_VOLUMES];
    struct guest_door doors[WIRE_DOORS];
    bool domains[1u << 16];
};

static void guest_orphaned(struct guest *guest)
{
    log_warn("the daemon is gone: serving on without it");
    loop_remove(&guest->daemon);
    close(guest->daemon.fd);
    guest->daemon.fd = -1;
    if (guest->listener.fd < 0)
        guest->ended = true;
}

static void guest_send(struct guest *guest, const struct wire_msg *msg)
{
    if (guest->daemon.fd >= 0 && wire_send(guest->daemon.fd, msg, NULL, 0))
        guest_orphaned(guest);
}

static void guest_reply(struct guest *guest, uint32_t cookie, int error, const char *text)
{
    struct wire_msg msg;

    wire_start(&msg, WIRE_REPLY, cookie);
    msg.u.reply.error = error;
    if (error)
        snprintf(msg.u.reply.text, sizeof(msg.u.reply.text), "%s", text);
    guest_send(guest, &msg);
}

static void guest_reply_errno(struct guest *guest, uint32_t cookie, int error)
{
    guest_reply(guest, cookie, error, error ? strerror(-error) : "");
}

/* The life's beginning. */
static void guest_hello(struct guest *guest, const struct wire_msg *msg, int fds[WIRE_FDS])
{
    char text[ENGINE_TEXT] = "";
    int err = -EPROTO;

    if (guest->engine || msg->u.hello.version != WIRE_VERSION || fds[0] < 0 || fds[1] < 0 ||
        !msg->u.hello.threads || msg->u.hello.threads > WIRE_THREADS) {
        guest_reply(guest, msg->cookie, err, "HELLO: wrong version, threads or descriptors");
        return;
    }
    err = engine_open(&guest->engine, msg->u.hello.threads, fds[0], true, text);
    fds[0] = -1;
    if (!err) {
        err = sandbox_drop(false);
        if (!err)
            err = engine_start(guest->engine);
        if (err)
            snprintf(text, sizeof(text), "privileges cannot be dropped: %s", strerror(-err));
    }
    if (!err) {
        guest->hello = msg->u.hello;
        guest->listener.fd = fds[1];
        fds[1] = -1;
        err = loop_add(guest->loop, &guest->listener, EPOLLIN);
    }
    guest_reply(guest, msg->cookie, err, text);
    guest->ended = err;
}

static int guest_volume_check(const struct guest *guest, const struct wire_volume *asked, int fd)
{
    if (asked->id >= WIRE_VOLUMES || guest->volumes[asked->id].volume)
        return -EINVAL;
    if (!asked->bytes || asked->bytes % SECTOR_SIZE || asked->base_bytes % SECTOR_SIZE ||
        asked->base_bytes > asked->bytes || (asked->base_bytes != 0) != (fd >= 0))
        return -EINVAL;
    return 0;
}

static void guest_volume_add(struct guest *guest, const struct wire_msg *msg, int fds[WIRE_FDS])
{
    const struct wire_volume *asked = &msg->u.volume;
    int err = guest_volume_check(guest, asked, fds[0]);

    if (!err) {
        struct volume_config config = {
            .bytes = asked->bytes,
            .base_bytes = asked->base_bytes,
            .base = fds[0],
            .readonly = asked->flags & WIRE_VOLUME_READONLY,
            .discard = asked->flags & WIRE_VOLUME_DISCARD,
        };
        memcpy(config.name, asked->name, sizeof(config.name));
        struct guest_volume *place = &guest->volumes[asked->id];
        err = volume_open(&place->volume, engine_pool(guest->engine), &config);
        if (!err) {
            place->asked = *asked;
            fds[0] = -1;
        }
    }
    guest_reply_errno(guest, msg->cookie, err);
}

static uint32_t guest_volume_doors(const struct guest *guest, uint32_t id)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < WIRE_DOORS; i++)
        n += guest->doors[i].door && door_config(guest->doors[i].door)->volume == id;
    return n;
}

static void guest_volume_del(struct guest *guest, const struct wire_msg *msg)
{
    uint32_t id = msg->u.volume.id;
    int err = 0;

    if (id >= WIRE_VOLUMES || !guest->volumes[id].volume)
        err = -ENOENT;
    else if (guest_volume_doors(guest, id))
        err = -EBUSY;
    if (!err) {
        volume_close(guest->volumes[id].volume);
        guest->volumes[id].volume = NULL;
    }
    guest_reply_errno(guest, msg->cookie, err);
}

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

static void guest_evtchn_add(struct guest *guest, const struct wire_msg *msg, int fds[WIRE_FDS])
{
    struct events_call call = {.domid = msg->u.evtchn.domid, .fd = fds[0], .err = -EINVAL};
    uint32_t thread = msg->u.evtchn.thread;

    if (thread < engine_threads(guest->engine) && call.domid <= UINT16_MAX && fds[0] >= 0) {
        call.pump = engine_pump(guest->engine, thread);
        iothread_call(engine_thread(guest->engine, thread), guest_events_add_there, &call);
        if (!call.err) {
            fds[0] = -1;
            guest->domains[call.domid] = true;
        }
    }
    guest_reply_errno(guest, msg->cookie, call.err);
}

static void guest_evtchn_del(struct guest *guest, const struct wire_msg *msg)
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
    struct wire_msg msg;

    log_warn("domain %u, device %u: %s: not served any more", door_config(door)->domid,
             door_config(door)->devid, why);
    wire_start(&msg, WIRE_DEAD, 0);
    msg.u.dead.id = door_config(door)->id;
    snprintf(msg.u.dead.text, sizeof(msg.u.dead.text), "%s", why);
    guest_send(place->guest, &msg);
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
    bool any = false;

    place->door = NULL;
    if (place->error)
        guest_reply_errno(guest, place->connect_cookie, place->error);
    if (place->disconnect_cookie)
        guest_reply_errno(guest, place->disconnect_cookie, 0);
    place->error = 0;
    place->disconnect_cookie = 0;
    for (uint32_t i = 0; i < WIRE_DOORS; i++)
        any |= guest->doors[i].door != NULL;
    if (!any && guest->daemon.fd < 0) {
        log_info("the guest is gone and so is the daemon: ending");
        guest->ended = true;
    }
}

static void guest_connect(struct guest *guest, const struct wire_msg *msg)
{
    const struct wire_door *asked = &msg->u.door;
    int err = -EINVAL;

    if (asked->id < WIRE_DOORS && asked->volume < WIRE_VOLUMES && !guest->doors[asked->id].door &&
        guest->volumes[asked->volume].volume) {
        struct guest_door *place = &guest->doors[asked->id];
        struct door_events events = {.dead = guest_door_dead,
                                     .closed = guest_door_closed,
                                     .silent = guest_door_silent,
                                     .arg = place};
        place->guest = guest;
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

static void guest_disconnect(struct guest *guest, const struct wire_msg *msg)
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

static uint64_t guest_resident(void)
{
    unsigned long long size = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "re");

    if (f && fscanf(f, "%llu %llu", &size, &resident) != 2)
        resident = 0;
    if (f)
        fclose(f);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void guest_stats(struct guest *guest, uint32_t cookie)
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
            .discards = stats.discards,
            .bytes_read = stats.bytes_read,
            .bytes_written = stats.bytes_written,
            .errors = stats.errors,
            .blocks = stats.blocks,
            .index_bytes = stats.index_bytes,
        };
        guest_send(guest, &msg);
    }
    struct wire_stats_guest *g = &msg.u.stats_guest;
    wire_start(&msg, WIRE_STATS_GUEST, cookie);
    pool_usage(engine_pool(guest->engine), &g->pool_bytes, &g->pool_used);
    g->held = pool_held(engine_pool(guest->engine), &g->held_since);
    g->resident = guest_resident();
    guest_send(guest, &msg);
    guest_reply_errno(guest, cookie, 0);
}

static void guest_resume(struct guest *guest, uint32_t cookie)
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
        if (!guest->doors[i].door || door_closing(guest->doors[i].door))
            continue;
        wire_start(&msg, WIRE_CONNECT, 0);
        msg.u.door = *door_config(guest->doors[i].door);
        guest_send(guest, &msg);
    }
    guest_reply_errno(guest, cookie, 0);
}

static void guest_handle(struct guest *guest, const struct wire_msg *msg, int fds[WIRE_FDS])
{
    if (!guest->engine && msg->type != WIRE_HELLO) {
        guest_reply(guest, msg->cookie, -EPROTO, "HELLO must come first");
        return;
    }
    switch (msg->type) {
    case WIRE_HELLO:
        guest_hello(guest, msg, fds);
        break;
    case WIRE_VOLUME_ADD:
        guest_volume_add(guest, msg, fds);
        break;
    case WIRE_VOLUME_DEL:
        guest_volume_del(guest, msg);
        break;
    case WIRE_EVTCHN_ADD:
        guest_evtchn_add(guest, msg, fds);
        break;
    case WIRE_EVTCHN_DEL:
        guest_evtchn_del(guest, msg);
        break;
    case WIRE_CONNECT:
        guest_connect(guest, msg);
        break;
    case WIRE_DISCONNECT:
        guest_disconnect(guest, msg);
        break;
    case WIRE_STATS:
        guest_stats(guest, msg->cookie);
        break;
    case WIRE_RESUME:
        guest_resume(guest, msg->cookie);
        break;
    case WIRE_QUIT:
        guest_reply_errno(guest, msg->cookie, 0);
        guest->ended = true;
        break;
    default:
        guest_reply(guest, msg->cookie, -EPROTO, "unknown message");
    }
}

static void guest_readable(struct loop_source *source, uint32_t events)
{
    struct guest *guest = container_of(source, struct guest, daemon);
    struct wire_msg msg;
    int fds[WIRE_FDS];

    (void)events;
    int got = wire_receive(source->fd, &msg, fds);
    if (got == -EAGAIN)
        return;
    if (got <= 0) {
        guest_orphaned(guest);
        return;
    }
    guest_handle(guest, &msg, fds);
    for (int i = 0; i < WIRE_FDS; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

/* A daemon comes back.  The socket's mode keeps others out; root alone may pass besides. */
static void guest_accept(struct loop_source *source, uint32_t events)
{
    struct guest *guest = container_of(source, struct guest, listener);
    int fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC);

    (void)events;
    if (fd < 0)
        return;
    if (guest->daemon.fd >= 0) {
        close(fd);
        return;
    }
    guest->daemon.fd = fd;
    if (loop_add(guest->loop, &guest->daemon, EPOLLIN)) {
        close(fd);
        guest->daemon.fd = -1;
        return;
    }
    log_info("a daemon has taken over");
}

static void guest_tick(struct loop_timer *timer)
{
    struct guest *guest = container_of(timer, struct guest, tick);

    for (uint32_t i = 0; i < WIRE_VOLUMES; i++)
        if (guest->volumes[i].volume)
            volume_check_base(guest->volumes[i].volume);
    for (uint32_t i = 0; guest->daemon.fd < 0 && i < WIRE_DOORS; i++)
        if (guest->doors[i].door)
            door_probe(guest->doors[i].door);
    loop_timer_set(guest->loop, &guest->tick, TICK_MS);
}

int guest_run(int sock)
{
    struct guest *guest = calloc(1, sizeof(*guest));
    int status = 1;

    if (!guest || loop_open(&guest->loop) || mailbox_open(&guest->mailbox, guest->loop)) {
        log_error("out of memory");
        return 1;
    }
    guest->daemon = (struct loop_source){.fd = sock, .ready = guest_readable};
    guest->listener = (struct loop_source){.fd = -1, .ready = guest_accept};
    guest->tick.fire = guest_tick;
    if (loop_add(guest->loop, &guest->daemon, EPOLLIN)) {
        log_error("worker: descriptor %d is not a socket: it is started by blkback-ephemd", sock);
        return 1;
    }
    loop_timer_set(guest->loop, &guest->tick, TICK_MS);
    while (!guest->ended && !loop_turn(guest->loop, -1))
        ;
    status = guest->engine ? 0 : 1;
    engine_close(guest->engine);
    return status;
}
