// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * engine: opens in the order in which things may fail, closes in reverse.  The arenas take as much
 * lockable memory as there is besides what key, libcrypto and lanes need, within bounds: small limits
 * make large requests queue up, no more.
 */
#include "engine.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "arena.h"
#include "cipher.h"
#include "hv.h"
#include "iothread.h"
#include "key.h"
#include "lane.h"
#include "log.h"
#include "pool.h"
#include "pump.h"
#include "seal.h"
#include "secret.h"
#include "undertaker.h"

#define ENGINE_MAX 16u
_Static_assert(2 * ENGINE_MAX + 1 <= UNDERTAKER_FILES, "an arena a thread and a lane; the key's");
#define ARENA_MOST  (8u << 20)
#define ARENA_LEAST (2u << 20)

struct engine {
    uint32_t count, poll;
    bool xen, packs;
    struct key *key;
    struct pool *pool;
    struct limit *limit;
    struct hv *hv;
    struct undertaker *undertaker;
    struct iothread *threads[ENGINE_MAX];
    struct lane *lanes[ENGINE_MAX];
    struct pump *pumps[ENGINE_MAX];
};

/* What is locked at the least: with this limit it starts. */
static size_t engine_locks(const struct engine *engine)
{
    return SECRET_HEAP + KEY_PAGE + engine->count * (ARENA_LEAST + lane_locks(engine->packs));
}

/* Most often the limit on locked memory; else what it is. */
static int engine_no_memory(const struct engine *engine, int err, char text[ENGINE_TEXT])
{
    struct rlimit limit;

    if (err != -ENOMEM && err != -EPERM) {
        snprintf(text, ENGINE_TEXT, "cannot start %u threads: %s", engine->count, strerror(-err));
        return err;
    }
    getrlimit(RLIMIT_MEMLOCK, &limit);
    snprintf(text, ENGINE_TEXT,
             "memory cannot be locked: the limit is %llu KiB, %u threads need %zu KiB: raise it "
             "(ulimit -l, LimitMEMLOCK=) or use fewer --threads",
             (unsigned long long)limit.rlim_cur / 1024, engine->count, engine_locks(engine) / 1024);
    return err;
}

static void engine_close_lanes(struct engine *engine)
{
    for (uint32_t i = 0; i < engine->count; i++) {
        pump_close(engine->pumps[i]);
        lane_close(engine->lanes[i]);
        engine->pumps[i] = NULL;
        engine->lanes[i] = NULL;
    }
}

static void engine_close_threads(struct engine *engine)
{
    for (uint32_t i = 0; i < engine->count; i++) {
        iothread_close(engine->threads[i]);
        engine->threads[i] = NULL;
    }
}

static int engine_open_threads(struct engine *engine, size_t arena_bytes, char text[ENGINE_TEXT])
{
    int err = 0;

    for (uint32_t i = 0; i < engine->count && !err; i++)
        err = iothread_open(&engine->threads[i], i, arena_bytes);
    for (uint32_t i = 0; i < engine->count && !err; i++)
        iothread_polls(engine->threads[i], engine->poll);
    if (err == -EAGAIN)
        snprintf(text, ENGINE_TEXT,
                 "no asynchronous I/O left on this system: raise fs.aio-max-nr (sysctl)");
    else if (err)
        engine_no_memory(engine, err, text);
    return err;
}

static int engine_open_lanes(struct engine *engine, char text[ENGINE_TEXT])
{
    int err = 0;

    for (uint32_t i = 0; i < engine->count && !err; i++) {
        err = lane_open(&engine->lanes[i], engine->threads[i], engine->pool, engine->key);
        if (!err && engine->xen)
            err = pump_open(&engine->pumps[i], engine->lanes[i], engine->hv, engine->limit);
    }
    if (err == -ENOMEM || err == -EPERM)
        engine_no_memory(engine, err, text);
    else if (err)
        snprintf(text, ENGINE_TEXT, "cipher not available: %s", strerror(-err));
    return err;
}

/* What the life's data depends on gives known answers, also what this one does not use. */
static int engine_self_test(char text[ENGINE_TEXT])
{
    const char *what = "AES-256-XTS";
    int err = cipher_check();

    if (!err) {
        what = "GMAC";
        err = seal_try();
    }
    if (err)
        snprintf(text, ENGINE_TEXT,
                 "the self-test of %s failed: %s: nothing is encrypted with this libcrypto on "
                 "this machine: reinstall libssl3, and check the machine's memory",
                 what, err == -EBADMSG ? "wrong answers" : strerror(-err));
    return err;
}

/* Once there is a pool.  Lanes lock some memory of their own, so arenas have to leave that. */
static int engine_open_work(struct engine *engine, char text[ENGINE_TEXT])
{
    int err = -ENOMEM;

    for (size_t bytes = ARENA_MOST; bytes >= ARENA_LEAST; bytes /= 2) {
        err = engine_open_threads(engine, bytes, text);
        if (!err)
            err = engine_open_lanes(engine, text);
        if (err != -ENOMEM && err != -EPERM)
            break;
        engine_close_lanes(engine);
        engine_close_threads(engine);
    }
    return err;
}

static int engine_open_key(struct engine *engine, char text[ENGINE_TEXT])
{
    int err = secret_state();

    if (err)
        return engine_no_memory(engine, err, text);
    err = engine_self_test(text);
    if (err)
        return err;
    err = key_open(&engine->key);
    if (err)
        return engine_no_memory(engine, err, text);
    if (!secret_is_hidden())
        log_warn(
            "the kernel gives no memfd_secret (Linux 5.14; before 6.5 with secretmem.enable=1): "
            "the key is in locked pages, which are wiped after us if we are killed, and which "
            "hibernation would write to disk (nohibernate)");
    return 0;
}

static int engine_open_undertaker(struct engine *engine, char text[ENGINE_TEXT])
{
    int err = undertaker_open(&engine->undertaker);

    if (err)
        snprintf(text, ENGINE_TEXT, "who wipes the buffers after us cannot be told of our end: %s",
                 strerror(-err));
    return err;
}

/* Everything but the pool, and who works on it. */
static int engine_acquire(struct engine *engine, const struct engine_config *config,
                          char text[ENGINE_TEXT])
{
    int err = engine_open_key(engine, text);

    if (!err)
        err = engine_open_undertaker(engine, text);
    if (err)
        return err;
    err = engine->xen ? hv_open(&engine->hv) : 0;
    if (err) {
        snprintf(text, ENGINE_TEXT, "/dev/xen/gntdev: %s: load the module xen-gntdev",
                 strerror(-err));
        return err;
    }
    err = limit_open(&engine->limit, &config->rates);
    if (err)
        snprintf(text, ENGINE_TEXT, "out of memory");
    return err;
}

/* Who looks at a ring takes a CPU from its frontend where there is one for both. */
static bool engine_alone(void)
{
    cpu_set_t cpus;

    return sched_getaffinity(0, sizeof(cpus), &cpus) || CPU_COUNT(&cpus) < 2;
}

int engine_open(struct engine **out, const struct engine_config *config, char text[ENGINE_TEXT])
{
    struct engine *engine = calloc(1, sizeof(*engine));
    int err = -ENOMEM;

    if (!engine)
        goto out;
    if (config->threads < 1 || config->threads > ENGINE_MAX) {
        snprintf(text, ENGINE_TEXT, "threads: 1 to %u", ENGINE_MAX);
        err = -EINVAL;
        goto out;
    }
    engine->count = config->threads;
    engine->poll = engine_alone() ? 0 : config->poll;
    engine->xen = config->xen;
    engine->packs = config->pool.kind == POOL_RAM && config->pool.lz4;
    err = engine_acquire(engine, config, text);
    if (err)
        goto out;
    err = pool_open(&engine->pool, &config->pool);
    if (err)
        snprintf(text, ENGINE_TEXT, "pool: %s", strerror(-err));
    else
        err = engine_open_work(engine, text);
out:
    if (err) {
        if ((!engine || !engine->pool) && config->pool.fd >= 0)
            close(config->pool.fd);
        engine_close(engine);
        return err;
    }
    *out = engine;
    return 0;
}

static void engine_runs(void *arg)
{
    (void)arg;
}

static int engine_start_undertaker(struct engine *engine)
{
    for (uint32_t i = 0; i < engine->count; i++) {
        undertaker_add(engine->undertaker, arena_fd(iothread_arena(engine->threads[i])));
        if (lane_arena(engine->lanes[i]))
            undertaker_add(engine->undertaker, arena_fd(lane_arena(engine->lanes[i])));
    }
    if (!secret_is_hidden())
        undertaker_add(engine->undertaker, secret_file());
    return undertaker_start(engine->undertaker);
}

int engine_start(struct engine *engine)
{
    int err = engine_start_undertaker(engine);

    if (!err)
        err = pool_start(engine->pool);
    for (uint32_t i = 0; i < engine->count && !err; i++)
        err = iothread_start(engine->threads[i]);
    /* What a thread needs for its start alone it has done. */
    for (uint32_t i = 0; i < engine->count && !err; i++)
        iothread_call(engine->threads[i], engine_runs, NULL);
    return err;
}

void engine_look(struct engine *engine)
{
    pool_look(engine->pool);
    if (undertaker_lost(engine->undertaker))
        log_warn("the process that wipes our buffers after a crash has ended: from now on freed "
                 "pages may hold a guest's data after one, unless the kernel clears them "
                 "(init_on_free=1)");
}

void engine_close(struct engine *engine)
{
    if (!engine)
        return;
    for (uint32_t i = 0; i < engine->count; i++)
        iothread_stop(engine->threads[i]);
    engine_close_lanes(engine);
    key_close(engine->key);
    engine_close_threads(engine);
    pool_close(engine->pool);
    undertaker_close(engine->undertaker);
    limit_close(engine->limit);
    hv_close(engine->hv);
    free(engine);
}

uint32_t engine_threads(const struct engine *engine)
{
    return engine->count;
}

struct pool *engine_pool(const struct engine *engine)
{
    return engine->pool;
}

struct limit *engine_limit(const struct engine *engine)
{
    return engine->limit;
}

struct iothread *engine_thread(const struct engine *engine, uint32_t i)
{
    return engine->threads[i];
}

struct lane *const *engine_lanes(const struct engine *engine)
{
    return engine->lanes;
}

struct pump *engine_pump(const struct engine *engine, uint32_t i)
{
    return engine->pumps[i];
}
