// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * overlay: claims never overlap and are all granted; a slot is handed back once and not before the
 * reads that may be on it have ended.
 */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "alloc.h"
#include "overlay.h"

#define CLAIMS 40u

struct claimer {
    struct overlay_claim claim;
    bool held, waiting;
};

static uint32_t overlaps(const struct claimer *c)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < CLAIMS; i++)
        for (uint32_t j = 0; j < i; j++)
            n += c[i].held && c[j].held && c[i].claim.first <= c[j].claim.last &&
                 c[j].claim.first <= c[i].claim.last;
    return n;
}

static void claim_end(struct overlay *overlay, struct claimer *c)
{
    struct list granted;

    list_init(&granted);
    overlay_release(overlay, &c->claim, &granted);
    c->held = c->waiting = false;
    for (struct list *it; (it = list_pop(&granted));) {
        struct overlay_claim *claim = container_of(it, struct overlay_claim, grant);
        struct claimer *next = container_of(claim, struct claimer, claim);
        CU_ASSERT(next->waiting && !next->held);
        next->held = true;
        next->waiting = false;
    }
}

static void claims(void)
{
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct claimer c[CLAIMS] = {0};
        struct overlay *overlay;
        uint64_t random = seed;
        uint32_t wrong = 0, busy = 0;

        CU_ASSERT_EQUAL_FATAL(overlay_open(&overlay, 1000, true), 0);
        for (uint32_t i = 0; i < 3000 || busy; i++) {
            struct claimer *one = &c[unit_below(&random, CLAIMS)];
            if (!one->held && !one->waiting && i < 3000) {
                one->claim.first = unit_below(&random, 100);
                one->claim.last = one->claim.first + unit_below(&random, i % 9 ? 4 : 100);
                one->held = overlay_claim(overlay, &one->claim);
                one->waiting = !one->held;
            } else if (one->held || (one->waiting && unit_below(&random, 20) == 0)) {
                claim_end(overlay, one);
            }
            wrong += overlaps(c);
            busy = 0;
            uint32_t held = 0;
            for (uint32_t j = 0; j < CLAIMS; j++) {
                busy += c[j].held || c[j].waiting;
                held += c[j].held;
            }
            wrong += busy && !held; /* nobody would ever go on */
        }
        CU_ASSERT_EQUAL(wrong, 0);
        overlay_close(overlay);
    }
}

/* Those who want the same block get it in the order in which they asked. */
static void claims_in_order(void)
{
    struct claimer c[5] = {0};
    struct overlay *overlay;

    CU_ASSERT_EQUAL_FATAL(overlay_open(&overlay, 10, true), 0);
    for (uint32_t i = 0; i < 5; i++) {
        c[i].claim.first = c[i].claim.last = 3;
        c[i].held = overlay_claim(overlay, &c[i].claim);
        c[i].waiting = !c[i].held;
        CU_ASSERT_EQUAL(c[i].held, i == 0);
    }
    for (uint32_t i = 0; i < 5; i++) {
        CU_ASSERT(c[i].held);
        CU_ASSERT(i == 4 || !c[i + 1].held);
        claim_end(overlay, &c[i]);
    }
    overlay_close(overlay);
}

/* Nor is an older one passed by that still waits for another claim. */
static void claims_behind_waiters(void)
{
    struct claimer c[] = {{.claim = {.first = 0, .last = 5}},
                          {.claim = {.first = 10, .last = 15}},
                          {.claim = {.first = 5, .last = 10}},
                          {.claim = {.first = 7, .last = 7}},
                          {.claim = {.first = 6, .last = 6}}};
    struct overlay *overlay;

    CU_ASSERT_EQUAL_FATAL(overlay_open(&overlay, 20, true), 0);
    for (uint32_t i = 0; i < 5; i++) {
        c[i].held = overlay_claim(overlay, &c[i].claim);
        c[i].waiting = !c[i].held;
        CU_ASSERT_EQUAL(c[i].held, i < 2);
    }
    claim_end(overlay, &c[0]);
    CU_ASSERT(!c[2].held && !c[3].held && !c[4].held);
    claim_end(overlay, &c[4]); /* given up while it waits */
    claim_end(overlay, &c[1]);
    CU_ASSERT(c[2].held && !c[3].held && !c[4].held);
    claim_end(overlay, &c[2]);
    CU_ASSERT(c[3].held && !c[4].held);
    claim_end(overlay, &c[3]);
    overlay_close(overlay);
}

#define SLOTS  200000u
#define BLOCKS (2u * INDEX_REGION_BLOCKS + 100u)
#define READS  12u

struct reader {
    struct overlay_read read;
    bool on;
    uint64_t since;
};

struct slot_life {
    uint64_t left; /* time it left its block, 0: not yet */
    bool reaped;
};

static struct slot_life life[SLOTS];
static uint32_t state[BLOCKS];

static uint64_t oldest_read(const struct reader *readers)
{
    uint64_t oldest = UINT64_MAX;

    for (uint32_t i = 0; i < READS; i++)
        if (readers[i].on && readers[i].since < oldest)
            oldest = readers[i].since;
    return oldest;
}

static uint32_t reap_all(struct overlay *overlay, const struct reader *readers)
{
    uint32_t slots[7], wrong = 0;
    size_t n;

    while ((n = overlay_reap(overlay, slots, 7))) {
        for (size_t i = 0; i < n; i++) {
            struct slot_life *l = &life[slots[i]];
            wrong += !l->left || l->reaped || l->left > oldest_read(readers);
            l->reaped = true;
        }
    }
    return wrong;
}

/* Zeroes up to `reach` blocks; how many had a slot. */
static uint64_t zero_some(struct overlay *overlay, uint64_t *random, uint32_t block, uint32_t reach,
                          uint64_t now)
{
    uint32_t count = min_u32(1 + (uint32_t)unit_below(random, reach), BLOCKS - block);
    uint64_t let_go = 0;

    for (uint32_t b = block; b < block + count; b++) {
        if (state[b] <= INDEX_MAX_SLOT) {
            life[state[b]].left = now;
            let_go++;
        }
        state[b] = INDEX_ZERO;
    }
    CU_ASSERT_EQUAL(overlay_zero(overlay, block, count), 0);
    return let_go;
}

static void grace_of_reads(void)
{
    struct reader readers[READS] = {0};
    struct overlay *overlay;
    uint64_t random = 3, now = 1, in_slots = 0;
    uint32_t next = 0, wrong = 0;

    memset(life, 0, sizeof(life));
    memset(state, 0xff, sizeof(state));
    CU_ASSERT_EQUAL_FATAL(overlay_open(&overlay, BLOCKS, false), 0);
    for (uint32_t i = 0; i < 60000; i++, now++) {
        struct reader *reader = &readers[unit_below(&random, READS)];
        uint32_t block = (uint32_t)unit_below(&random, i % 5 ? 300 : BLOCKS);
        switch (unit_below(&random, 20)) {
        case 0:
            in_slots -= zero_some(overlay, &random, block, i % 50 ? 100 : BLOCKS - block, now);
            break;
        case 1:
        case 2:
        case 3:
            if (reader->on) {
                overlay_read_end(overlay, &reader->read);
            } else {
                overlay_read_begin(overlay, &reader->read);
                reader->since = now;
            }
            reader->on = !reader->on;
            break;
        default:
            if (state[block] <= INDEX_MAX_SLOT)
                life[state[block]].left = now;
            else
                in_slots++;
            state[block] = next;
            CU_ASSERT_EQUAL(overlay_set(overlay, block, next++), 0);
        }
        wrong += overlay_get(overlay, block) != state[block];
        wrong += overlay_blocks(overlay) != in_slots;
        wrong += reap_all(overlay, readers);
    }
    for (uint32_t i = 0; i < READS; i++)
        if (readers[i].on)
            overlay_read_end(overlay, &readers[i].read);
    memset(readers, 0, sizeof(readers));
    reap_all(overlay, readers);
    for (uint32_t s = 0; s < next; s++)
        wrong += life[s].reaped != (life[s].left != 0);
    CU_ASSERT_EQUAL(wrong, 0);
    overlay_close(overlay);
}

/* With all memory refused at each place in turn, a block keeps its state and no slot is lost. */
static void out_of_memory(void)
{
    struct overlay *overlay;
    uint32_t slots[64], given = 0, reaped = 0;

    if (!alloc_works())
        return;
    for (uint64_t nth = 1; nth <= 3; nth++) {
        alloc_fail_from(nth);
        CU_ASSERT_EQUAL(overlay_open(&overlay, 100, true), -ENOMEM);
        CU_ASSERT(alloc_heal());
    }
    CU_ASSERT_EQUAL_FATAL(overlay_open(&overlay, 4096, true), 0);
    for (uint32_t i = 0; i < 3000; i++) {
        uint32_t block = i * 37 % 700;
        int err = -ENOMEM;
        for (uint64_t nth = 1; err; nth++) {
            uint32_t before = overlay_get(overlay, block);
            alloc_fail_from(nth);
            err = i % 16 ? overlay_set(overlay, block, given) : overlay_zero(overlay, block, 30);
            CU_ASSERT_EQUAL(err != 0, alloc_heal());
            CU_ASSERT(!err || i % 16 == 0 || overlay_get(overlay, block) == before);
            if (!err && i % 16)
                given++;
        }
    }
    uint64_t left = overlay_blocks(overlay);
    for (size_t n; (n = overlay_reap(overlay, slots, 64));)
        reaped += (uint32_t)n;
    CU_ASSERT_EQUAL(reaped + left, given);
    overlay_close(overlay);
    /* Zeroes over a base need memory too, though no slot is let go. */
    CU_ASSERT_EQUAL_FATAL(overlay_open(&overlay, 4096, false), 0);
    alloc_fail_from(1);
    CU_ASSERT_EQUAL(overlay_zero(overlay, 10, 20), -ENOMEM);
    CU_ASSERT(alloc_heal());
    CU_ASSERT_EQUAL(overlay_get(overlay, 10), INDEX_BASE);
    CU_ASSERT_EQUAL(overlay_get(overlay, 29), INDEX_BASE);
    CU_ASSERT_EQUAL(overlay_zero(overlay, 10, 20), 0);
    CU_ASSERT_EQUAL(overlay_get(overlay, 9), INDEX_BASE);
    CU_ASSERT_EQUAL(overlay_get(overlay, 10), INDEX_ZERO);
    CU_ASSERT_EQUAL(overlay_get(overlay, 29), INDEX_ZERO);
    CU_ASSERT_EQUAL(overlay_get(overlay, 30), INDEX_BASE);
    overlay_close(overlay);
}

/* Many blocks at once, from one region into the next: all of them, or with memory refused none. */
static void set_all(void)
{
    enum { N = 200, FIRST = INDEX_REGION_BLOCKS - 100, OLD = 50 };
    struct overlay *overlay;
    uint32_t slots[N], reaped[2 * N];
    int err = -ENOMEM;
    bool works = alloc_works();

    CU_ASSERT_EQUAL_FATAL(overlay_open(&overlay, 2 * INDEX_REGION_BLOCKS, false), 0);
    size_t memory = overlay_memory(overlay);
    for (uint32_t i = 0; i < OLD; i++)
        CU_ASSERT_EQUAL(overlay_set(overlay, FIRST + i, 1000 + i), 0);
    CU_ASSERT(overlay_memory(overlay) > memory);
    for (uint64_t nth = 1; err; nth++) {
        for (uint32_t i = 0; i < N; i++)
            slots[i] = i;
        alloc_fail_from(works ? nth : 0);
        err = overlay_set_all(overlay, FIRST, N, slots);
        CU_ASSERT_EQUAL(err != 0, alloc_heal());
        CU_ASSERT(nth > 2 || !works || err == -ENOMEM);
        for (uint32_t i = 0; i < N; i++) {
            uint32_t old = i < OLD ? 1000 + i : INDEX_BASE;
            CU_ASSERT_EQUAL(overlay_get(overlay, FIRST + i), err ? old : i);
            CU_ASSERT(!err || slots[i] == i);
            CU_ASSERT(err || slots[i] == old);
        }
        CU_ASSERT_EQUAL(overlay_blocks(overlay), err ? OLD : N);
        CU_ASSERT_EQUAL(overlay_reap(overlay, reaped, err ? 1 : OLD + 1), err ? 0 : OLD);
    }
    for (uint32_t i = 0; i < OLD; i++)
        CU_ASSERT_EQUAL(reaped[i], 1000 + i);
    for (uint32_t i = 0; i < N; i++)
        CU_ASSERT_EQUAL(overlay_set(overlay, i, N + i), 0);
    alloc_fail_from(works ? 1 : 0); /* no room for what all these leave behind */
    err = overlay_zero(overlay, 0, 2 * INDEX_REGION_BLOCKS);
    CU_ASSERT_EQUAL(err, alloc_heal() ? -ENOMEM : 0);
    CU_ASSERT(!works || (err && overlay_blocks(overlay) == 2 * N));
    CU_ASSERT_EQUAL(overlay_zero(overlay, 0, 2 * INDEX_REGION_BLOCKS), 0);
    CU_ASSERT_EQUAL(overlay_blocks(overlay), 0);
    CU_ASSERT_EQUAL(overlay_reap(overlay, reaped, 2 * N), 2 * N);
    overlay_close(overlay);
    overlay_close(NULL);
}

/* Claims, reads and partings under way do not mind. */
static void grow(void)
{
    struct overlay_claim claim = {.first = 99, .last = 99}, other = {.first = 99, .last = 200};
    struct overlay_read read;
    struct overlay *overlay;
    struct list granted;
    uint32_t slots[4];

    list_init(&granted);
    CU_ASSERT_EQUAL_FATAL(overlay_open(&overlay, 100, false), 0);
    CU_ASSERT(overlay_claim(overlay, &claim));
    overlay_read_begin(overlay, &read);
    CU_ASSERT_EQUAL(overlay_set(overlay, 99, 7), 0);
    CU_ASSERT_EQUAL(overlay_zero(overlay, 98, 2), 0);
    alloc_fail_from(alloc_works() ? 1 : 0);
    int err = overlay_grow(overlay, 3 * INDEX_REGION_BLOCKS);
    CU_ASSERT_EQUAL(err, alloc_heal() ? -ENOMEM : 0);
    CU_ASSERT_EQUAL(overlay_get(overlay, 99), INDEX_ZERO);
    CU_ASSERT_EQUAL(overlay_grow(overlay, 3 * INDEX_REGION_BLOCKS), 0);
    CU_ASSERT_EQUAL(overlay_get(overlay, 99), INDEX_ZERO);
    CU_ASSERT_EQUAL(overlay_get(overlay, 100), INDEX_BASE);
    CU_ASSERT_EQUAL(overlay_get(overlay, 3 * INDEX_REGION_BLOCKS - 1), INDEX_BASE);
    CU_ASSERT(!overlay_claim(overlay, &other));
    overlay_release(overlay, &claim, &granted);
    CU_ASSERT(list_pop(&granted) == &other.grant);
    CU_ASSERT_EQUAL(overlay_reap(overlay, slots, 4), 0);
    overlay_read_end(overlay, &read);
    CU_ASSERT(overlay_reap(overlay, slots, 4) == 1 && slots[0] == 7);
    CU_ASSERT_EQUAL(overlay_grow(overlay, INDEX_MAX_BLOCKS + 1), -EFBIG);
    overlay_close(overlay);
}

int suite_overlay(void)
{
    static const struct unit_case cases[] = {
        {"claims", claims},
        {"claims in order", claims_in_order},
        {"claims behind waiters", claims_behind_waiters},
        {"grace of reads", grace_of_reads},
        {"out of memory", out_of_memory},
        {"many at once", set_all},
        {"growing", grow},
    };

    return UNIT_SUITE("overlay", cases);
}
