/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * attach: a vbd's way up to a volume: publish, open.  Each runs when xenbus' table says so, takes
 * one step and calls glue_touched() when something came of it.
 */
#ifndef EPHEM_ATTACH_H
#define EPHEM_ATTACH_H

#include "vbd.h"

/* The transport keys, then InitWait, in one transaction. */
void attach_publish(struct vbd *vbd);

/* Base opened, life begun, VOLUME_ADD under way; or attach_fail(). */
void attach_open(struct vbd *vbd);

/* No volume, ever: hotplug-error and hotplug-status say so, the state stays InitWait. */
void attach_fail(struct vbd *vbd, const char *text);

/* One log line and an error node say why it closes. */
void attach_close(struct vbd *vbd, const char *text);

/* This connection is over: one log line, an error node, Closing and Closed follow. */
void attach_refuse(struct vbd *vbd, const char *text);

/* For connect: the state of the frontend or of ours; numbers into our directory, in order, until
 * one fails.  A frontend that names another backend has none: -EEXIST. */
struct attach_pair {
    const char *node;
    uint64_t value;
};
int attach_state(struct xenstore *xs, const struct vbd *vbd, bool frontend, uint64_t *state);
int attach_put_all(struct xenstore *xs, const struct vbd *vbd, const struct attach_pair *pairs,
                   size_t count);

/* What a worker is told to remember of a volume, and back.  parse: 0 or -EINVAL. */
void attach_note(const struct vbd *vbd, char note[WIRE_NOTE]);
int attach_parse_note(const char *note, struct path_vbd *id, bool *readonly,
                      char params[VBD_PARAMS]);

#endif
