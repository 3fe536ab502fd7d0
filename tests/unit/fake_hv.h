/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fake_hv: takes hv.c's place: one guest whose grant n is page n of an array, and event channels whose
 * ports are their own remote ends.  A port belongs to the handle that bound it; one that was reported
 * stays masked until it is unmasked.
 */
#ifndef UNIT_FAKE_HV_H
#define UNIT_FAKE_HV_H

#include <stdbool.h>
#include <stdint.h>

#define FAKE_PAGES 1664u
#define FAKE_PORTS 80u

/* A guest with empty pages and unbound ports. */
void fake_hv_reset(void);
uint8_t *fake_hv_page(uint32_t ref);
/* The guest takes the page away, or gives it again: copies of it fail, as maps of it do. */
void fake_hv_revoke(uint32_t ref, bool away);

/* For pump_events_add. */
int fake_hv_handle(void);

/* The frontend notifies. */
void fake_hv_kick(uint32_t port);
bool fake_hv_bound(uint32_t port);
bool fake_hv_masked(uint32_t port);

/* From now on binding a port fails so; 0: it works again. */
void fake_hv_refuse(int error);
/* A port without a ring, bound by the handle that has `like`. */
void fake_hv_stray(uint32_t port, uint32_t like);
/* Pages that are mapped; grant copies asked for since the reset. */
uint32_t fake_hv_mapped(void);
uint32_t fake_hv_copied(void);

/* How often the backend has notified. */
uint32_t fake_hv_notified(uint32_t port);
/* Waits until it is no longer `seen`; false after `ms`. */
bool fake_hv_await(uint32_t port, uint32_t seen, uint32_t ms);

#endif
