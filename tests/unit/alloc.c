// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * alloc: wrappers the linker puts in front of malloc, calloc and realloc.  By thread, so that I/O
 * threads and CUnit are not hit by what a test asks for itself; or the other way round.
 */
#include "alloc.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

extern void *__real_malloc(size_t size) __attribute__((weak));
extern void *__real_calloc(size_t n, size_t size) __attribute__((weak));
extern void *__real_realloc(void *old, size_t size) __attribute__((weak));
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);

/* volatile: the compiler takes malloc for a function that changes no variable. */
static _Thread_local volatile uint64_t left; /* 0: not armed */
static _Thread_local volatile bool failed;

static _Thread_local volatile bool spared;
static _Atomic uint64_t others_left; /* 0: not armed */
static _Atomic bool others_failed;

static bool other_must_fail(void)
{
    uint64_t n = others_left;

    while (n && !atomic_compare_exchange_weak(&others_left, &n, n - 1))
        ;
    if (n == 1)
        others_failed = true;
    return n == 1;
}

static bool must_fail(void)
{
    if (!left)
        return !spared && other_must_fail();
    if (left > 1) {
        left--;
        return false;
    }
    failed = true;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return must_fail() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return must_fail() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return must_fail() ? NULL : __real_realloc(old, size);
}

bool alloc_works(void)
{
    bool works;
    void *volatile probe;

    alloc_fail_from(1);
    probe = malloc(1);
    works = alloc_heal();
    free(probe);
    return works;
}

void alloc_fail_from(uint64_t nth)
{
    left = nth;
    failed = false;
}

void alloc_fail_others(uint64_t nth)
{
    spared = true;
    others_failed = false;
    others_left = nth;
}

bool alloc_others_failed(void)
{
    return others_failed;
}

bool alloc_heal(void)
{
    left = 0;
    return failed;
}
