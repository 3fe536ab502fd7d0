// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * node: one power-of-two span of an index.  Sparse: sorted keys and slots of the exceptions to a
 * ground state.  Dense: one word a block, only at the lowest order.  See index.c for the whole.
 */
#include "node.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "index.h"

uint16_t *node_keys(const struct node *node)
{
    /* Nothing may be added to a null pointer, not even 0. */
    return node->slots ? (uint16_t *)(node->slots + node->room) : NULL;
}

uint32_t node_ground(const struct node *node)
{
    return node->zero ? INDEX_ZERO : INDEX_BASE;
}

static size_t node_bytes(const struct node *node)
{
    return sizeof(*node) + (node->dense ? DENSE_BLOCKS * 4 : (size_t)node->room * 6);
}

void node_free(size_t *memory, struct node *node)
{
    *memory -= node_bytes(node);
    free(node->slots);
    free(node);
}

/* The place of the first key not below `at`. */
uint16_t node_find(const struct node *node, uint16_t at)
{
    const uint16_t *keys = node_keys(node);
    uint16_t low = 0, high = node->count;

    while (low < high) {
        uint16_t mid = (uint16_t)((low + high) / 2);
        if (keys[mid] < at)
            low = (uint16_t)(mid + 1);
        else
            high = mid;
    }
    return low;
}

uint32_t node_get(const struct node *node, uint16_t at)
{
    if (node->dense)
        return node->slots[at - node->start];
    uint16_t i = node_find(node, at);
    if (i < node->count && node_keys(node)[i] == at)
        return node->slots[i];
    return node_ground(node);
}

struct node *node_new(size_t *memory, uint16_t start, uint8_t order, bool zero)
{
    struct node *node = calloc(1, sizeof(*node));

    if (!node)
        return NULL;
    node->start = start;
    node->order = order;
    node->zero = zero;
    *memory += node_bytes(node);
    return node;
}

/* Makes room for `room` entries, keeping the first node->count. */
int node_resize(size_t *memory, struct node *node, uint16_t room)
{
    uint32_t *slots = malloc((size_t)room * 6);

    if (!slots)
        return -ENOMEM;
    *memory -= node_bytes(node);
    if (node->count) {
        memcpy(slots, node->slots, node->count * sizeof(uint32_t));
        memcpy(slots + room, node_keys(node), node->count * sizeof(uint16_t));
    }
    free(node->slots);
    node->slots = slots;
    node->room = room;
    *memory += node_bytes(node);
    return 0;
}

/* A sparse node of order 9 becomes dense. */
int node_densify(size_t *memory, struct node *node)
{
    uint32_t *slots = malloc(DENSE_BLOCKS * sizeof(*slots));

    if (!slots)
        return -ENOMEM;
    for (uint32_t i = 0; i < DENSE_BLOCKS; i++)
        slots[i] = node_ground(node);
    for (uint16_t i = 0; i < node->count; i++)
        slots[node_keys(node)[i] - node->start] = node->slots[i];
    *memory -= node_bytes(node);
    free(node->slots);
    node->slots = slots;
    node->dense = true;
    node->count = node->room = 0;
    *memory += node_bytes(node);
    return 0;
}

void node_settle(size_t *memory, struct node *node)
{
    if (node->order == ORDER_MIN && node->count >= SPARSE_DENSE) {
        node_densify(memory, node);
    } else if (!node->count && node->room) {
        *memory -= node_bytes(node);
        free(node->slots);
        node->slots = NULL;
        node->room = 0;
        *memory += node_bytes(node);
    } else if (node->room > node->count + node->count / 8 + 4) {
        node_resize(memory, node, node->count);
    }
}

int node_insert(size_t *memory, struct node *node, uint16_t i, uint16_t at, uint32_t slot)
{
    if (node->count == node->room) {
        uint16_t more = (uint16_t)(node->room / 8 < 4 ? 4 : node->room / 8);
        if (node_resize(memory, node, (uint16_t)(node->room + more)))
            return -ENOMEM;
    }
    uint16_t *keys = node_keys(node);
    size_t after = (size_t)(node->count - i);
    memmove(keys + i + 1, keys + i, after * sizeof(*keys));
    memmove(node->slots + i + 1, node->slots + i, after * sizeof(*node->slots));
    keys[i] = at;
    node->slots[i] = slot;
    node->count++;
    return 0;
}

void node_drop(const struct node *node, void (*drop)(void *, uint32_t), void *arg)
{
    uint32_t n = node->dense ? DENSE_BLOCKS : node->count;

    for (uint32_t i = 0; i < n; i++)
        if (node->slots[i] <= INDEX_MAX_SLOT)
            drop(arg, node->slots[i]);
}

void node_zero_whole(size_t *memory, struct node *node)
{
    *memory -= node_bytes(node);
    free(node->slots);
    node->slots = NULL;
    node->count = node->room = 0;
    node->dense = false;
    node->zero = true;
    *memory += node_bytes(node);
}

/* Zeroes [from, to) of a node of order 9, but not all of it. */
int node_zero_part(size_t *memory, struct node *node, uint32_t from, uint32_t to,
                   void (*drop)(void *, uint32_t), void *arg)
{
    if (!node->dense && node_densify(memory, node))
        return -ENOMEM;
    for (uint32_t i = from - node->start; i < to - node->start; i++) {
        uint32_t slot = node->slots[i];
        node->slots[i] = INDEX_ZERO;
        if (slot <= INDEX_MAX_SLOT)
            drop(arg, slot);
    }
    return 0;
}

void node_forget(struct node *node, uint32_t from, uint32_t to, void (*drop)(void *, uint32_t),
                 void *arg)
{
    uint16_t *keys = node_keys(node);
    uint16_t low = node_find(node, (uint16_t)from), high = low;

    for (; high < node->count && keys[high] < to; high++)
        if (node->slots[high] <= INDEX_MAX_SLOT)
            drop(arg, node->slots[high]);
    size_t after = (size_t)(node->count - high);
    if (high == low)
        return;
    memmove(keys + low, keys + high, after * sizeof(*keys));
    memmove(node->slots + low, node->slots + high, after * sizeof(*node->slots));
    node->count = (uint16_t)(node->count - (high - low));
}

int node_zero_few(size_t *memory, struct node *node, uint32_t from, uint32_t to,
                  void (*drop)(void *, uint32_t), void *arg)
{
    uint16_t need = (uint16_t)(node->count + (to - from));

    if (node->room < need && node_resize(memory, node, need))
        return -ENOMEM;
    for (uint32_t at = from; at < to; at++) {
        uint16_t i = node_find(node, (uint16_t)at);
        if (i == node->count || node_keys(node)[i] != at) {
            node_insert(memory, node, i, (uint16_t)at, INDEX_ZERO); /* there is room */
            continue;
        }
        uint32_t slot = node->slots[i];
        node->slots[i] = INDEX_ZERO;
        if (slot <= INDEX_MAX_SLOT)
            drop(arg, slot);
    }
    return 0;
}
