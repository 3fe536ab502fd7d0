/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * node: one power-of-two span of an index, private to it.  `memory` is the index's account of bytes.
 * Functions that can run out of memory return -ENOMEM and have changed nothing.
 */
#ifndef EPHEM_NODE_H
#define EPHEM_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ORDER_MIN    9u
#define ORDER_MAX    16u
#define DENSE_BLOCKS (1u << ORDER_MIN)
#define SPARSE_FULL  512u /* a wider node is halved here */
#define ZERO_FEW     32u  /* so many discarded blocks are exceptions to a node's ground state */
#define SPARSE_DENSE 340u /* at order 9, 6 bytes an entry overtake 4 a block here */

struct node {
    uint16_t start; /* within the region */
    uint8_t order;
    bool dense;
    bool zero;      /* ground state of a sparse node */
    uint16_t count; /* entries of a sparse node */
    uint16_t room;
    uint32_t *slots; /* sparse: [room], followed by uint16_t keys[room]; dense: [DENSE_BLOCKS] */
};

uint16_t *node_keys(const struct node *node);

struct node *node_new(size_t *memory, uint16_t start, uint8_t order, bool zero);
void node_free(size_t *memory, struct node *node);

/* The place of the first key not below `at`. */
uint16_t node_find(const struct node *node, uint16_t at);

/* INDEX_BASE, INDEX_ZERO or a slot. */
uint32_t node_get(const struct node *node, uint16_t at);
uint32_t node_ground(const struct node *node);

/* Room for `room` entries, keeping the first node->count. */
int node_resize(size_t *memory, struct node *node, uint16_t room);

/* A sparse node of the lowest order becomes dense. */
int node_densify(size_t *memory, struct node *node);

/* After a split: what is nearly full turns dense, what is nearly empty gives room back.  Only memory
 * is at stake, so want of it is no failure. */
void node_settle(size_t *memory, struct node *node);

/* A new entry at place i. */
int node_insert(size_t *memory, struct node *node, uint16_t i, uint16_t at, uint32_t slot);

/* Calls drop for every slot in it. */
void node_drop(const struct node *node, void (*drop)(void *, uint32_t), void *arg);

/* All of it becomes zero; its slots were dropped before. */
void node_zero_whole(size_t *memory, struct node *node);

/* Zeroes [from, to) of a sparse node whose ground state is zero, dropping slots. */
void node_forget(struct node *node, uint32_t from, uint32_t to, void (*drop)(void *, uint32_t),
                 void *arg);

/* Zeroes [from, to), a few blocks, of a sparse node whose ground state is the base. */
int node_zero_few(size_t *memory, struct node *node, uint32_t from, uint32_t to,
                  void (*drop)(void *, uint32_t), void *arg);

/* Zeroes [from, to) of a node of the lowest order, dropping slots. */
int node_zero_part(size_t *memory, struct node *node, uint32_t from, uint32_t to,
                   void (*drop)(void *, uint32_t), void *arg);

#endif
