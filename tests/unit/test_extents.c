// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * extents: the map of a shared device, by cases and against a model of who holds what, and the places
 * that a worker has of it.
 */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "extent_map.h"
#include "pool_extents.h"

#define ROOM 256u

/* A map of `n` extents, all free. */
static struct extent_map *map_free(uint32_t n)
{
    struct extent_map *map = NULL;
    uint32_t first;

    CU_ASSERT_EQUAL_FATAL(extent_map_open(&map, n), 0);
    CU_ASSERT_EQUAL(extent_map_dirty(map, n, &first), n);
    extent_map_discarded(map, 0, n, true);
    return map;
}

static struct extent_holder *map_join(struct extent_map *map, uint32_t most)
{
    struct extent_holder *holder = NULL;

    CU_ASSERT_EQUAL_FATAL(extent_map_join(map, most, NULL, &holder), 0);
    return holder;
}

/* What this holder is given for `count`; it must be the one who is served. */
static uint32_t map_ask(struct extent_map *map, struct extent_holder *holder, uint32_t count,
                        uint32_t *extent)
{
    struct extent_holder *served = holder;

    extent_map_want(map, holder, count);
    uint32_t n = extent_map_serve(map, ROOM, &served, extent);
    CU_ASSERT_PTR_EQUAL(served, holder);
    return n;
}

static void test_hand_out(void)
{
    struct extent_map *map = map_free(10);
    struct extent_holder *a = map_join(map, 0), *b = map_join(map, 0);
    uint32_t extent[ROOM], seen = 0;

    CU_ASSERT_EQUAL(extent_map_serve(map, ROOM, &a, extent), 0);
    CU_ASSERT_EQUAL(map_ask(map, a, 6, extent), 6);
    for (uint32_t i = 0; i < 6; i++)
        seen |= 1u << extent[i];
    CU_ASSERT_EQUAL(a->wants, 0);
    CU_ASSERT_EQUAL(map_ask(map, b, 6, extent), 4);
    for (uint32_t i = 0; i < 4; i++)
        seen |= 1u << extent[i];
    CU_ASSERT_EQUAL(seen, 0x3ff);
    CU_ASSERT_EQUAL(map_ask(map, b, 1, extent), 0);
    CU_ASSERT_EQUAL(b->wants, 1);
    struct extent_counts counts = extent_map_counts(map);
    CU_ASSERT_EQUAL(counts.held, 10);
    CU_ASSERT_EQUAL(counts.free + counts.dirty, 0);
    extent_map_leave(map, a);
    extent_map_leave(map, b);
    CU_ASSERT_EQUAL(extent_map_counts(map).dirty, 10);
    extent_map_close(map);
    CU_ASSERT_EQUAL(extent_map_open(&map, 0), -EINVAL);
    CU_ASSERT_EQUAL(extent_map_open(&map, EXTENT_MAP_MOST + 1), -EINVAL);
}

static void test_quota(void)
{
    struct extent_map *map = map_free(20);
    struct extent_holder *a = map_join(map, 5), *b = map_join(map, 0);
    uint32_t extent[ROOM], given[ROOM];

    CU_ASSERT_EQUAL(map_ask(map, a, 8, extent), 5);
    CU_ASSERT_EQUAL(map_ask(map, a, 8, given), 0);
    /* It waits, and holds nobody. */
    CU_ASSERT_EQUAL(map_ask(map, b, 3, given), 3);
    /* One that it gives back makes place for another at once. */
    CU_ASSERT_EQUAL(extent_map_back(map, a, 1, extent), 0);
    struct extent_holder *served;
    CU_ASSERT_EQUAL(extent_map_serve(map, ROOM, &served, given), 1);
    CU_ASSERT_PTR_EQUAL(served, a);
    CU_ASSERT_NOT_EQUAL(given[0], extent[0]);
    CU_ASSERT_EQUAL(a->held, 5);
    extent_map_leave(map, a);
    extent_map_leave(map, b);
    extent_map_close(map);
}

static void test_dirty_before_free(void)
{
    struct extent_map *map = NULL;
    uint32_t extent[ROOM], first;

    CU_ASSERT_EQUAL_FATAL(extent_map_open(&map, 8), 0);
    struct extent_holder *a = map_join(map, 0);
    CU_ASSERT_EQUAL(map_ask(map, a, 4, extent), 0);
    CU_ASSERT_EQUAL(extent_map_dirty(map, 3, &first), 3);
    CU_ASSERT_EQUAL(first, 0);
    CU_ASSERT_EQUAL(map_ask(map, a, 4, extent), 0);
    CU_ASSERT_EQUAL(extent_map_counts(map).dirty, 8);
    extent_map_discarded(map, 0, 3, true);
    CU_ASSERT_EQUAL(map_ask(map, a, 4, extent), 3);
    /* A discard that was not done is told again. */
    CU_ASSERT_EQUAL(extent_map_dirty(map, 8, &first), 5);
    CU_ASSERT_EQUAL(first, 3);
    extent_map_discarded(map, 3, 5, false);
    CU_ASSERT_EQUAL(map_ask(map, a, 4, extent), 0);
    CU_ASSERT_EQUAL(extent_map_dirty(map, 8, &first), 5);
    extent_map_discarded(map, 3, 5, true);
    CU_ASSERT_EQUAL(extent_map_dirty(map, 8, &first), 0);
    /* What comes back while nothing else does is a run of neighbours. */
    CU_ASSERT_EQUAL(extent_map_back(map, a, 2, (uint32_t[]){2, 1}), 0);
    CU_ASSERT_EQUAL(extent_map_dirty(map, 8, &first), 2);
    CU_ASSERT_EQUAL(first, 1);
    extent_map_leave(map, a);
    extent_map_close(map);
}

static void test_foreign(void)
{
    struct extent_map *map = map_free(8);
    struct extent_holder *a = map_join(map, 0), *b = map_join(map, 0);
    uint32_t of_a[ROOM], of_b[ROOM];

    CU_ASSERT_EQUAL(map_ask(map, a, 2, of_a), 2);
    CU_ASSERT_EQUAL(map_ask(map, b, 2, of_b), 2);
    CU_ASSERT_EQUAL(extent_map_back(map, a, 1, of_b), -EPROTO);
    CU_ASSERT_EQUAL(extent_map_back(map, a, 1, &(uint32_t){7}), -EPROTO); /* free */
    CU_ASSERT_EQUAL(extent_map_back(map, a, 1, &(uint32_t){8}), -EPROTO); /* none */
    CU_ASSERT_EQUAL(extent_map_back(map, a, 1, &(uint32_t){UINT32_MAX}), -EPROTO);
    CU_ASSERT_EQUAL(b->held, 2);
    CU_ASSERT_EQUAL(extent_map_back(map, a, 2, (uint32_t[]){of_a[0], of_a[0]}), -EPROTO);
    extent_map_leave(map, a);
    CU_ASSERT_EQUAL(extent_map_counts(map).held, 2);
    extent_map_leave(map, b);
    extent_map_close(map);
}

static void test_claim(void)
{
    struct extent_map *map = NULL;
    uint32_t first, extent[ROOM];

    CU_ASSERT_EQUAL_FATAL(extent_map_open(&map, 8), 0);
    struct extent_holder *a = map_join(map, 2), *b = map_join(map, 0);
    CU_ASSERT_EQUAL(extent_map_claim(map, a, 2, (uint32_t[]){3, 5}), 0);
    CU_ASSERT_EQUAL(extent_map_claim(map, a, 1, (uint32_t[]){6}), -EPROTO); /* above its quota */
    CU_ASSERT_EQUAL(extent_map_claim(map, b, 1, (uint32_t[]){4}), 0);
    CU_ASSERT_EQUAL(extent_map_claim(map, b, 1, (uint32_t[]){3}), -EPROTO); /* another's */
    CU_ASSERT_EQUAL(extent_map_claim(map, b, 1, (uint32_t[]){4}), -EPROTO); /* its own, again */
    CU_ASSERT_EQUAL(extent_map_claim(map, b, 1, (uint32_t[]){8}), -EPROTO);
    CU_ASSERT_EQUAL(extent_map_dirty(map, 8, &first), 3);
    CU_ASSERT_EQUAL(first, 0);
    CU_ASSERT_EQUAL(extent_map_claim(map, b, 1, (uint32_t[]){1}), -EPROTO); /* being discarded */
    extent_map_discarded(map, 0, 3, true);
    CU_ASSERT_EQUAL(extent_map_counts(map).held, 3);
    /* Said again from the start. */
    extent_map_reset(map, a);
    CU_ASSERT_EQUAL(a->held, 0);
    CU_ASSERT_EQUAL(extent_map_claim(map, a, 1, (uint32_t[]){5}), 0);
    CU_ASSERT_EQUAL(map_ask(map, b, 3, extent), 3);
    CU_ASSERT_EQUAL(extent_map_claim(map, a, 1, extent), -EPROTO);
    extent_map_leave(map, a);
    extent_map_leave(map, b);
    extent_map_close(map);
}

/* Three that wait take turns in batches, however much each wants. */
static void test_fair(void)
{
    struct extent_map *map = map_free(100);
    struct extent_holder *hog = map_join(map, 0), *wait[3], *served;
    uint32_t all[ROOM], extent[ROOM];

    CU_ASSERT_EQUAL(map_ask(map, hog, 100, all), 100);
    for (int i = 0; i < 3; i++) {
        wait[i] = map_join(map, 0);
        extent_map_want(map, wait[i], 50);
    }
    for (uint32_t turn = 0; turn < 7; turn++) {
        uint32_t first, n = 12;
        CU_ASSERT_EQUAL(extent_map_back(map, hog, n, all + turn * n), 0);
        CU_ASSERT_EQUAL(extent_map_dirty(map, 100, &first), n);
        extent_map_discarded(map, first, n, true);
        while ((n = extent_map_serve(map, ROOM, &served, extent))) {
            CU_ASSERT(n <= EXTENT_MAP_BATCH);
            extent_map_want(map, served, 50);
        }
    }
    CU_ASSERT_EQUAL(wait[0]->held + wait[1]->held + wait[2]->held, 84);
    for (int i = 0; i < 3; i++) {
        CU_ASSERT(wait[i]->held >= 28 - EXTENT_MAP_BATCH && wait[i]->held <= 28 + EXTENT_MAP_BATCH);
        extent_map_leave(map, wait[i]);
    }
    extent_map_leave(map, hog);
    extent_map_close(map);
}

#define MODEL_EXTENTS 60u
#define MODEL_HOLDERS 5u

struct model {
    struct extent_map *map;
    struct extent_holder *holders[MODEL_HOLDERS];
    int of[MODEL_EXTENTS]; /* holder's number, -1 dirty, -2 free */
    uint32_t wrong;
};

static void model_serve(struct model *m)
{
    uint32_t extent[ROOM], n;
    struct extent_holder *served;

    while ((n = extent_map_serve(m->map, ROOM, &served, extent))) {
        int who = 0;
        while (m->holders[who] != served)
            who++;
        for (uint32_t i = 0; i < n; i++) {
            m->wrong += m->of[extent[i]] != -2;
            m->of[extent[i]] = who;
        }
        m->wrong += served->most && served->held > served->most;
    }
}

static void model_step(struct model *m, uint64_t *seed)
{
    int who = (int)unit_below(seed, MODEL_HOLDERS);
    uint32_t at = (uint32_t)unit_below(seed, MODEL_EXTENTS), first, n;

    switch (unit_below(seed, 8)) {
    case 0:
        extent_map_leave(m->map, m->holders[who]);
        m->holders[who] = map_join(m->map, (uint32_t)who * 7);
        for (uint32_t i = 0; i < MODEL_EXTENTS; i++)
            m->of[i] = m->of[i] == who ? -1 : m->of[i];
        break;
    case 1:
    case 2:
        n = extent_map_dirty(m->map, 1 + at, &first);
        for (uint32_t i = first; i < first + n; i++) {
            m->wrong += m->of[i] != -1;
            m->of[i] = at % 3 ? -2 : -1;
        }
        extent_map_discarded(m->map, first, n, at % 3);
        break;
    case 3:
    case 4:
        extent_map_want(m->map, m->holders[who], 1 + at);
        break;
    default:
        m->wrong += (extent_map_back(m->map, m->holders[who], 1, &at) == 0) != (m->of[at] == who);
        m->of[at] = m->of[at] == who ? -1 : m->of[at];
    }
}

static void test_model(void)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct model m = {.wrong = 0};
        uint64_t state = seed;

        CU_ASSERT_EQUAL_FATAL(extent_map_open(&m.map, MODEL_EXTENTS), 0);
        for (uint32_t i = 0; i < MODEL_HOLDERS; i++)
            m.holders[i] = map_join(m.map, i * 7);
        for (uint32_t i = 0; i < MODEL_EXTENTS; i++)
            m.of[i] = -1;
        for (int step = 0; step < 2000; step++) {
            uint32_t dirty = 0, unused = 0;

            model_step(&m, &state);
            model_serve(&m);
            for (uint32_t i = 0; i < MODEL_EXTENTS; i++) {
                dirty += m.of[i] == -1;
                unused += m.of[i] == -2;
            }
            struct extent_counts counts = extent_map_counts(m.map);
            m.wrong += counts.dirty != dirty || counts.free != unused ||
                       counts.held + dirty + unused != MODEL_EXTENTS;
        }
        CU_ASSERT_EQUAL(m.wrong, 0);
        for (uint32_t i = 0; i < MODEL_HOLDERS; i++)
            extent_map_leave(m.map, m.holders[i]);
        extent_map_close(m.map);
    }
}

struct calls {
    uint32_t want, back;
};

static void places_want(void *arg)
{
    ((struct calls *)arg)->want++;
}

static void places_back(void *arg)
{
    ((struct calls *)arg)->back++;
}

static void test_places_ahead(void)
{
    struct pool_extents *e = NULL;
    struct calls calls = {0, 0};
    uint32_t place, given[8] = {10, 11, 12, 13, 14, 15, 16, 17};

    CU_ASSERT_EQUAL_FATAL(pool_extents_open(&e), 0);
    pool_extents_events(e, places_want, places_back, &calls);
    CU_ASSERT_EQUAL(pool_extents_wanted(e), 0);
    CU_ASSERT_EQUAL(pool_extents_take(e, &place), -EAGAIN);
    CU_ASSERT_EQUAL(calls.want, 1);
    CU_ASSERT_EQUAL(pool_extents_wanted(e), POOL_EXTENTS_AHEAD);
    /* Asked once. */
    CU_ASSERT_EQUAL(pool_extents_take(e, &place), -EAGAIN);
    CU_ASSERT_EQUAL(pool_extents_wanted(e), 0);
    CU_ASSERT_EQUAL(pool_extents_give(e, NULL, 0), 0);
    CU_ASSERT_EQUAL(pool_extents_take(e, &place), -ENOSPC);
    CU_ASSERT_EQUAL(calls.want, 1);
    CU_ASSERT_EQUAL(pool_extents_give(e, given, 8), 0);
    for (uint32_t i = 0; i < 4; i++) {
        CU_ASSERT_EQUAL(pool_extents_take(e, &place), 0);
        CU_ASSERT_EQUAL(place, 10 + i);
    }
    CU_ASSERT_EQUAL(calls.want, 1);
    CU_ASSERT_EQUAL(pool_extents_take(e, &place), 0);
    CU_ASSERT_EQUAL(calls.want, 2);
    CU_ASSERT_EQUAL(pool_extents_wanted(e), POOL_EXTENTS_AHEAD);
    pool_extents_close(e);
    pool_extents_close(NULL);
}

static void test_places_back(void)
{
    struct pool_extents *e = NULL;
    struct calls calls = {0, 0};
    uint32_t place, all[ROOM], given[8] = {10, 11, 12, 13, 14, 15, 16, 17};

    CU_ASSERT_EQUAL_FATAL(pool_extents_open(&e), 0);
    pool_extents_events(e, places_want, places_back, &calls);
    CU_ASSERT_EQUAL(pool_extents_give(e, given, 8), 0);
    for (uint32_t i = 0; i < 8; i++)
        CU_ASSERT_EQUAL(pool_extents_take(e, &place), 0);
    pool_extents_return(e, 99);
    for (uint32_t i = 0; i < 4; i++)
        pool_extents_return(e, 10 + i);
    pool_extents_return(e, 10); /* spare already */
    CU_ASSERT_EQUAL(calls.back, 0);
    CU_ASSERT_EQUAL(pool_extents_returned(e, all, ROOM), 0);
    pool_extents_return(e, 14);
    pool_extents_return(e, 15);
    CU_ASSERT_EQUAL(calls.back, 2);
    /* Held until they are told. */
    CU_ASSERT_EQUAL(pool_extents_held(e, 0, all, ROOM), 8);
    CU_ASSERT_EQUAL(pool_extents_held(e, 0, all, 3), 3);
    CU_ASSERT_EQUAL(pool_extents_held(e, 3, all + 3, ROOM), 5);
    uint32_t sum = 0;
    for (uint32_t i = 0; i < 8; i++)
        sum += all[i];
    CU_ASSERT_EQUAL(sum, 108);
    CU_ASSERT_EQUAL(pool_extents_returned(e, all, 1), 1);
    CU_ASSERT_EQUAL(all[0], 14);
    CU_ASSERT_EQUAL(pool_extents_returned(e, all, ROOM), 1);
    CU_ASSERT_EQUAL(all[0], 15);
    CU_ASSERT_EQUAL(pool_extents_held(e, 0, all, ROOM), 6);
    /* Given again is fine, given twice is not. */
    CU_ASSERT_EQUAL(pool_extents_give(e, (uint32_t[]){14, 16}, 2), -EPROTO);
    CU_ASSERT_EQUAL(pool_extents_give(e, (uint32_t[]){14, 14}, 2), -EPROTO);
    CU_ASSERT_EQUAL(pool_extents_held(e, 0, all, ROOM), 6);
    CU_ASSERT_EQUAL(pool_extents_give(e, (uint32_t[]){14}, 1), 0);
    CU_ASSERT_EQUAL(pool_extents_held(e, 0, all, ROOM), 7);
    pool_extents_close(e);
}

static const struct unit_case cases[] = {
    {"handed out once, and what is there", test_hand_out},
    {"a quota holds, and nobody but its life", test_quota},
    {"dirty until discarded", test_dirty_before_free},
    {"nobody returns what is not his", test_foreign},
    {"claims after a take-over", test_claim},
    {"those who wait take turns", test_fair},
    {"against a model", test_model},
    {"a worker asks ahead, and once", test_places_ahead},
    {"a worker keeps a few spares and returns the rest", test_places_back},
};

int suite_extents(void)
{
    return UNIT_SUITE("extents", cases);
}
