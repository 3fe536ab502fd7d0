// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * volume: the object: opening, closing, statistics, and looking after its base (volume_base.c,
 * volume_grow.c).  What it does with requests is in volume_io.c.
 */
#include "volume_state.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "log.h"
#include "pool.h"

#define REAP_MAX 64u

void volume_reap(struct volume *volume)
{
    uint32_t slots[REAP_MAX];
    size_t n;

    do {
        pthread_mutex_lock(&volume->lock);
        n = overlay_reap(volume->overlay, slots, REAP_MAX);
        pthread_mutex_unlock(&volume->lock);
        pool_give(volume->pool, (uint32_t)n, slots);
    } while (n == REAP_MAX);
}

int volume_open(struct volume **out, struct pool *pool, const struct volume_config *config)
{
    struct volume *volume = calloc(1, sizeof(*volume));
    int err;

    if (config->bytes > INDEX_MAX_BLOCKS * BLOCK_SIZE) {
        free(volume);
        return -EFBIG;
    }
    if (!volume)
        return -ENOMEM;
    err = config->base < 0 ? 0 : base_watch_open(&volume->watch, config->base);
    if (!err)
        err = overlay_open(&volume->overlay, volume_blocks(config->bytes), config->base < 0);
    if (err)
        goto out;
    volume->config = *config;
    volume->bytes = config->bytes;
    volume->base_bytes = config->base_bytes;
    volume->pool = pool;
    pthread_mutex_init(&volume->lock, NULL);
    *out = volume;
    return 0;
out:
    free(volume);
    return err;
}

void volume_close(struct volume *volume)
{
    uint64_t blocks;

    if (!volume)
        return;
    blocks = volume_blocks(volume->bytes);
    for (uint64_t at = 0; at < blocks; at += INDEX_REGION_BLOCKS) {
        overlay_zero(volume->overlay, at, INDEX_REGION_BLOCKS); /* whole regions need no memory */
        volume_reap(volume);
    }
    overlay_close(volume->overlay);
    if (volume->config.base >= 0)
        close(volume->config.base);
    pthread_mutex_destroy(&volume->lock);
    free(volume);
}

const struct volume_config *volume_config(const struct volume *volume)
{
    return &volume->config;
}

uint64_t volume_bytes(const struct volume *volume)
{
    return volume->bytes;
}

uint64_t volume_base_bytes(const struct volume *volume)
{
    return volume->base_bytes;
}

void volume_stats(struct volume *volume, struct volume_stats *stats)
{
    pthread_mutex_lock(&volume->lock);
    *stats = volume->stats;
    stats->blocks = overlay_blocks(volume->overlay);
    stats->index_bytes = overlay_memory(volume->overlay);
    pthread_mutex_unlock(&volume->lock);
}

void volume_flushed(struct volume *volume)
{
    pthread_mutex_lock(&volume->lock);
    volume->stats.flushes++;
    pthread_mutex_unlock(&volume->lock);
}

bool volume_check_base(struct volume *volume, const struct volume_growth *how)
{
    if (volume->config.base < 0 || volume->base_changed || volume->growth.running)
        return false;
    if (base_look(&volume->watch, volume->config.base) == BASE_CHANGED) {
        volume->base_changed = true;
        log_error(
            "%s: its base was changed while in use: reads of it fail from now on; restart the "
            "guest on a base that nobody writes; a base is grown with truncate or lvextend",
            volume->config.name);
        return false;
    }
    uint64_t bytes = volume->watch.bytes - volume->watch.bytes % SECTOR_SIZE;
    return volume->config.grows && bytes > volume->bytes && volume_grow(volume, bytes, how);
}
