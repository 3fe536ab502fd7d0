/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * status: what the daemon tells about itself and its guests, as JSON.  Reads, changes nothing.
 */
#ifndef EPHEM_STATUS_H
#define EPHEM_STATUS_H

#include <stdbool.h>

#include <jansson.h>

#include "glue.h"

/* The guest with this name or domid: true and its domid.  A guest is a domain with a vbd of ours. */
bool status_find(struct glue *glue, const char *domain, uint32_t *domid);

/*
 * {"ok":true,"daemon":{...},"guests":[...]}; `only`: one domid, or NULL for all; `numbers`: with
 * the workers' figures as last heard.  A new reference, or NULL without memory.
 */
json_t *status_answer(struct glue *glue, const uint32_t *only, bool numbers);

/* For answers: a text, "?" for what JSON cannot carry; a guest's name, maybe empty. */
json_t *status_string(const char *text);
json_t *status_guest_name(struct glue *glue, uint32_t domid);

#endif
