// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Plays of one request whose numbers are wrong.  OP in their arguments is read, write or flush, or iread
 * or iwrite for the indirect ones.  Pages to be read into are filled before, and must be so still after
 * an answer that is not 0.
 */
#include "hostile.h"

#include <string.h>

#define ASK_PAGES 16u

static struct ask ask_of(struct lab *lab, const char *op, unsigned nseg, uint64_t sector)
{
    if (!strcmp(op, "iread"))
        return ask_indirect(lab, BLKIF_OP_READ, nseg, sector);
    if (!strcmp(op, "iwrite"))
        return ask_indirect(lab, BLKIF_OP_WRITE, nseg, sector);
    return ask_make(lab,
                    !strcmp(op, "read")    ? BLKIF_OP_READ
                    : !strcmp(op, "write") ? BLKIF_OP_WRITE
                                           : BLKIF_OP_FLUSH_DISKCACHE,
                    nseg, sector);
}

static enum saw ask_filled(struct lab *lab, const struct ask *ask)
{
    char *pages = page_at(lab, PAGE_ASK);
    enum saw saw;

    memset(pages, FILL, (size_t)ASK_PAGES * PAGE);
    saw = ask_one(lab, ask);
    for (size_t i = 0; saw < 0 && i < (size_t)ASK_PAGES * PAGE; i++)
        if (pages[i] != FILL)
            return wrong(lab, "byte %zu of the pages was written by a refused request", i);
    return saw;
}

static bool offered(unsigned op)
{
    return op == BLKIF_OP_READ || op == BLKIF_OP_WRITE || op == BLKIF_OP_FLUSH_DISKCACHE ||
           op == BLKIF_OP_DISCARD || op == BLKIF_OP_INDIRECT;
}

/* FROM TO: every operation of these that is not offered */
static enum saw play_op(struct lab *lab, char **args)
{
    enum saw saw = SAW_UNSUPPORTED;

    for (uint64_t op = number_of(args[0]); op <= number_of(args[1]) && saw != SAW_WRONG; op++) {
        struct ask ask = ask_make(lab, (uint8_t)op, 1, 0);

        if (!offered((unsigned)op))
            saw = saw_both(saw, ask_filled(lab, &ask));
    }
    return saw;
}

/* OP N: that many segments */
static enum saw play_segments(struct lab *lab, char **args)
{
    struct ask ask = ask_of(lab, args[0], (unsigned)number_of(args[1]), 0);

    return ask_filled(lab, &ask);
}

/* FROM TO: inner operations of an indirect request */
static enum saw play_inner(struct lab *lab, char **args)
{
    enum saw saw = SAW_UNSUPPORTED;

    for (uint64_t op = number_of(args[0]); op <= number_of(args[1]) && saw != SAW_WRONG; op++) {
        struct ask ask = ask_indirect(lab, (uint8_t)op, 2, 0);

        saw = saw_both(saw, ask_filled(lab, &ask));
    }
    return saw;
}

/* OP FIRST LAST: in the second of three segments, in the first, and in the third */
static enum saw play_span(struct lab *lab, char **args)
{
    static const unsigned places[] = {1, 0, 2};
    enum saw saw = SAW_ERROR;

    for (size_t i = 0; i < 3 && saw != SAW_WRONG; i++) {
        struct ask ask = ask_of(lab, args[0], 3, 0);
        struct seg *seg = &ask.seg[places[i]];

        seg->first = (uint8_t)number_of(args[1]);
        seg->last = (uint8_t)number_of(args[2]);
        if (ask.op == BLKIF_OP_INDIRECT)
            descriptor_put(lab, places[i], *seg);
        saw = saw_both(saw, ask_filled(lab, &ask));
    }
    return saw;
}

/* A sector: a number, 2^N, end or end-N */
static uint64_t sector_of(const struct lab *lab, const char *text)
{
    if (!strncmp(text, "end", 3))
        return lab->front.sectors - (text[3] ? number_of(text + 4) : 0);
    return number_of(text);
}

/* OP SECTOR: one page there */
static enum saw play_sector(struct lab *lab, char **args)
{
    struct ask ask = ask_of(lab, args[0], 1, sector_of(lab, args[1]));

    return ask_filled(lab, &ask);
}

/* SECTOR COUNT */
static enum saw play_discard(struct lab *lab, char **args)
{
    struct ask ask = {.op = BLKIF_OP_DISCARD,
                      .id = 5,
                      .sector = sector_of(lab, args[0]),
                      .count = sector_of(lab, args[1])};

    return ask_one(lab, &ask);
}

/* OP, or discard: on a disk without write access, of which nothing may have changed */
static enum saw play_readonly(struct lab *lab, char **args)
{
    struct ask read = ask_make(lab, BLKIF_OP_READ, 4, 0), ask;
    char before[4 * PAGE];

    if (ask_one(lab, &read) != SAW_OKAY)
        return wrong(lab, "it cannot be read");
    memcpy(before, page_at(lab, PAGE_ASK), sizeof(before));
    if (!strcmp(args[0], "discard"))
        ask = (struct ask){.op = BLKIF_OP_DISCARD, .id = 5, .count = 8};
    else
        ask = ask_of(lab, args[0], 4, 0);
    enum saw saw = ask_filled(lab, &ask);
    if (saw == SAW_WRONG)
        return saw;
    if (ask_one(lab, &read) != SAW_OKAY)
        return wrong(lab, "it cannot be read any more");
    if (memcmp(before, page_at(lab, PAGE_ASK), sizeof(before)))
        return wrong(lab, "it was written");
    return saw;
}

/* N: in the field that Linux' driver fills with its device number */
static enum saw play_handle(struct lab *lab, char **args)
{
    struct ask ask = ask_make(lab, BLKIF_OP_READ, 2, 0);
    enum saw saw;

    ask.handle = (uint16_t)number_of(args[0]);
    saw = ask_one(lab, &ask);
    ask = ask_indirect(lab, BLKIF_OP_READ, 2, 0);
    ask.handle = (uint16_t)number_of(args[0]);
    return saw_both(saw, ask_one(lab, &ask));
}

/* A flush with data writes them; one with many segments is none */
static enum saw play_flush(struct lab *lab, char **args)
{
    struct ask ask = ask_make(lab, BLKIF_OP_FLUSH_DISKCACHE, 8, 2048);

    (void)args;
    pattern_fill(page_at(lab, PAGE_ASK), 2048, AREA_SECTORS, 99);
    enum saw saw = ask_one(lab, &ask);
    return lab_check(lab, 2048, 99) ? SAW_WRONG : saw;
}

/* A response's padding is zero, and behind it the slot is as it was: also for refused requests */
static enum saw play_padding(struct lab *lab, char **args)
{
    const struct abi *abi = lab->front.abi;
    enum saw saw = SAW_OKAY;

    (void)args;
    for (unsigned i = 0; i < 3; i++) {
        struct ask ask = ask_make(lab, i == 2 ? 77 : BLKIF_OP_READ, i == 1 ? 0 : 11, 0x101);
        const char *slot = queue_slot(lab->queue, lab->queue->produced);
        uint8_t want[128];
        struct answer answer;

        ask.handle = 0xeeee;
        ask_put(lab->queue, &ask);
        memcpy(want, slot, abi->slot);
        memset(want, 0, abi->answer);
        memcpy(want, &ask.id, 8);
        want[8] = ask.op;
        memcpy(want + 10, &(int16_t){i == 0 ? 0 : i == 1 ? -1 : -2}, 2);
        queue_publish(lab->queue);
        if (answer_wait(lab, lab->queue, &answer))
            return SAW_WRONG;
        for (unsigned at = 0; at < abi->slot; at++)
            if (answer.slot[at] != want[at])
                return wrong(lab, "byte %u of a response is %#x, not %#x", at, answer.slot[at],
                             want[at]);
    }
    return saw;
}

const struct play request_plays[] = {
    {"op", PLAY_OPEN, play_op},
    {"segments", PLAY_OPEN, play_segments},
    {"inner", PLAY_OPEN, play_inner},
    {"span", PLAY_OPEN, play_span},
    {"sector", PLAY_OPEN, play_sector},
    {"discard", PLAY_OPEN, play_discard},
    {"handle", PLAY_OPEN, play_handle},
    {"readonly", PLAY_READONLY, play_readonly},
    {"padding", PLAY_OPEN, play_padding},
    {"flush-data", PLAY_OPEN, play_flush},
    {NULL, PLAY_OPEN, NULL},
};
