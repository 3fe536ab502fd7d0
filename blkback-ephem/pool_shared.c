// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pool_shared: one array of places and their states under a mutex.  Only the main thread adds and
 * removes entries.  Searches are linear: an extent is 4 MiB, so that even a terabyte is a short
 * list, looked at once for each extent.
 */
#include "pool_extents.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

enum place_state { PLACE_SPARE, PLACE_USED, PLACE_BACK };

struct place {
    uint32_t extent;
    enum place_state state;
};

struct pool_extents {
    pthread_mutex_t lock;
    struct place *places; /* this and below: under lock */
    uint32_t count, room, spare;
    bool wanting;            /* the main thread has to ask */
    bool asked;              /* the daemon has not given anything since it was asked */
    bool none;               /* it answered that it has none */
    void (*want)(void *arg); /* this and below: set once */
    void (*back)(void *arg);
    void *arg;
};

int pool_extents_open(struct pool_extents **out)
{
    struct pool_extents *e = calloc(1, sizeof(*e));

    if (!e)
        return -ENOMEM;
    pthread_mutex_init(&e->lock, NULL);
    *out = e;
    return 0;
}

void pool_extents_close(struct pool_extents *e)
{
    if (!e)
        return;
    pthread_mutex_destroy(&e->lock);
    free(e->places);
    free(e);
}

void pool_extents_events(struct pool_extents *e, void (*want)(void *arg), void (*back)(void *arg),
                         void *arg)
{
    e->want = want;
    e->back = back;
    e->arg = arg;
}

static bool pool_extents_has(const struct pool_extents *e, uint32_t extent)
{
    for (uint32_t i = 0; i < e->count; i++)
        if (e->places[i].extent == extent)
            return true;
    return false;
}

static int pool_extents_room(struct pool_extents *e, uint32_t n)
{
    if (e->room - e->count >= n)
        return 0;
    uint32_t room = e->count + n + e->room / 2;
    struct place *places = realloc(e->places, room * sizeof(*places));
    if (!places)
        return -ENOMEM;
    e->places = places;
    e->room = room;
    return 0;
}

/* Under the lock. */
static int pool_extents_add(struct pool_extents *e, const uint32_t *extent, uint32_t n)
{
    uint32_t before = e->count;
    int err = pool_extents_room(e, n);

    for (uint32_t i = 0; i < n && !err; i++) {
        if (pool_extents_has(e, extent[i]))
            err = -EPROTO;
        else
            e->places[e->count++] = (struct place){.extent = extent[i], .state = PLACE_SPARE};
    }
    if (err) {
        e->count = before;
        return err;
    }
    e->spare += n;
    e->none = !n;
    if (n)
        e->asked = false;
    return 0;
}

int pool_extents_give(struct pool_extents *e, const uint32_t *extent, uint32_t n)
{
    pthread_mutex_lock(&e->lock);
    int err = pool_extents_add(e, extent, n);
    pthread_mutex_unlock(&e->lock);
    return err;
}

/* The first in this state, or NULL. */
static struct place *pool_extents_first(struct pool_extents *e, enum place_state state)
{
    for (uint32_t i = 0; i < e->count; i++)
        if (e->places[i].state == state)
            return &e->places[i];
    return NULL;
}

int pool_extents_take(struct pool_extents *e, uint32_t *extent)
{
    pthread_mutex_lock(&e->lock);
    struct place *place = e->spare ? pool_extents_first(e, PLACE_SPARE) : NULL;
    int err = place ? 0 : e->none ? -ENOSPC : -EAGAIN;
    if (place) {
        *extent = place->extent;
        place->state = PLACE_USED;
        e->spare--;
    }
    bool want = e->spare < POOL_EXTENTS_SPARE && !e->wanting && !e->asked;
    e->wanting |= want;
    pthread_mutex_unlock(&e->lock);
    if (want && e->want)
        e->want(e->arg);
    return err;
}

void pool_extents_return(struct pool_extents *e, uint32_t extent)
{
    bool back = false;

    pthread_mutex_lock(&e->lock);
    for (uint32_t i = 0; i < e->count; i++) {
        struct place *place = &e->places[i];

        if (place->extent != extent || place->state != PLACE_USED)
            continue;
        back = e->spare >= POOL_EXTENTS_SPARE;
        place->state = back ? PLACE_BACK : PLACE_SPARE;
        e->spare += !back;
    }
    pthread_mutex_unlock(&e->lock);
    if (back && e->back)
        e->back(e->arg);
}

uint32_t pool_extents_wanted(struct pool_extents *e)
{
    pthread_mutex_lock(&e->lock);
    bool ask = e->wanting;
    e->wanting = false;
    e->asked |= ask;
    pthread_mutex_unlock(&e->lock);
    return ask ? POOL_EXTENTS_AHEAD : 0;
}

uint32_t pool_extents_returned(struct pool_extents *e, uint32_t *extent, uint32_t max)
{
    uint32_t n = 0;

    pthread_mutex_lock(&e->lock);
    for (uint32_t i = 0; i < e->count && n < max;) {
        if (e->places[i].state != PLACE_BACK) {
            i++;
            continue;
        }
        extent[n++] = e->places[i].extent;
        e->places[i] = e->places[--e->count];
    }
    pthread_mutex_unlock(&e->lock);
    return n;
}

uint32_t pool_extents_held(struct pool_extents *e, uint32_t from, uint32_t *extent, uint32_t max)
{
    uint32_t n = 0;

    pthread_mutex_lock(&e->lock);
    for (; from < e->count && n < max; n++)
        extent[n] = e->places[from++].extent;
    pthread_mutex_unlock(&e->lock);
    return n;
}
