// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Plays of the handshake: keys that are no numbers, not ours, or too large, and rings put together from
 * pages and ports that are used otherwise.  None may be connected, but for those that only harm their
 * owner.
 */
#include "hostile.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* More than a connection grants: the kernel hands out first what was given back last. */
#define REVOKED_PAGES 256

/* Something of our own to name in a key. */
struct prop {
    xengntshr_handle *xgs;
    xenevtchn_handle *xce;
    char *page;
    uint32_t ref;
    int port;
    char text[16];
};

static int prop_page(struct lab *lab, struct prop *prop, bool writable)
{
    prop->xgs = xengntshr_open(NULL, 0);
    if (prop->xgs)
        prop->page = xengntshr_share_pages(prop->xgs, lab->front.backend_id, 1, &prop->ref,
                                           writable);
    snprintf(prop->text, sizeof(prop->text), "%u", prop->ref);
    return prop->page ? 0 : -1;
}

/* A reference that was ours, and is not granted again by the connection that names it. */
static int prop_revoked(struct lab *lab, struct prop *prop)
{
    static uint32_t refs[REVOKED_PAGES];
    char *pages;

    prop->xgs = xengntshr_open(NULL, 0);
    pages = prop->xgs
                ? xengntshr_share_pages(prop->xgs, lab->front.backend_id, REVOKED_PAGES, refs, 1)
                : NULL;
    if (!pages)
        return -1;
    snprintf(prop->text, sizeof(prop->text), "%u", refs[0]);
    return xengntshr_unshare(prop->xgs, pages, REVOKED_PAGES);
}

static int prop_port(struct prop *prop, uint32_t domid)
{
    prop->xce = xenevtchn_open(NULL, 0);
    prop->port = prop->xce ? xenevtchn_bind_unbound_port(prop->xce, domid) : -1;
    snprintf(prop->text, sizeof(prop->text), "%d", prop->port);
    return prop->port >= 0 ? 0 : -1;
}

static void prop_free(struct prop *prop)
{
    if (prop->page)
        xengntshr_unshare(prop->xgs, prop->page, 1);
    if (prop->xgs)
        xengntshr_close(prop->xgs);
    if (prop->xce)
        xenevtchn_close(prop->xce);
}

static enum saw refused(struct lab *lab)
{
    if (!lab_connect(lab))
        return wrong(lab, "connected");
    return lab_closed(lab);
}

/* @N is N letters, @ref and @port mean something in another guest; _ stands for a space. */
static const char *value_of(struct lab *lab, unsigned at, const char *text)
{
    char *value = lab->values[at];

    if (!strcmp(text, "@ref"))
        return lab->foreign_ref;
    if (!strcmp(text, "@port"))
        return lab->foreign_port;
    if (text[0] == '@') {
        memset(value, 'A', sizeof(lab->values[0]));
        value[number_of(text + 1) % sizeof(lab->values[0])] = 0;
        return value;
    }
    snprintf(value, sizeof(lab->values[0]), "%s", text);
    for (char *c = value; *c; c++)
        *c = *c == '_' ? ' ' : *c;
    return value;
}

/* KEY=VALUE, or KEY for none; q2: two queues, o2: four pages */
static enum saw play_keys(struct lab *lab, char **args)
{
    lab->front.no_clamp = true;
    for (unsigned i = 0; args[i] && i < 4; i++) {
        char *value = strchr(args[i], '=');

        if (!strcmp(args[i], "q2"))
            lab->front.queues = 2;
        else if (!strcmp(args[i], "o2"))
            lab->front.order = 2;
        else if (value)
            *value++ = 0;
        if (strcmp(args[i], "q2") && strcmp(args[i], "o2"))
            lab_set(lab, args[i], value ? value_of(lab, i, value) : NULL);
    }
    return refused(lab);
}

/* KEY: is a folder with something in it */
static enum saw play_folder(struct lab *lab, char **args)
{
    char key[64];

    snprintf(key, sizeof(key), "%s/inside", args[0]);
    lab_set(lab, args[0], NULL);
    lab_set(lab, key, "8");
    return refused(lab);
}

/* WHAT: a page of ours as ring-ref that is no ring: readonly, revoked or one with data */
static enum saw play_page(struct lab *lab, char **args)
{
    struct prop prop = {.port = -1};
    enum saw saw = SAW_WRONG;

    if (!strcmp(args[0], "revoked") ? !prop_revoked(lab, &prop)
                                    : !prop_page(lab, &prop, strcmp(args[0], "readonly"))) {
        if (prop.page)
            memset(prop.page, 0x41, PAGE);
        if (!strcmp(args[0], "data"))
            memcpy(prop.page + RSP_PROD, "BBBB", 4);
        lab_set(lab, "ring-ref", prop.text);
        /* One with data can be mapped: it is looked into, and then closed. */
        if (strcmp(args[0], "data"))
            saw = refused(lab);
        else
            saw = front_connect(&lab->front) == 99 ? SAW_WRONG : lab_closed(lab);
    }
    prop_free(&prop);
    return saw;
}

/* Both pages of a ring are the same: it is served, and the guest has what it wanted */
static enum saw play_ref_twice(struct lab *lab, char **args)
{
    struct prop prop = {.port = -1};
    struct queue *queue = lab->queue;
    enum saw saw = SAW_WRONG;

    (void)args;
    lab->front.order = 1;
    if (prop_page(lab, &prop, true))
        return wrong(lab, "no page to grant");
    lab_set(lab, "ring-ref0", prop.text);
    lab_set(lab, "ring-ref1", prop.text);
    if (!lab_connect(lab)) {
        char *own = queue->ring;
        struct ask ask = ask_make(lab, BLKIF_OP_READ, 1, 0);

        queue->ring = prop.page;
        saw = ask_one(lab, &ask);
        queue->ring = own;
        lab->no_ring = true;
        if (lab_reconnect(lab))
            saw = SAW_WRONG;
    }
    prop_free(&prop);
    return saw;
}

/* WHAT: twice, one port for two queues; other-domain: offered to somebody else */
static enum saw play_channel(struct lab *lab, char **args)
{
    bool twice = !strcmp(args[0], "twice");
    struct prop prop = {.port = -1};
    enum saw saw = SAW_WRONG;

    if (!prop_port(&prop, twice ? lab->front.backend_id : lab->front.backend_id + 31000)) {
        lab->front.queues = twice ? 2 : 1;
        lab_set(lab, twice ? "queue-0/event-channel" : "event-channel", prop.text);
        if (twice)
            lab_set(lab, "queue-1/event-channel", prop.text);
        saw = refused(lab);
    } else {
        wrong(lab, "no port: %s", strerror(errno));
    }
    prop_free(&prop);
    return saw;
}

const struct play key_plays[] = {
    {"keys", PLAY_CONNECTS, play_keys},       {"folder", PLAY_CONNECTS, play_folder},
    {"page", PLAY_CONNECTS, play_page},       {"ref-twice", PLAY_CONNECTS, play_ref_twice},
    {"channel", PLAY_CONNECTS, play_channel}, {NULL, PLAY_CONNECTS, NULL},
};
