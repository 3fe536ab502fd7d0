/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * util: the few helpers every part uses.  Pure but for the clock: no state, no other system call.
 */
#ifndef EPHEM_UTIL_H
#define EPHEM_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define ARRAY_SIZE(a)                 (sizeof(a) / sizeof((a)[0]))
#define container_of(p, type, member) ((type *)((char *)(p)-offsetof(type, member)))

#define SECTOR_SIZE  512u
#define BLOCK_SIZE   4096u
#define BLOCK_SHIFT  12
#define SECTOR_SHIFT 9

/* Nanoseconds, CLOCK_MONOTONIC. */
static inline uint64_t clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static inline uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Strict decimal: 1 to 20 digits, no sign, no space, at most `max`.  0 or -EINVAL, -ERANGE. */
int parse_u64(const char *text, uint64_t max, uint64_t *out);

/* A size in bytes: decimal digits and an optional K, M, G or T (powers of 1024).  0 or -EINVAL. */
int parse_size(const char *text, uint64_t *out);

/* Copies src into dst of `size` bytes; 0, or -ENAMETOOLONG and an empty dst. */
int copy_string(char *dst, size_t size, const char *src);

/* Undoes \ooo in place, as /proc writes blanks, newlines and backslashes in paths. */
void unescape_octal(char *text);

/* An intrusive doubly linked list; an empty list points at itself. */
struct list {
    struct list *next, *prev;
};

static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}

static inline void list_append(struct list *head, struct list *item)
{
    item->prev = head->prev;
    item->next = head;
    head->prev->next = item;
    head->prev = item;
}

/* Removing twice is harmless. */
static inline void list_remove(struct list *item)
{
    item->prev->next = item->next;
    item->next->prev = item->prev;
    list_init(item);
}

/* The first item, unlinked, or NULL. */
static inline struct list *list_pop(struct list *head)
{
    struct list *item = head->next;

    if (item == head)
        return NULL;
    list_remove(item);
    return item;
}

#define list_for_each(it, head) for (struct list *it = (head)->next; it != (head); it = it->next)
#define list_for_each_safe(it, tmp, head)                                                          \
    for (struct list *it = (head)->next, *tmp = it->next; it != (head); it = tmp, tmp = it->next)

#endif
