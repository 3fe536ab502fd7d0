// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * arena: a bitmap of pages, first fit from below, so that a lightly used arena stays small.  The pages
 * are those of a file in memory, because what several processes map is shared only so, and because a
 * hole is punched into it where locked pages are to be given back.
 */
#include "arena.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "memfile.h"

struct arena {
    uint8_t *memory;
    int fd;
    uint32_t pages;
    uint32_t used;
    bool returned; /* since the last wake */
    struct list waiters;
    struct arena_share share;
    uint64_t free[];
};

static int arena_map(struct arena *arena, size_t bytes)
{
    arena->fd = memfile_open("arena");
    if (arena->fd < 0)
        return arena->fd;
    if (ftruncate(arena->fd, (off_t)bytes))
        return -errno;
    arena->memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, arena->fd,
                         0);
    if (arena->memory == MAP_FAILED)
        return -errno;
    return mlock2(arena->memory, bytes, MLOCK_ONFAULT) ||
                   madvise(arena->memory, bytes, MADV_DONTDUMP)
               ? -errno
               : 0;
}

int arena_open(struct arena **out, size_t bytes)
{
    size_t words = bytes / ARENA_PAGE / 64;
    struct arena *arena = calloc(1, sizeof(*arena) + words * sizeof(uint64_t));

    if (!arena)
        return -ENOMEM;
    arena->memory = MAP_FAILED;
    int err = arena_map(arena, bytes);
    if (err) {
        if (arena->memory != MAP_FAILED)
            munmap(arena->memory, bytes);
        if (arena->fd >= 0)
            close(arena->fd);
        free(arena);
        return err;
    }
    arena->pages = (uint32_t)(words * 64);
    memset(arena->free, 0xff, words * sizeof(uint64_t));
    list_init(&arena->waiters);
    *out = arena;
    return 0;
}

static bool arena_is_free(const struct arena *arena, uint32_t page)
{
    return arena->free[page / 64] >> (page % 64) & 1;
}

void arena_close(struct arena *arena)
{
    if (!arena)
        return;
    /* What is still in use holds a guest's data: a life may end with requests under way. */
    for (uint32_t i = 0; i < arena->pages; i++)
        if (!arena_is_free(arena, i))
            explicit_bzero(arena->memory + (size_t)i * ARENA_PAGE, ARENA_PAGE);
    munmap(arena->memory, (size_t)arena->pages * ARENA_PAGE);
    close(arena->fd);
    free(arena);
}

/* The first run of `pages` free pages, or arena->pages. */
static uint32_t arena_find(const struct arena *arena, uint32_t pages)
{
    uint32_t at = 0, run = 0;

    while (at < arena->pages) {
        if (at % 64 == 0 && !arena->free[at / 64]) {
            run = 0;
            at += 64;
            continue;
        }
        run = arena_is_free(arena, at) ? run + 1 : 0;
        at++;
        if (run == pages)
            return at - pages;
    }
    return arena->pages;
}

uint8_t *arena_get(struct arena *arena, uint32_t pages)
{
    if (pages > arena->pages - arena->used)
        return NULL;
    uint32_t at = arena_find(arena, pages);
    if (at == arena->pages)
        return NULL;
    for (uint32_t i = at; i < at + pages; i++)
        arena->free[i / 64] &= ~(1ull << (i % 64));
    arena->used += pages;
    return arena->memory + (size_t)at * ARENA_PAGE;
}

void arena_put(struct arena *arena, uint8_t *buf, uint32_t pages)
{
    if (!buf)
        return;
    explicit_bzero(buf, (size_t)pages * ARENA_PAGE);
    uint32_t at = (uint32_t)((size_t)(buf - arena->memory) / ARENA_PAGE);
    for (uint32_t i = at; i < at + pages; i++)
        arena->free[i / 64] |= 1ull << (i % 64);
    arena->used -= pages;
    arena->returned = true;
}

void arena_wait(struct arena *arena, struct arena_waiter *waiter)
{
    if (waiter->link.next) /* waits already */
        list_remove(&waiter->link);
    list_append(&arena->waiters, &waiter->link);
}

bool arena_stirred(const struct arena *arena)
{
    return arena->returned && !list_empty(&arena->waiters);
}

bool arena_awaited(const struct arena *arena, const struct arena_waiter *but)
{
    list_for_each(it, &arena->waiters)
    {
        if (it != &but->link)
            return true;
    }
    return false;
}

void arena_wake(struct arena *arena)
{
    struct list now;

    if (!arena_stirred(arena))
        return;
    arena->returned = false;
    now = arena->waiters;
    now.next->prev = now.prev->next = &now;
    list_init(&arena->waiters);
    for (struct list *it; (it = list_pop(&now));) {
        struct arena_waiter *waiter = container_of(it, struct arena_waiter, link);
        waiter->ready(waiter);
    }
}

uint32_t arena_pages(const struct arena *arena)
{
    return arena->pages;
}

uint32_t arena_in_use(const struct arena *arena)
{
    return arena->used;
}

struct arena_share *arena_share(struct arena *arena)
{
    return &arena->share;
}

void arena_trim(struct arena *arena)
{
    if (!arena->used)
        fallocate(arena->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                  (off_t)arena->pages * ARENA_PAGE);
}

int arena_fd(const struct arena *arena)
{
    return arena->fd;
}
