// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * guest: the main thread of a worker.  Acquire (HELLO), drop, then parse: no guest-written byte is
 * looked at before sandbox_close().
 *
 * Original messages are kept, because a restarted daemon learns from them what it had asked for.
 * Without a daemon the guest is served on; a door whose domain has died is closed, so that no dead
 * domain's page is kept.  The life itself ends by QUIT only: a frontend that went may come back.
 * Deliberately absent: paths, xenstore, policy.
 */
#include "guest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "door.h"
#include "engine.h"
#include "guest_life.h"
#include "log.h"
#include "loop.h"
#include "mailbox.h"
#include "pool.h"
#include "sandbox.h"

#define TICK_MS 2000u

_Static_assert(SANDBOX_TEXT <= ENGINE_TEXT, "both go into one text");

static struct engine_config guest_config(const struct wire_hello *hello, int pool)
{
    struct engine_config config = {
        .threads = hello->threads,
        .poll = hello->poll,
        .xen = true,
        .pool = {.kind = (enum pool_kind)hello->pool.kind,
                 .lz4 = hello->pool.flags & WIRE_POOL_LZ4,
                 .integrity = hello->pool.flags & WIRE_POOL_INTEGRITY,
                 .fd = pool,
                 .bytes = hello->pool.bytes,
                 .ram = hello->pool.ram,
                 .low_water = hello->pool.low_water},
        .rates = {.iops = hello->rates.iops, .bandwidth = hello->rates.bandwidth}};

    snprintf(config.pool.whose, sizeof(config.pool.whose), "guest %u: ", hello->domid);
    return config;
}

static bool guest_hello_valid(const struct guest *guest, const struct wire_hello *hello,
                              const int fds[WIRE_FDS])
{
    return !guest->engine && hello->version == WIRE_VERSION && fds[0] >= 0 && hello->threads &&
           hello->threads <= WIRE_THREADS && hello->poll <= WIRE_POLL &&
           hello->pool.kind <= WIRE_POOL_RAM && (hello->pool.kind == WIRE_POOL_RAM) == (fds[1] < 0);
}

/* Drop: from here on nothing is opened, and the descriptors that come later come from the daemon. */
static int guest_shut_in(struct guest *guest, char text[ENGINE_TEXT])
{
    guest->statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    int err = guest->statm < 0 ? -errno : 0;
    if (err) {
        snprintf(text, ENGINE_TEXT, "/proc/self/statm: %s: mount /proc", strerror(-err));
        return err;
    }
    err = sandbox_drop(SANDBOX_WORKER, text);
    if (err)
        return err;
    err = engine_start(guest->engine);
    if (err)
        snprintf(text, ENGINE_TEXT, "threads cannot be started: %s", strerror(-err));
    else
        err = sandbox_close(SANDBOX_WORKER, text);
    return err;
}

/* The life's beginning. */
static void guest_hello(struct guest *guest, const struct wire_msg *msg, int fds[WIRE_FDS])
{
    char text[ENGINE_TEXT] = "";

    if (!guest_hello_valid(guest, &msg->u.hello, fds)) {
        guest_reply(guest, msg->cookie, -EPROTO,
                    "HELLO: wrong version, threads, pool or descriptors");
        return;
    }
    struct engine_config config = guest_config(&msg->u.hello, fds[1]);
    int err = engine_open(&guest->engine, &config, text);
    fds[1] = -1;
    if (!err)
        err = guest_extents_open(guest, pool_extents(engine_pool(guest->engine)));
    if (!err)
        err = guest_shut_in(guest, text);
    if (!err) {
        guest->hello = msg->u.hello;
        guest->listener.fd = fds[0];
        fds[0] = -1;
        err = loop_add(guest->loop, &guest->listener, EPOLLIN);
    }
    guest_reply(guest, msg->cookie, err, text);
    guest->ended = err;
    guest->status = err ? 1 : 0;
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
    case WIRE_NBD_ADD:
        guest_nbd_add(guest, msg, fds);
        break;
    case WIRE_STATS:
        guest_stats(guest, msg->cookie);
        break;
    case WIRE_RESUME:
        guest_resume(guest, msg->cookie);
        break;
    case WIRE_REFRESH:
        guest_refresh(guest, msg->cookie);
        break;
    case WIRE_EXTENTS_GIVE:
        guest_extents_give(guest, msg);
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
    /* The newest wins: only one daemon can run, and its predecessor's end may not have been seen. */
    if (guest->daemon.fd >= 0)
        guest_orphaned(guest);
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

    guest_look_at_bases(guest);
    if (guest->engine)
        engine_look(guest->engine);
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
    list_init(&guest->refreshes);
    guest->statm = -1;
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
    status = guest->engine ? guest->status : 1;
    guest_nbd_close_all(guest);
    engine_close(guest->engine);
    guest_extents_close(guest);
    return status;
}
