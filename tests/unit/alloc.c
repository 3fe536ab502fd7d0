// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * alloc: wrappers the linker puts in front of malloc, calloc and realloc.  By thread, so that I/O
 * threads and CUnit are not hit by what a test asks for itself.
 */
#include "alloc.h"

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

static bool must_fail(void)
{
    if (!left)
        return false;
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

bool alloc_heal(void)
{
    left = 0;
    return failed;
}
