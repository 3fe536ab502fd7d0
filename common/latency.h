/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * latency: the classes by which requests are counted, from the worker to who shows them.  Pure.
 */
#ifndef EPHEM_LATENCY_H
#define EPHEM_LATENCY_H

#include <stdint.h>

#define LATENCY_CLASSES 20
#define LATENCY_BITS    12 /* class 0 is below 4096 ns, each class to twice of the one before */

/* Requests of class i took less than so many nanoseconds, but for the last class, which is all above. */
static inline uint64_t latency_below(uint32_t class)
{
    return (uint64_t)1 << (LATENCY_BITS + class);
}

static inline uint32_t latency_class(uint64_t ns)
{
    uint32_t class = 0;

    while (class < LATENCY_CLASSES - 1 && ns >= latency_below(class))
        class ++;
    return class;
}

#endif
