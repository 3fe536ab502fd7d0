/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kin: a guest's two frontend domains, itself and its stub domain, and their vbds of one disk.  What
 * xenstore says of a pair is looked at when a vbd joins, and kept with the life from then on (in its
 * pid file too), since nodes may go while rings are still served.
 */
#ifndef EPHEM_KIN_H
#define EPHEM_KIN_H

#include <stdbool.h>
#include <stdint.h>

#include "life.h"

struct vbd;

/* A frontend's domain, and the guest it belongs to. */
struct kin {
    uint32_t domid, guest;
    char uuid[LIFE_UUID], guest_uuid[LIFE_UUID];
};

/* Who a domain is by xenstore, read at one moment.  0; -EAGAIN without `text`: ask again later;
 * else negative errno and `text`. */
int kin_learn(struct glue *glue, uint32_t domid, struct kin *kin, char text[WIRE_TEXT]);

/* May a vbd of this domain join a life of its guest now, by what we hold already?  As kin_learn(). */
int kin_check(struct glue *glue, const struct kin *kin, char text[WIRE_TEXT]);

/* A vbd of this domain has joined; and one has left, maybe the domain's last: then its event channel
 * handles go.  join: 0, or negative errno and `text`. */
int kin_join(struct life *life, const struct kin *kin, char text[WIRE_TEXT]);
void kin_leave(struct life *life, uint32_t domid);

/* The domain that a life's vbds of this domid belonged to is gone, and the domid another's. */
bool kin_is_reused(struct glue *glue, uint32_t domid);

/* Another vbd of this life and disk that has a volume or will have, or NULL. */
struct vbd *kin_sibling(const struct life *life, const struct vbd *vbd);

/* Of the vbds that have one volume the first; true for a lone one too. */
bool kin_is_first(const struct vbd *vbd);

#endif
