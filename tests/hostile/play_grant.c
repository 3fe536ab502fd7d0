// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Plays of references that are no good: never granted, granted to somebody else, taken back, read-only.
 * A read that fails may have filled some pages, but only with what stands on the disk there: every page
 * is either as it was or the right data.  A write that fails has written nothing (main.c looks).
 */
#include "hostile.h"

#include <stdlib.h>
#include <string.h>

#define NOBODY     31000u /* a domain that is not there */
#define GRANT_SEGS 3u

/* A page of its own, in some way not to be used; or only a number. */
struct bad {
    xengntshr_handle *xgs;
    char *page;
    uint32_t ref;
};

static int bad_make(struct lab *lab, struct bad *bad, const char *kind)
{
    bool elsewhere = !strcmp(kind, "other-domain"), readonly = !strcmp(kind, "readonly");
    uint32_t to = elsewhere ? NOBODY : lab->front.backend_id;

    *bad = (struct bad){.ref = UINT32_MAX};
    if (!strcmp(kind, "max"))
        return 0;
    if (!strcmp(kind, "foreign")) {
        bad->ref = (uint32_t)number_of(lab->foreign_ref);
        return 0;
    }
    bad->xgs = xengntshr_open(NULL, 0);
    bad->page = bad->xgs ? xengntshr_share_pages(bad->xgs, to, 1, &bad->ref, !readonly) : NULL;
    if (!bad->page) {
        wrong(lab, "a page cannot be granted");
        return -1;
    }
    memset(bad->page, FILL, PAGE);
    if (!strcmp(kind, "revoked")) {
        xengntshr_unshare(bad->xgs, bad->page, 1);
        bad->page = NULL;
    }
    return 0;
}

static void bad_free(struct bad *bad)
{
    if (bad->page)
        xengntshr_unshare(bad->xgs, bad->page, 1);
    if (bad->xgs)
        xengntshr_close(bad->xgs);
}

/* Every page is FILL or what the area has there. */
static bool pages_honest(struct lab *lab, unsigned pages)
{
    char want[GRANT_SEGS * PAGE], fill[PAGE];

    memset(fill, FILL, PAGE);
    pattern_fill(want, 0, pages * PAGE_SECTORS, AREA_SEED);
    for (unsigned i = 0; i < pages; i++) {
        const char *page = page_at(lab, PAGE_ASK + i);

        if (memcmp(page, fill, PAGE) && memcmp(page, want + (size_t)i * PAGE, PAGE)) {
            wrong(lab, "page %u was given what does not stand there", i);
            return false;
        }
    }
    return true;
}

/* OP KIND: OP of 3 pages, one of which is bad, each in turn; and all of them */
static enum saw play_gref(struct lab *lab, char **args)
{
    bool indirect = args[0][0] == 'i';
    uint8_t op = strstr(args[0], "read") ? BLKIF_OP_READ : BLKIF_OP_WRITE;
    enum saw saw = SAW_ERROR;
    struct bad bad;

    if (bad_make(lab, &bad, args[1]))
        saw = SAW_WRONG;
    for (unsigned which = 0; which <= GRANT_SEGS && saw != SAW_WRONG; which++) {
        struct ask ask = indirect ? ask_indirect(lab, op, GRANT_SEGS, 0)
                                  : ask_make(lab, op, GRANT_SEGS, 0);

        memset(page_at(lab, PAGE_ASK), FILL, GRANT_SEGS * PAGE);
        for (unsigned i = 0; i < GRANT_SEGS; i++) {
            if (which == i || which == GRANT_SEGS)
                ask.seg[i].ref = bad.ref;
            descriptor_put(lab, i, ask.seg[i]);
        }
        saw = saw_both(saw, ask_one(lab, &ask));
        if (op == BLKIF_OP_READ && !pages_honest(lab, GRANT_SEGS))
            saw = SAW_WRONG;
        if (bad.page && op == BLKIF_OP_READ)
            for (unsigned i = 0; i < PAGE; i++)
                if (bad.page[i] != FILL)
                    saw = wrong(lab, "byte %u of a page not to be written was written", i);
    }
    bad_free(&bad);
    return saw;
}

/* KIND: the page with the descriptors; a good one went before, which may not be used again */
static enum saw play_descriptors(struct lab *lab, char **args)
{
    struct ask ask = ask_indirect(lab, BLKIF_OP_WRITE, GRANT_SEGS, 0);
    enum saw saw = SAW_WRONG;
    bool good = true;
    struct bad bad;

    if (!bad_make(lab, &bad, args[0])) {
        ask.inner = BLKIF_OP_READ;
        for (unsigned i = 0; i < 8 && good; i++)
            good = ask_one(lab, &ask) == SAW_OKAY;
        memset(page_at(lab, PAGE_ASK), FILL, GRANT_SEGS * PAGE);
        ask.inner = BLKIF_OP_WRITE;
        ask.gref = bad.ref;
        saw = ask_one(lab, &ask);
        ask.inner = BLKIF_OP_READ;
        saw = saw_both(saw, ask_one(lab, &ask));
        if (!good)
            saw = wrong(lab, "a good read was refused");
    }
    bad_free(&bad);
    return saw;
}

/* Data are taken from a page granted for reading only, as a frontend should grant it */
static enum saw play_readonly_source(struct lab *lab, char **args)
{
    struct ask ask = ask_make(lab, BLKIF_OP_WRITE, AREA_SECTORS / PAGE_SECTORS, 2048);
    struct bad bad;
    enum saw saw = SAW_WRONG;

    (void)args;
    if (!bad_make(lab, &bad, "readonly")) {
        pattern_fill(page_at(lab, PAGE_ASK), 2048, AREA_SECTORS, 55);
        memcpy(bad.page, page_at(lab, PAGE_ASK), PAGE);
        memset(page_at(lab, PAGE_ASK), 0, PAGE);
        ask.seg[0].ref = bad.ref;
        saw = ask_one(lab, &ask);
        if (lab_check(lab, 2048, 55))
            saw = SAW_WRONG;
    }
    bad_free(&bad);
    return saw;
}

/* The base has become shorter than it was: what it held there is not made up */
static enum saw play_short(struct lab *lab, char **args)
{
    struct ask ask = ask_make(lab, BLKIF_OP_READ, GRANT_SEGS, lab->front.sectors - 64);
    const char *page = page_at(lab, PAGE_ASK);
    enum saw saw;

    (void)args;
    memset(page_at(lab, PAGE_ASK), FILL, GRANT_SEGS * PAGE);
    saw = ask_one(lab, &ask);
    for (unsigned i = 0; i < GRANT_SEGS * PAGE; i++)
        if (page[i] != FILL)
            return wrong(lab, "byte %u was written although the base has nothing there", i);
    return saw;
}

const struct play grant_plays[] = {
    {"gref", PLAY_OPEN, play_gref},
    {"descriptors", PLAY_OPEN, play_descriptors},
    {"readonly-source", PLAY_OPEN, play_readonly_source},
    {"short-base", PLAY_SHORT, play_short},
    {NULL, PLAY_OPEN, NULL},
};
