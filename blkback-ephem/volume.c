// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * volume: the object: opening, closing, statistics, and the watch on its base.  What it does with
 * requests is in volume_io.c.
 */
#include "volume_state.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "log.h"
#include "pool.h"

#define REAP_MAX 64u

/* linux/fs.h and sys/mount.h, which have it, both define a BLOCK_SIZE of their own. */
#ifndef BLKGETDISKSEQ
#define BLKGETDISKSEQ _IOR(0x12, 128, uint64_t)
#endif

/* Another medium behind the same name has another number. */
static uint64_t base_sequence(int fd)
{
    uint64_t sequence = 0;

    return ioctl(fd, BLKGETDISKSEQ, &sequence) ? 0 : sequence;
}

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
    if (config->base >= 0) {
        if (fstat(config->base, &volume->base_was)) {
            err = -errno;
            goto out;
        }
        volume->base_size = lseek(config->base, 0, SEEK_END);
        volume->base_sequence = base_sequence(config->base);
    }
    err = overlay_open(&volume->overlay, (config->bytes + BLOCK_SIZE - 1) / BLOCK_SIZE,
                       config->base < 0);
    if (err)
        goto out;
    volume->config = *config;
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
    blocks = (volume->config.bytes + BLOCK_SIZE - 1) / BLOCK_SIZE;
    for (uint64_t at = 0; at < blocks; at += INDEX_REGION_BLOCKS) {
        overlay_zero(volume->overlay, at, min_u64(INDEX_REGION_BLOCKS, blocks - at));
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

bool volume_check_base(struct volume *volume)
{
    struct stat now;

    if (volume->config.base < 0 || volume->base_changed)
        return false;
    if (fstat(volume->config.base, &now) == 0 &&
        lseek(volume->config.base, 0, SEEK_END) == volume->base_size &&
        base_sequence(volume->config.base) == volume->base_sequence &&
        now.st_mtim.tv_sec == volume->base_was.st_mtim.tv_sec &&
        now.st_mtim.tv_nsec == volume->base_was.st_mtim.tv_nsec)
        return false;
    volume->base_changed = true;
    log_error("%s: its base was changed while in use: reads of it fail from now on; restart the "
              "guest on a base that nobody writes",
              volume->config.name);
    return true;
}
