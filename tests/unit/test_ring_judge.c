// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ring: what a request may ask for, as a table of verdicts.
 */
#include "unit.h"

#include <string.h>
#include "ring.h"
#include "util.h"

static const struct ring_limits plain = {.sectors = 1000, .discard = true};
static const struct ring_limits readonly = {.sectors = 1000, .discard = true, .readonly = true};
static const struct ring_limits no_discard = {.sectors = 1000};
static const struct ring_limits huge = {.sectors = UINT64_MAX / 512, .discard = true};

#define R RING_OP_READ
#define W RING_OP_WRITE
#define F RING_OP_FLUSH
#define D RING_OP_DISCARD
#define I RING_OP_INDIRECT

static const struct {
    const struct ring_limits *limits;
    uint8_t op, inner;
    uint16_t nseg;
    uint64_t sector, discard;
    enum ring_status status;
} rows[] = {
    {&plain, R, 0, 0, 0, 0, RING_ERROR},
    {&plain, R, 0, 1, 0, 0, RING_OKAY},
    {&plain, R, 0, 11, 0, 0, RING_OKAY},
    {&plain, R, 0, 12, 0, 0, RING_ERROR},
    {&plain, R, 0, 255, 0, 0, RING_ERROR},
    {&plain, W, 0, 0, 0, 0, RING_ERROR},
    {&plain, W, 0, 11, 0, 0, RING_OKAY},
    {&plain, W, 0, 12, 0, 0, RING_ERROR},
    {&plain, F, 0, 0, 0, 0, RING_OKAY},
    {&plain, F, 0, 11, 0, 0, RING_OKAY},
    {&plain, F, 0, 12, 0, 0, RING_ERROR},
    {&plain, I, R, 0, 0, 0, RING_ERROR},
    {&plain, I, R, 1, 0, 0, RING_OKAY},
    {&plain, I, W, 256, 0, 0, RING_OKAY},
    {&plain, I, W, 257, 0, 0, RING_ERROR},
    {&plain, I, R, 65535, 0, 0, RING_ERROR},
    {&plain, I, F, 1, 0, 0, RING_UNSUPPORTED},
    {&plain, I, D, 1, 0, 0, RING_UNSUPPORTED},
    {&plain, I, I, 1, 0, 0, RING_UNSUPPORTED},
    {&plain, I, 255, 1, 0, 0, RING_UNSUPPORTED},
    {&plain, RING_OP_BARRIER, 0, 1, 0, 0, RING_UNSUPPORTED},
    {&plain, 4, 0, 1, 0, 0, RING_UNSUPPORTED},
    {&plain, 7, 0, 1, 0, 0, RING_UNSUPPORTED},
    {&plain, 255, 0, 255, 0, 0, RING_UNSUPPORTED},
    {&readonly, R, 0, 1, 0, 0, RING_OKAY},
    {&readonly, I, R, 1, 0, 0, RING_OKAY},
    {&readonly, W, 0, 1, 0, 0, RING_ERROR},
    {&readonly, I, W, 1, 0, 0, RING_ERROR},
    {&readonly, F, 0, 0, 0, 0, RING_OKAY},
    {&readonly, F, 0, 1, 0, 0, RING_ERROR},
    {&readonly, D, 0, 0, 0, 8, RING_ERROR},
    {&no_discard, D, 0, 0, 0, 8, RING_UNSUPPORTED},
    {&plain, D, 0, 0, 0, 0, RING_ERROR},
    {&plain, D, 0, 0, 0, 1000, RING_OKAY},
    {&plain, D, 0, 0, 0, 1001, RING_ERROR},
    {&plain, D, 0, 0, 999, 1, RING_OKAY},
    {&plain, D, 0, 0, 1000, 1, RING_ERROR},
    {&plain, D, 0, 0, 1001, 1, RING_ERROR},
    {&plain, D, 0, 0, UINT64_MAX, 1, RING_ERROR},
    {&plain, D, 0, 0, UINT64_MAX, UINT64_MAX, RING_ERROR},
    {&plain, D, 0, 0, 8, UINT64_MAX - 7, RING_ERROR},
    {&huge, D, 0, 0, UINT64_MAX / 512, 1, RING_ERROR},
    {&huge, D, 0, 0, 1, UINT64_MAX / 512, RING_ERROR},
};

static void headers(void)
{
    struct ring_request request;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        memset(&request, 0, sizeof(request));
        request.op = rows[i].op;
        request.indirect_op = rows[i].inner;
        request.nseg = rows[i].nseg;
        request.sector = rows[i].sector;
        request.discard_sectors = rows[i].discard;
        enum ring_status status = ring_check_header(&request, rows[i].limits);
        CU_ASSERT_EQUAL(status, rows[i].status);
        if (status != rows[i].status)
            printf("\n    row %zu: %d\n", i, (int)status);
    }
}

static enum ring_status judge(uint16_t nseg, uint8_t first, uint8_t last, uint64_t sector,
                              uint32_t *sum)
{
    struct ring_request request;

    memset(&request, 0, sizeof(request));
    request.op = RING_OP_READ;
    request.nseg = nseg;
    request.sector = sector;
    for (uint16_t i = 0; i < nseg; i++)
        request.segments[i] = (struct ring_segment){.first = 0, .last = 7};
    if (nseg)
        request.segments[nseg - 1] = (struct ring_segment){.first = first, .last = last};
    *sum = 12345;
    return ring_check_segments(&request, &plain, sum);
}

static void segments(void)
{
    uint32_t sum;

    for (unsigned int first = 0; first < 256; first++) {
        for (unsigned int last = 0; last < 256; last++) {
            bool good = first <= last && last <= 7;
            enum ring_status status = judge(3, (uint8_t)first, (uint8_t)last, 0, &sum);
            CU_ASSERT_EQUAL(status, good ? RING_OKAY : RING_ERROR);
            CU_ASSERT(!good || sum == 16 + last - first + 1);
        }
    }
}

static void spans(void)
{
    uint32_t sum;

    CU_ASSERT_EQUAL(judge(0, 0, 0, 1000, &sum), RING_OKAY);
    CU_ASSERT_EQUAL(sum, 0);
    CU_ASSERT_EQUAL(judge(1, 0, 7, 992, &sum), RING_OKAY);
    CU_ASSERT_EQUAL(judge(1, 0, 7, 993, &sum), RING_ERROR);
    CU_ASSERT_EQUAL(judge(1, 7, 7, 999, &sum), RING_OKAY);
    CU_ASSERT_EQUAL(judge(1, 7, 7, 1000, &sum), RING_ERROR);
    CU_ASSERT_EQUAL(judge(125, 0, 7, 0, &sum), RING_OKAY);
    CU_ASSERT_EQUAL(sum, 1000);
    CU_ASSERT_EQUAL(judge(126, 0, 0, 0, &sum), RING_ERROR);
    for (uint64_t back = 0; back < 2100; back++)
        CU_ASSERT_EQUAL(judge(256, 0, 7, UINT64_MAX - back, &sum), RING_ERROR);
}

int suite_ring_judge(void)
{
    static const struct unit_case cases[] = {
        {"headers", headers}, {"segments", segments}, {"spans", spans}};

    return UNIT_SUITE("ring_judge", cases);
}
