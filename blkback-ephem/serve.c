// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * serve: opens what the operator names (acquire), gives up its privileges (drop), then listens
 * (parse).  Prints "ready" on standard output once clients can connect; at the end it removes its socket
 * and discards all of a device that was its pool.
 */
#include "serve.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "engine.h"
#include "lane.h"
#include "log.h"
#include "loop.h"
#include "mailbox.h"
#include "nbd.h"
#include "sandbox.h"
#include "store.h"
#include "volume.h"

#define CHECK_MS 2000u

struct serve {
    struct loop *loop;
    struct engine *engine;
    struct nbd *nbd;
    struct mailbox *mailbox;
    uint32_t growing; /* volumes */
    struct loop_source signals;
    struct loop_timer check;
    bool ended, bound, started;
    int listener;
    int device; /* the pool's, to be discarded at the end; -1: none, or nothing was written yet */
    uint64_t device_bytes;
    uint32_t count;
    struct store_base bases[SERVE_VOLUMES];
    struct nbd_export exports[SERVE_VOLUMES];
};

static bool name_valid(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");

    return len && len < 32 && !name[len];
}

static int serve_open_base(struct serve *serve, char *volume)
{
    struct store_spec spec;
    char text[STORE_TEXT];
    char *equals = strchr(volume, '=');

    if (equals)
        *equals = '\0';
    if (!equals || !name_valid(volume)) {
        log_error("--volume %s: write NAME=cow:PATH or NAME=blank:SIZE, NAME of letters, digits, "
                  "- and _",
                  volume);
        return -EINVAL;
    }
    for (uint32_t i = 0; i < serve->count; i++) {
        if (strcmp(serve->exports[i].name, volume) == 0) {
            log_error("--volume %s: named twice: give each volume a name of its own", volume);
            return -EINVAL;
        }
    }
    if (store_parse_volume(equals + 1, &spec, text) ||
        store_open_base(&spec, &serve->bases[serve->count], text)) {
        log_error("--volume %s: %s", volume, text);
        return -EINVAL;
    }
    serve->exports[serve->count++].name = volume;
    return 0;
}

/* A socket file nobody listens on any more is a leftover and may go. */
static bool serve_stale(const struct sockaddr_un *address)
{
    struct stat st;

    if (lstat(address->sun_path, &st) || !S_ISSOCK(st.st_mode))
        return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool stale = fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof(*address)) &&
                 errno == ECONNREFUSED;

    if (fd >= 0)
        close(fd);
    return stale && !unlink(address->sun_path);
}

static int serve_listen(struct serve *serve, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (copy_string(address.sun_path, sizeof(address.sun_path), path)) {
        log_error("--nbd %.60s...: path too long: at most %zu characters", path,
                  sizeof(address.sun_path) - 1);
        return -EINVAL;
    }
    serve->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (serve->listener < 0)
        return -errno;
    int err = bind(serve->listener, (struct sockaddr *)&address, sizeof(address));
    if (err && errno == EADDRINUSE && serve_stale(&address))
        err = bind(serve->listener, (struct sockaddr *)&address, sizeof(address));
    if (err || listen(serve->listener, 16)) {
        log_error("--nbd %s: cannot listen there: choose a path in a writable directory that "
                  "nothing listens on",
                  path);
        return -EINVAL;
    }
    serve->bound = true;
    return 0;
}

static int serve_judge_pool(const struct serve_options *options, struct store_pool_spec *spec)
{
    char text[STORE_TEXT];
    const char *key;

    if (store_parse_pool(options->pool, spec, text))
        log_error("%s", text);
    else if (spec->kind == WIRE_POOL_SHARED)
        log_error("pool block:%.120s: shared needs blkback-ephemd, which shares it out: leave "
                  ",shared away",
                  spec->path);
    else if (store_check_limits(spec, &options->limits, &key, text))
        log_error("--%s: %s", key, text);
    else
        return 0;
    return -EINVAL;
}

/* Past the engine's end; the same open file, so nobody else gets the device before it is discarded. */
static void serve_keep_device(struct serve *serve, const struct store_pool *pool)
{
    serve->device = fcntl(pool->fd, F_DUPFD_CLOEXEC, 0);
    serve->device_bytes = pool->bytes;
}

/* When nobody writes to it any more.  A server that never started leaves the device as it was. */
static void serve_drop_device(struct serve *serve, const char *pool)
{
    if (serve->device < 0)
        return;
    int err = serve->started ? store_discard_pool(serve->device, serve->device_bytes) : 0;
    if (err)
        log_warn("pool %.120s: not discarded: %s: ciphertext stays on it, its key is gone", pool,
                 strerror(-err));
    close(serve->device);
}

/* Bases are only read, and so not claimed. */
static bool serve_is_base(const struct serve *serve, int fd)
{
    struct stat pool, base;

    for (uint32_t i = 0; i < serve->count; i++)
        if (serve->bases[i].fd >= 0 && !fstat(serve->bases[i].fd, &base) && S_ISBLK(base.st_mode) &&
            !fstat(fd, &pool) && base.st_rdev == pool.st_rdev)
            return true;
    return false;
}

static int serve_open_engine(struct serve *serve, const struct serve_options *options)
{
    const struct store_limits *limits = &options->limits;
    struct store_pool_spec spec;
    struct store_pool pool;
    char text[ENGINE_TEXT > STORE_TEXT ? ENGINE_TEXT : STORE_TEXT];

    int err = serve_judge_pool(options, &spec);
    if (err)
        return err;
    err = store_open_pool(&spec, &pool, text);
    if (!err && spec.kind == WIRE_POOL_BLOCK && serve_is_base(serve, pool.fd)) {
        close(pool.fd);
        err = store_fail(text, -EBUSY, "pool block:%.120s: the base of a volume: name another",
                         spec.path);
    }
    if (!err && spec.kind == WIRE_POOL_BLOCK)
        serve_keep_device(serve, &pool);
    if (!err) {
        struct engine_config config = {
            .threads = options->threads,
            .pool = {.kind = (enum pool_kind)spec.kind,
                     .lz4 = spec.lz4,
                     .integrity = !limits->no_integrity,
                     .fd = pool.fd,
                     .bytes = pool.bytes ? pool.bytes : limits->quota,
                     .ram = limits->ram_budget,
                     .low_water = limits->low_water},
            .rates = {.iops = limits->iops, .bandwidth = limits->bandwidth}};
        err = engine_open(&serve->engine, &config, text);
    }
    if (err)
        log_error("%s", text);
    return err;
}

static int serve_open_volumes(struct serve *serve)
{
    for (uint32_t i = 0; i < serve->count; i++) {
        struct volume_config config = {.bytes = serve->bases[i].bytes,
                                       .base_bytes = serve->bases[i].base_bytes,
                                       .base = serve->bases[i].fd,
                                       .grows = serve->bases[i].grows,
                                       .discard = true};
        copy_string(config.name, sizeof(config.name), serve->exports[i].name);
        int err = volume_open(&serve->exports[i].volume, engine_pool(serve->engine), &config);
        if (err) {
            log_error("volume %s: %s", config.name,
                      err == -EFBIG ? "too large: at most 16T" : strerror(-err));
            return err;
        }
        serve->bases[i].fd = -1;
    }
    return 0;
}

static void serve_signalled(struct loop_source *source, uint32_t events)
{
    (void)events;
    container_of(source, struct serve, signals)->ended = true;
}

static void serve_grown(void *arg, int error)
{
    struct serve *serve = arg;

    (void)error;
    serve->growing--;
}

static void serve_check(struct loop_timer *timer)
{
    struct serve *serve = container_of(timer, struct serve, check);
    struct volume_growth how = {.mailbox = serve->mailbox, .done = serve_grown, .arg = serve};

    for (uint32_t i = 0; i < serve->count; i++) {
        how.lane = engine_lanes(serve->engine)[i % engine_threads(serve->engine)];
        serve->growing += volume_check_base(serve->exports[i].volume, &how);
    }
    engine_look(serve->engine);
    loop_timer_set(serve->loop, &serve->check, CHECK_MS);
}

/* From the beginning, so that an early signal does not leave a socket behind. */
static void serve_catch(struct serve *serve)
{
    sigset_t mask;

    sigemptyset(&mask);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGINT);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    serve->signals = (struct loop_source){.fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK),
                                          .ready = serve_signalled};
}

static int serve_start(struct serve *serve)
{
    char text[SANDBOX_TEXT] = "";
    int err = sandbox_drop(SANDBOX_SERVE, text);

    if (!err)
        err = engine_start(serve->engine);
    if (!err)
        err = loop_open(&serve->loop);
    if (!err)
        err = loop_add(serve->loop, &serve->signals, EPOLLIN);
    if (!err)
        err = mailbox_open(&serve->mailbox, serve->loop);
    if (!err)
        err = nbd_open(&serve->nbd, serve->loop, serve->listener, serve->exports, serve->count,
                       engine_lanes(serve->engine), engine_threads(serve->engine),
                       engine_limit(serve->engine));
    if (!err)
        err = sandbox_close(SANDBOX_SERVE, text);
    if (err)
        log_error("cannot start: %s", text[0] ? text : strerror(-err));
    serve->check.fire = serve_check;
    return err;
}

/* For those who measure. */
static void serve_report(const struct serve *serve)
{
    struct pool_stats stats;

    if (!serve->started)
        return;
    pool_stats(engine_pool(serve->engine), &stats);
    log_info("pool: %llu writes of %llu blocks, %llu MiB taken", (unsigned long long)stats.writes,
             (unsigned long long)stats.write_blocks, (unsigned long long)stats.taken >> 20);
}

static void serve_close(struct serve *serve, const struct serve_options *options)
{
    serve_report(serve);
    nbd_close(serve->nbd);
    loop_timer_stop(&serve->check);
    while (serve->growing && !loop_turn(serve->loop, -1))
        ;
    for (uint32_t i = 0; i < serve->count; i++) {
        volume_close(serve->exports[i].volume);
        if (serve->bases[i].fd >= 0)
            close(serve->bases[i].fd);
    }
    engine_close(serve->engine);
    serve_drop_device(serve, options->pool);
    if (serve->bound)
        unlink(options->nbd);
    if (serve->listener >= 0)
        close(serve->listener);
    if (serve->signals.fd >= 0)
        close(serve->signals.fd);
    mailbox_close(serve->mailbox);
    loop_close(serve->loop);
}

int serve_run(const struct serve_options *options)
{
    struct serve serve = {.listener = -1, .device = -1};
    int err = 0;

    serve_catch(&serve);
    for (uint32_t i = 0; i < options->count && !err; i++)
        err = serve_open_base(&serve, options->volumes[i]);
    if (!err)
        err = serve_open_engine(&serve, options);
    if (!err)
        err = serve_open_volumes(&serve);
    if (!err)
        err = serve_listen(&serve, options->nbd);
    if (!err)
        err = serve_start(&serve);
    if (!err) {
        serve.started = true;
        puts("ready");
        fflush(stdout);
        loop_timer_set(serve.loop, &serve.check, CHECK_MS);
    }
    while (!err && !serve.ended)
        err = loop_turn(serve.loop, -1);
    serve_close(&serve, options);
    return err ? 1 : 0;
}
