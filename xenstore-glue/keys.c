// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * keys: what frontends of twenty years write.  One page: `ring-ref`.  Several: `ring-ref0`.. with
 * `ring-page-order`, or `num-ring-pages` from older ones.  An order of 0 means either spelling.
 * `ring-ref0` without an order is never looked at: an earlier driver may have left it behind.  GRUB
 * leaves `ring-ref` and `event-channel` behind as empty strings: an empty reference is none.
 */
#include "keys.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "util.h"

struct keys {
    keys_reader *read;
    void *from;
    char *text;
};

static int keys_refuse(struct keys *k, int err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static int keys_refuse(struct keys *k, int err, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(k->text, WIRE_TEXT, fmt, args);
    va_end(args);
    return err;
}

static int keys_not_number(struct keys *k, const char *node, uint64_t least, uint64_t most)
{
    return keys_refuse(k, -EINVAL, "%s is not a number from %llu to %llu", node,
                       (unsigned long long)least, (unsigned long long)most);
}

/* 0 and *out; -ENOENT when there is no such node, -EINVAL with text when it is no such number. */
static int keys_number(struct keys *k, const char *node, uint64_t least, uint64_t most,
                       uint64_t *out)
{
    char value[32];
    int err = k->read(k->from, node, value, sizeof(value));

    if (err == -ENOENT)
        return err;
    if (!err && !parse_u64(value, most, out) && *out >= least)
        return 0;
    return keys_not_number(k, node, least, most);
}

static int keys_missing(struct keys *k, int err, const char *node)
{
    return err == -ENOENT ? keys_refuse(k, -EINVAL, "%s is missing", node) : err;
}

static int keys_protocol(struct keys *k, uint32_t *out)
{
    char value[32];
    int err = k->read(k->from, "protocol", value, sizeof(value));

    if (err == -ENOENT || (!err && !strcmp(value, "x86_32-abi")))
        *out = WIRE_X86_32;
    else if (!err && !strcmp(value, "x86_64-abi"))
        *out = WIRE_X86_64;
    else
        return keys_refuse(k, -EINVAL, "protocol is neither x86_64-abi nor x86_32-abi");
    return 0;
}

static int keys_order(struct keys *k, uint32_t *out, bool *given)
{
    uint64_t value;
    int err = keys_number(k, "ring-page-order", 0, KEYS_MAX_ORDER, &value);

    *out = 0;
    *given = true;
    if (!err) {
        *out = (uint32_t)value;
        return 0;
    }
    if (err != -ENOENT)
        return err;
    err = keys_number(k, "num-ring-pages", 1, 1u << KEYS_MAX_ORDER, &value);
    if (err == -ENOENT) {
        *given = false;
        return 0;
    }
    if (err)
        return err;
    if (value & (value - 1))
        return keys_refuse(k, -EINVAL, "num-ring-pages is not a power of two");
    while (1u << *out < value)
        (*out)++;
    return 0;
}

static int keys_ref(struct keys *k, const char *prefix, int page, uint32_t *out)
{
    char node[64], value[32];
    uint64_t ref;

    if (page < 0)
        snprintf(node, sizeof(node), "%sring-ref", prefix);
    else
        snprintf(node, sizeof(node), "%sring-ref%d", prefix, page);
    int err = k->read(k->from, node, value, sizeof(value));
    if (err == -ENOENT || (!err && !value[0])) {
        snprintf(k->text, WIRE_TEXT, "%s is missing", node);
        return -ENOENT;
    }
    if (err || parse_u64(value, UINT32_MAX, &ref))
        return keys_not_number(k, node, 0, UINT32_MAX);
    *out = (uint32_t)ref;
    return 0;
}

static int keys_queue(struct keys *k, const char *prefix, uint32_t order, bool given,
                      struct wire_queue *queue)
{
    char node[64];
    uint64_t port;
    int err = -ENOENT;

    if (order == 0) {
        err = keys_ref(k, prefix, -1, &queue->refs[0]);
        if (err == -ENOENT && given)
            err = keys_ref(k, prefix, 0, &queue->refs[0]);
    } else {
        for (int page = 0; page < 1 << order; page++) {
            err = keys_ref(k, prefix, page, &queue->refs[page]);
            if (err)
                break;
        }
    }
    if (err)
        return -EINVAL;
    snprintf(node, sizeof(node), "%sevent-channel", prefix);
    err = keys_number(k, node, 1, INT32_MAX, &port);
    if (err)
        return keys_missing(k, err, node);
    queue->port = (uint32_t)port;
    return 0;
}

int keys_read(keys_reader *read, void *from, uint32_t queues, struct wire_door *door,
              char text[WIRE_TEXT])
{
    struct keys k = {.read = read, .from = from, .text = text};
    uint64_t count = 1;
    bool given;

    text[0] = '\0';
    int err = keys_protocol(&k, &door->protocol);
    if (err)
        return err;
    err = keys_number(&k, "multi-queue-num-queues", 1, min_u32(queues, WIRE_QUEUES), &count);
    if (err && err != -ENOENT)
        return err;
    door->queues = err ? 1 : (uint32_t)count;
    err = keys_order(&k, &door->order, &given);
    if (err)
        return err;
    for (uint32_t i = 0; i < door->queues && !err; i++) {
        char prefix[24] = "";

        if (door->queues > 1)
            snprintf(prefix, sizeof(prefix), "queue-%u/", i);
        err = keys_queue(&k, prefix, door->order, given, &door->queue[i]);
    }
    if (!err)
        text[0] = '\0';
    return err;
}
