/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * engine: what serves one guest life: its key, its pool, its I/O threads, and on each thread a lane
 * and (under Xen) a pump; and the undertaker that cleans up after it.  Owned by the main thread.
 */
#ifndef EPHEM_ENGINE_H
#define EPHEM_ENGINE_H

#include <stdbool.h>
#include <stdint.h>
#include "limit.h"
#include "pool.h"

#define ENGINE_TEXT 256

struct engine;
struct iothread;
struct lane;
struct pump;

struct engine_config {
    uint32_t threads; /* 1 to 16 */
    uint32_t poll;    /* us: iothread_polls; with one CPU there is none */
    bool xen;
    struct pool_config pool;
    struct limit_rates rates;
};

/*
 * Acquires everything: key, once cipher and seal have given known answers, locked memory, aio contexts,
 * gntdev when `xen`.  Takes the pool's fd over, also when it fails.  0 or negative errno with one line in
 * `text`.
 */
int engine_open(struct engine **out, const struct engine_config *config, char text[ENGINE_TEXT]);

/* Starts undertaker and threads, after the privileges are gone; they run when it returns.  0 or
 * negative errno. */
int engine_start(struct engine *engine);

/* Now and then: tells the log what somebody should know. */
void engine_look(struct engine *engine);

/* Ends the threads and wipes the key.  Volumes and doors are closed before. */
void engine_close(struct engine *engine);

uint32_t engine_threads(const struct engine *engine);
struct pool *engine_pool(const struct engine *engine);
struct limit *engine_limit(const struct engine *engine);
struct iothread *engine_thread(const struct engine *engine, uint32_t i);
struct lane *const *engine_lanes(const struct engine *engine);
struct pump *engine_pump(const struct engine *engine, uint32_t i);

#endif
