// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * keysview: the first line with a node's name is the node.
 */
#include "keysview.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUE 4096

static bool keysview_find(const struct keysview *view, const char *node, const char **value,
                          size_t *length)
{
    size_t name = strlen(node);

    for (const char *at = view->text; *at;) {
        size_t line = strcspn(at, "\n");
        if (line > name && at[name] == '=' && !strncmp(at, node, name)) {
            *value = at + name + 1;
            *length = line - name - 1;
            return true;
        }
        at += line + (at[line] == '\n');
    }
    return false;
}

int keysview_reader(void *from, const char *node, char *out, size_t size)
{
    const char *value;
    size_t length;

    out[0] = '\0';
    if (!keysview_find(from, node, &value, &length))
        return -ENOENT;
    if (length >= size)
        return -E2BIG;
    memcpy(out, value, length);
    out[length] = '\0';
    return 0;
}

enum found { ABSENT, GOOD, BAD };

static enum found keysview_number(const struct keysview *view, const char *node, uint64_t least,
                                  uint64_t most, uint64_t *out)
{
    const char *value;
    size_t length;
    char text[VALUE];

    if (!keysview_find(view, node, &value, &length))
        return ABSENT;
    /* No number we take has more than ten digits, but zeroes may stand before it; up to twenty. */
    if (!length || length > 20)
        return BAD;
    memcpy(text, value, length);
    text[length] = '\0';
    if (strspn(text, "0123456789") != length)
        return BAD;
    errno = 0;
    *out = strtoull(text, NULL, 10);
    return errno || *out < least || *out > most ? BAD : GOOD;
}

static bool keysview_is(const struct keysview *view, const char *node, const char *wanted)
{
    const char *value;
    size_t length;

    return keysview_find(view, node, &value, &length) && length == strlen(wanted) &&
           !strncmp(value, wanted, length);
}

/* An order from either spelling; -1: none, -2: refused. */
static int keysview_order(const struct keysview *view)
{
    uint64_t number = 0;
    enum found found = keysview_number(view, "ring-page-order", 0, 4, &number);

    if (found == GOOD)
        return (int)number;
    if (found == BAD)
        return -2;
    found = keysview_number(view, "num-ring-pages", 1, 16, &number);
    if (found == ABSENT)
        return -1;
    for (int order = 0; found == GOOD && order <= 4; order++)
        if (number == 1u << order)
            return order;
    return -2;
}

static bool keysview_queue(const struct keysview *view, const char *prefix, int order,
                           struct wire_queue *queue)
{
    char node[64];
    uint64_t number = 0;
    enum found found;

    for (int page = 0; page < 1 << (order < 0 ? 0 : order); page++) {
        snprintf(node, sizeof(node), "%sring-ref%d", prefix, page);
        if (order > 0) {
            found = keysview_number(view, node, 0, UINT32_MAX, &number);
        } else {
            char single[64];
            snprintf(single, sizeof(single), "%sring-ref", prefix);
            found = keysview_number(view, single, 0, UINT32_MAX, &number);
            if (found == ABSENT && order == 0)
                found = keysview_number(view, node, 0, UINT32_MAX, &number);
        }
        if (found != GOOD)
            return false;
        queue->refs[page] = (uint32_t)number;
    }
    snprintf(node, sizeof(node), "%sevent-channel", prefix);
    if (keysview_number(view, node, 1, INT32_MAX, &number) != GOOD)
        return false;
    queue->port = (uint32_t)number;
    return true;
}

bool keysview_read(const struct keysview *view, uint32_t queues, struct wire_door *door)
{
    const char *value;
    size_t length;
    uint64_t count = 1;
    int order = keysview_order(view);

    if (keysview_is(view, "protocol", "x86_64-abi"))
        door->protocol = WIRE_X86_64;
    else if (keysview_is(view, "protocol", "x86_32-abi") ||
             !keysview_find(view, "protocol", &value, &length))
        door->protocol = WIRE_X86_32;
    else
        return false;
    if (queues > WIRE_QUEUES)
        queues = WIRE_QUEUES;
    if (keysview_number(view, "multi-queue-num-queues", 1, queues, &count) == BAD || order == -2)
        return false;
    door->queues = (uint32_t)count;
    door->order = order < 0 ? 0 : (uint32_t)order;
    for (uint32_t i = 0; i < door->queues; i++) {
        char prefix[24] = "";
        if (door->queues > 1)
            snprintf(prefix, sizeof(prefix), "queue-%u/", i);
        if (!keysview_queue(view, prefix, order, &door->queue[i]))
            return false;
    }
    return true;
}
