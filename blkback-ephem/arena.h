/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * arena: the I/O buffers of one thread, the only place where guest data lies in the clear.  Locked
 * (on fault), left out of core dumps, page aligned for O_DIRECT, wiped as buffers come back, and given
 * back to the system when idle.  Its pages are a file's, which the undertaker wipes after a crash.  One
 * thread, no locking.
 *
 * What may hold a guest's plaintext: buffers of requests of the ring and of NBD, with the edges of a
 * merge behind them; the page that an NBD connection reads ahead into; the scratch memory of press.  All
 * are in arenas.  Frames (tier), units (pack) and the pool hold ciphertext; requests, index and slots
 * none of either; a page of the ring is the guest's own.
 */
#ifndef EPHEM_ARENA_H
#define EPHEM_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "util.h"

#define ARENA_PAGE 4096u

struct arena;

struct arena_waiter {
    struct list link;
    void (*ready)(struct arena_waiter *waiter); /* tries again; may wait again */
};

/* What the users of one kind have together; theirs to count, see nbd_share.c. */
struct arena_share {
    uint32_t pages;
    uint32_t claims; /* and what each could have for sure */
};

/* `bytes`: multiple of 64 pages.  0, -ENOMEM, -EPERM: could not be locked. */
int arena_open(struct arena **out, size_t bytes);

/* Wipes what has not been put back. */
void arena_close(struct arena *arena);

/* `pages` consecutive pages of undefined content, or NULL when there is no such run now. */
uint8_t *arena_get(struct arena *arena, uint32_t pages);

/* Wipes and returns them. */
void arena_put(struct arena *arena, uint8_t *buf, uint32_t pages);

/* Calls the waiter from arena_wake once something has come back. */
void arena_wait(struct arena *arena, struct arena_waiter *waiter);
void arena_wake(struct arena *arena);
/* True when arena_wake would call somebody. */
bool arena_stirred(const struct arena *arena);
/* True when somebody besides `but` waits. */
bool arena_awaited(const struct arena *arena, const struct arena_waiter *but);

uint32_t arena_pages(const struct arena *arena);
uint32_t arena_in_use(const struct arena *arena);
struct arena_share *arena_share(struct arena *arena);

/* Gives the memory of an unused arena back to the system; it stays usable. */
void arena_trim(struct arena *arena);

/* The memfile its pages are of, for whoever is to wipe them all; it stays the arena's. */
int arena_fd(const struct arena *arena);

#endif
