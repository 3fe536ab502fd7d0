/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rig: one guest without a door: a key, a pool, real I/O threads with their lanes, one volume; disks
 * are fake_aio's.  Tests submit from any thread and wait.
 */
#ifndef UNIT_RIG_H
#define UNIT_RIG_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "volume.h"

#define RIG_LANES 4

struct rig_config {
    uint32_t lanes;
    uint64_t bytes, base_bytes;
    uint32_t extents; /* the pool may have; also settable while running */
    uint64_t seed;
    uint64_t ram; /* bytes of memory in front of the pool, or of all of it with ram_only */
    bool ram_only, lz4, integrity;
    uint32_t poll; /* us: iothread_polls */
    size_t arena;  /* bytes of each thread; 0: one request of VIO_MAX and a few small ones */
};

/* Of a volume that is to grow. */
struct rig_growth {
    bool grows, readonly;
    uint64_t most; /* bytes the base's disk has from the start; 0: base_bytes */
};

struct rig {
    struct rig_config config;
    struct rig_growth growth;
    struct key *key;
    struct pool *pool;
    struct iothread *threads[RIG_LANES];
    struct lane *lanes[RIG_LANES];
    struct volume *volume;
    uint8_t *base, *disk; /* of the base and the pool */
    int base_fd;          /* a file as long as the base, without its bytes; the volume's */
    size_t base_room;
    size_t disk_bytes;
};

void rig_open(struct rig *rig, const struct rig_config *config);
void rig_open_growing(struct rig *rig, const struct rig_config *config,
                      const struct rig_growth *growth);
/* Checks that the pool is empty afterwards. */
void rig_close(struct rig *rig);
/* What a base holds at a sector. */
uint8_t rig_base_byte(uint64_t offset);
/* What it holds from its begin on. */
void rig_base_fill(uint8_t *to, uint64_t bytes);
void rig_extents(uint32_t extents);
/* The nth growth from now fails with `error`; 0: none. */
void rig_fail_grow(uint64_t nth, int error);
bool rig_grow_failed(void);
uint64_t rig_pool_used(struct rig *rig);

/* One request, alive until waited for. */
struct rig_io {
    struct vio io;
    struct work work;
    struct rig *rig;
    uint32_t lane;
    uint8_t *data; /* of a write, copied in; of a read, copied out */
    pthread_mutex_t lock;
    pthread_cond_t cond;
    uint32_t done; /* how often done was called; 1 is right */
    int error;
};

/* Begins; `data` must last until it is done. */
void rig_start(struct rig_io *io, struct rig *rig, uint32_t lane, enum vio_op op, uint64_t offset,
               uint64_t length, uint8_t *data);
/* -ETIMEDOUT when it is not done after `ms`: then it is still running. */
int rig_wait_ms(struct rig_io *io, unsigned int ms);
int rig_wait(struct rig_io *io);
/* volume_drop_held on its lane. */
void rig_drop(struct rig_io *io);
int rig_do(struct rig *rig, uint32_t lane, enum vio_op op, uint64_t offset, uint64_t length,
           uint8_t *data);

#endif
