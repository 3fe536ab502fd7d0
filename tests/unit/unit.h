/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * unit: what all suites share: a table-driven way to register, a seeded random source, and a look at
 * what production code logs.  Every random test runs from fixed seeds: a failure repeats.
 */
#ifndef UNIT_H
#define UNIT_H

#include <CUnit/CUnit.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct unit_case {
    const char *name;
    void (*run)(void);
};

/* Registers a suite; 0, or CUnit's error. */
int unit_suite(const char *name, const struct unit_case *cases, size_t count);

/* splitmix64: the next number of a sequence that only its state determines. */
uint64_t unit_random(uint64_t *state);
/* Below `bound`, which is not 0. */
uint64_t unit_below(uint64_t *state, uint64_t bound);

/* From start to end what is written to stderr goes to a file; end returns how often `text` is in
 * it. */
void unit_capture_start(void);
unsigned int unit_capture_count(const char *text);
void unit_capture_end(void);

/* Descriptors open in this process. */
unsigned int unit_fds(void);

/* Milliseconds of CPU-independent waiting, for things another thread does. */
void unit_sleep(unsigned int ms);

#define UNIT_SUITE(label, cases) unit_suite(label, cases, sizeof(cases) / sizeof((cases)[0]))

#endif
