// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * memory: what a written block costs in the process: overlay and slots together, by the kernel's
 * figures in /proc/self/smaps, and that what both claim is near that.
 */
#include "unit.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include "overlay.h"
#include "slots.h"
#include "util.h"

#define FIXED ((uint64_t)1 << 20)
#define TERA  (1ull << 28) /* blocks */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

/* Bytes of private memory in the heap and in anonymous mappings. */
static uint64_t anonymous(void)
{
    unsigned long long from, to, inode = 0, kb, sum = 0;
    char line[512];

    malloc_trim(0); /* what others have freed would be used again, and not be seen */
    FILE *smaps = fopen("/proc/self/smaps", "re");
    CU_ASSERT_PTR_NOT_NULL_FATAL(smaps);
    while (fgets(line, sizeof(line), smaps)) {
        if (sscanf(line, "%llx-%llx %*s %*x %*s %llu", &from, &to, &inode) == 3)
            inode |= strstr(line, "[stack]") != NULL;
        else if (sscanf(line, "Anonymous: %llu kB", &kb) == 1 && !inode)
            sum += kb << 10;
    }
    fclose(smaps);
    return sum;
}

static uint32_t take_one(struct slots *slots)
{
    uint32_t slot;
    uint64_t generation;

    while (!slots_take(slots, 1, SLOTS_AMPLE, &slot, &generation)) {
        uint32_t extent = slots_grow(slots, false);
        CU_ASSERT_NOT_EQUAL_FATAL(extent, SLOTS_NO_EXTENT);
        slots_grown(slots, extent, true);
    }
    return slot;
}

/* `n` blocks of a volume of `volume`, in their order or scattered, each written once (or nearly). */
static void measure(const char *what, uint64_t volume, uint32_t n, bool scattered, uint64_t most)
{
    struct overlay *overlay;
    struct slots *slots;
    uint64_t random = 7, start = anonymous(), freed;
    uint32_t back;

    CU_ASSERT_EQUAL_FATAL(overlay_open(&overlay, volume, true), 0);
    CU_ASSERT_EQUAL_FATAL(slots_open(&slots, (1u << 22) - 1), 0);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t block = scattered ? unit_below(&random, volume) : i;
        CU_ASSERT_EQUAL_FATAL(overlay_set(overlay, block, take_one(slots)), 0);
        while (overlay_reap(overlay, &back, 1))
            slots_give(slots, back);
    }
    uint64_t blocks = overlay_blocks(overlay), real = anonymous() - start;
    uint64_t claimed = overlay_memory(overlay) + slots_memory(slots);
    CU_ASSERT_EQUAL(blocks, slots_used(slots));
    CU_ASSERT(blocks <= n && blocks > n - n / 50);
    CU_ASSERT(claimed <= most * blocks + FIXED);
    overlay_close(overlay);
    slots_close(slots);
    freed = anonymous() - start;
    printf("\n    %-26s %8llu blocks: %5.2f bytes each", what, (unsigned long long)blocks,
           (double)claimed / (double)blocks);
    if (SANITIZED) {
        printf(" claimed (skipped: a sanitizer's heap is not ours)");
        return;
    }
    printf(" claimed, %5.2f real", (double)real / (double)blocks);
    CU_ASSERT(real <= most * blocks + FIXED);
    /* How much of the heap is left over between other things depends on what suites there are. */
    CU_ASSERT(claimed <= real + real * 15 / 100 + FIXED);
    CU_ASSERT(real <= claimed + claimed * 20 / 100 + FIXED / 2);
    CU_ASSERT((int64_t)freed < (int64_t)(2 * FIXED));
}

static void dense(void)
{
    measure("dense, 512 MiB", 1 << 17, 1 << 17, false, 8);
    measure("dense, 4 GiB", 1 << 20, 1 << 20, false, 8);
    measure("dense, 4 GiB of 1 TiB", TERA, 1 << 20, false, 8);
}

static void scattered(void)
{
    measure("4 KiB over 1 TiB", TERA, 100000, true, 20);
    measure("4 KiB over 1 TiB", TERA, 1 << 20, true, 20);
    if (!SANITIZED)
        measure("4 KiB over 1 TiB", TERA, 3 << 20, true, 20);
}

int suite_memory(void)
{
    static const struct unit_case cases[] = {
        {"dense", dense},
        {"scattered", scattered},
    };

    return UNIT_SUITE("memory", cases);
}
