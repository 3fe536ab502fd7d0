/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * volume: one disk of a guest: base + overlay, served to any number of doors (rings, NBD) at once.
 * A volume is shared by all I/O threads; the overlay in it is under its lock.  What a thread needs
 * to work on volumes (cipher, operations, held writes) is its lane.
 *
 * A request is a vio, embedded in its door's request.  All its steps run on the lane it was
 * submitted on.
 */
#ifndef EPHEM_VOLUME_H
#define EPHEM_VOLUME_H

#include <stdbool.h>
#include <stdint.h>
#include "iothread.h"
#include "latency.h"
#include "overlay.h"

struct lane;
struct mailbox;
struct pool;
struct volume;

#define VIO_MAX    (1u << 20)                  /* bytes a read or write may span */
#define VIO_BLOCKS (VIO_MAX / BLOCK_SIZE + 1u) /* blocks it may touch */
#define VIO_PAGES  (VIO_BLOCKS + 2u)           /* the most pages it needs */

enum vio_op { VIO_READ, VIO_WRITE, VIO_DISCARD };

struct vio {
    /* The caller's; constant from volume_submit to done. */
    enum vio_op op;
    uint64_t offset; /* bytes, multiple of 512 */
    uint64_t length; /* bytes, multiple of 512, within the volume */
    uint8_t *buf;    /* vio_pages() pages of the thread's arena; NULL for a discard */
    void (*done)(struct vio *io, int error);
    bool impatient;    /* -ECANCELED rather than waiting in a full pool */
    bool drop_if_held; /* the door is closing: the same, whatever it would wait for */

    /* volume.c's */
    struct volume *volume;
    struct lane *lane;
    struct overlay_claim claim;
    struct overlay_read read;
    struct work work;
    struct list link; /* lane: starved or held */
    void (*step)(struct vio *io);
    uint64_t begun;                 /* clock_ns() */
    uint64_t first;                 /* block */
    uint32_t blocks;                /* touched */
    uint32_t entries, next, flying; /* of the transfer that is running */
    int error;
    bool merging, held;
    bool reported; /* as held for want of space, until it ends */
    bool fresh;    /* a write that takes new space */
    bool ram;      /* its slots lie in memory */
    bool waiting;  /* for its claim; under the volume's lock */
    bool dropped;  /* ended by volume_drop_held, or after it */
    uint32_t slot[VIO_BLOCKS];
    uint64_t generation[VIO_BLOCKS];
};

/*
 * Pages `buf` must have.  Data lies at vio_data(io): READ finds it there in done(0); WRITE puts it
 * there before submitting, and loses it (encryption is in place).
 */
uint32_t vio_pages(enum vio_op op, uint64_t offset, uint64_t length);
static inline uint8_t *vio_data(const struct vio *io)
{
    return io->buf + io->offset % BLOCK_SIZE;
}

struct volume_config {
    uint64_t bytes;      /* at first; multiple of 512 */
    uint64_t base_bytes; /* at first; multiple of 512; 0 for blank */
    int base;            /* fd, the volume's from success on; -1 for blank */
    bool grows;          /* with its base; then bytes is base_bytes */
    bool readonly;
    bool discard;
    char name[32];
};

/* Latency is that of reads and writes, from volume_submit to done: waiting in the ring is not in it. */
struct volume_stats {
    uint64_t reads, writes, flushes, discards, errors;
    uint64_t bytes_read, bytes_written;
    uint64_t blocks, index_bytes;
    uint64_t latency_ns; /* the sum */
    uint64_t latency[LATENCY_CLASSES];
};

int volume_open(struct volume **out, struct pool *pool, const struct volume_config *config);

/* Nothing may be in flight on it.  Gives its slots back and closes the base. */
void volume_close(struct volume *volume);

/* As opened: the sizes of now are volume_bytes and volume_base_bytes. */
const struct volume_config *volume_config(const struct volume *volume);

/*
 * Any thread.  They only ever grow, the base first: whoever has judged a request by volume_bytes
 * finds at least the base that belongs to it.
 */
uint64_t volume_bytes(const struct volume *volume);
uint64_t volume_base_bytes(const struct volume *volume);

void volume_stats(struct volume *volume, struct volume_stats *stats);

/* A door answered a flush.  There is nothing to do for one: see volume_io.c. */
void volume_flushed(struct volume *volume);

/* How a volume grows: work for `lane`, and `done` in the thread of `mailbox`. */
struct volume_growth {
    struct lane *lane;
    struct mailbox *mailbox;
    void (*done)(void *arg, int error); /* 0: it has the size that volume_bytes says */
    void *arg;
};

/*
 * Any one thread, that of the mailbox, every few seconds.  A base that has grown makes the volume
 * grow, if it was opened so: true, and `done` follows exactly once; until then nothing else is looked
 * at, and the volume is not closed.  What failed is tried again at the next look.  A base that was
 * changed otherwise: one line in the log, and base reads fail from then on.
 */
bool volume_check_base(struct volume *volume, const struct volume_growth *how);

/* On the lane's thread.  Calls io->done exactly once, possibly before it returns. */
void volume_submit(struct volume *volume, struct lane *lane, struct vio *io);

/* For a closing door, on the lane's thread: ends a vio that is held or waits for
 * another's blocks with -ECANCELED, and makes it end so should it come to that later. */
void volume_drop_held(struct vio *io);

/* The thread a lane belongs to (lane.h opens lanes). */
struct iothread *lane_thread(const struct lane *lane);

#endif
