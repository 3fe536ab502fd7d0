/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fake_hv: takes hv.c's place: one guest whose grant n is page n of an array, and event channels whose
 * ports are their own remote ends.  A port that was reported stays masked until it is unmasked.
 */
#ifndef UNIT_FAKE_HV_H
#define UNIT_FAKE_HV_H

#include <stdbool.h>
#include <stdint.h>

#define FAKE_PAGES 64u
#define FAKE_PORTS 4u

/* A guest with empty pages and unbound ports. */
void fake_hv_reset(void);
uint8_t *fake_hv_page(uint32_t ref);

/* For pump_events_add. */
int fake_hv_handle(void);

/* The frontend notifies. */
void fake_hv_kick(uint32_t port);
bool fake_hv_bound(uint32_t port);
bool fake_hv_masked(uint32_t port);

#endif
