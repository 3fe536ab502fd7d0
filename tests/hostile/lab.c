// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A connection, and the good manners that show whether it still lives: eight pages written and read
 * back with a pattern that has never been used before.
 */
#include "hostile.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <xen/io/xenbus.h>

#define ALIVE_SECTOR 1024u

enum saw wrong(struct lab *lab, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(lab->why, sizeof(lab->why), fmt, args);
    va_end(args);
    return SAW_WRONG;
}

void lab_set(struct lab *lab, const char *key, const char *value)
{
    lab->front.setting[lab->front.settings++] = (struct setting){key, value};
}

int lab_find(struct lab *lab, unsigned devid)
{
    struct xs_handle *xsh = lab->front.xsh;
    char path[320];

    /* xenstored allows a guest so many watches, the same one again included. */
    snprintf(path, sizeof(path), "%s/state", lab->front.backend);
    if (lab->front.backend[0])
        xs_unwatch(xsh, path, "backend");
    lab->front = (struct front){.devid = devid,
                                .queues = 1,
                                .segs = DIRECT_SEGS,
                                .direct = DIRECT_SEGS,
                                .depth = 8,
                                .protocol = lab->protocol,
                                .abi = abi_find(lab->protocol),
                                .xsh = xsh};
    lab->queue = &lab->front.queue[0];
    lab->open = lab->no_ring = lab->wild = false;
    if (!front_find(&lab->front))
        return 0;
    wrong(lab, "device %u is not in xenstore", devid);
    return -1;
}

/* What a play wrote instead of a key is not for the next connection. */
static void lab_forget_keys(struct lab *lab)
{
    static const char *const keys[] = {"ring-page-order", "num-ring-pages", "ring-ref0", "queue-0",
                                       "queue-1",         "queue-2",        "ring-ref1"};
    char path[256];

    for (unsigned i = 0; i < lab->front.settings; i++) {
        snprintf(path, sizeof(path), "%s/%s", lab->front.dir, lab->front.setting[i].key);
        if (strcmp(lab->front.setting[i].key, "state"))
            xs_rm(lab->front.xsh, XBT_NULL, path);
    }
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", lab->front.dir, keys[i]);
        xs_rm(lab->front.xsh, XBT_NULL, path);
    }
    lab->front.settings = 0;
}

int lab_connect(struct lab *lab)
{
    unsigned state = front_connect(&lab->front);

    lab->open = state == XenbusStateConnected;
    if (lab->open)
        return 0;
    wrong(lab, "not connected: the backend's state is %u", state);
    return -1;
}

int lab_close(struct lab *lab)
{
    lab->open = false;
    if (front_close(&lab->front)) {
        wrong(lab, "the backend does not follow a close");
        return -1;
    }
    lab_forget_keys(lab);
    return 0;
}

/* From whatever the play has left to an ordinary connection. */
int lab_reconnect(struct lab *lab)
{
    if (lab_close(lab))
        return -1;
    lab->front.queues = 1;
    lab->front.order = 0;
    lab->front.no_clamp = false;
    lab->no_ring = false;
    return lab_connect(lab);
}

static struct ask lab_ask(const struct lab *lab, uint8_t op, uint64_t sector)
{
    struct ask ask = ask_make(lab, op, AREA_SECTORS / PAGE_SECTORS, sector);

    for (unsigned i = 0; i < AREA_SECTORS / PAGE_SECTORS; i++)
        ask.seg[i].ref = ref_at(lab, PAGE_GOOD + i);
    return ask;
}

int lab_write(struct lab *lab, uint64_t sector, uint64_t seed)
{
    struct ask ask = lab_ask(lab, BLKIF_OP_WRITE, sector);

    pattern_fill(page_at(lab, PAGE_GOOD), sector, AREA_SECTORS, seed);
    enum saw saw = ask_one(lab, &ask);
    if (saw != SAW_OKAY && saw != SAW_WRONG)
        wrong(lab, "a good write was answered with %d", (int)saw);
    return saw == SAW_OKAY ? 0 : -1;
}

int lab_check(struct lab *lab, uint64_t sector, uint64_t seed)
{
    struct ask ask = lab_ask(lab, BLKIF_OP_READ, sector);
    char want[AREA_SECTORS * SECTOR];

    memset(page_at(lab, PAGE_GOOD), FILL, sizeof(want));
    enum saw saw = ask_one(lab, &ask);
    if (saw != SAW_OKAY) {
        if (saw != SAW_WRONG)
            wrong(lab, "a good read was answered with %d", (int)saw);
        return -1;
    }
    pattern_fill(want, sector, AREA_SECTORS, seed);
    if (!memcmp(page_at(lab, PAGE_GOOD), want, sizeof(want)))
        return 0;
    wrong(lab, "sector %llu and on: other data than was written", (unsigned long long)sector);
    return -1;
}

int lab_alive(struct lab *lab)
{
    struct ask read = lab_ask(lab, BLKIF_OP_READ, ALIVE_SECTOR);

    if (lab->front.info & VDISK_READONLY)
        return ask_one(lab, &read) == SAW_OKAY ? 0 : -1;
    lab->seed++;
    return lab_write(lab, ALIVE_SECTOR, lab->seed) || lab_check(lab, ALIVE_SECTOR, lab->seed) ? -1
                                                                                              : 0;
}

enum saw lab_closed(struct lab *lab)
{
    unsigned down = 1u << XenbusStateClosing | 1u << XenbusStateClosed;

    if (backend_wait(&lab->front, down, PATIENCE_MS) != 99)
        return SAW_CLOSED;
    return wrong(lab, "the backend goes on as if nothing were wrong");
}
