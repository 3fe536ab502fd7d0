/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * paths: the xenstore paths of one vbd, taken apart and put together.  Pure.
 * A vbd is named by two numbers out of its *backend* path; every other path is computed from them,
 * so that no node that somebody wrote is ever used as a path.
 */
#ifndef EPHEM_PATHS_H
#define EPHEM_PATHS_H

#include <stdint.h>

#define PATH_ROOM    160
#define PATH_BACKEND "backend/vbd3"
#define PATH_DOMIDS  0x7ff0u /* domids from here on are reserved by Xen */

struct path_vbd {
    uint32_t domid; /* the frontend's */
    uint32_t devid; /* opaque to Xen; 51712 is xvda */
};

/*
 * Takes "backend/vbd3/<domid>/<devid>" apart, with or without "/local/domain/<n>/" before it.
 * Strict: canonical decimals, nothing behind.  0 or -EINVAL.
 */
int path_parse_backend(const char *path, struct path_vbd *out);

/* One component: canonical decimal (no leading zero) of at most `max`.  0 or -EINVAL. */
int path_parse_id(const char *text, uint32_t max, uint32_t *out);

/* "backend/vbd3/<domid>/<devid>/<node>", relative to our own domain; node may be NULL. */
void path_backend(char out[PATH_ROOM], const struct path_vbd *id, const char *node);

/* "/local/domain/<domid>/device/vbd/<devid>/<node>"; node may be NULL. */
void path_frontend(char out[PATH_ROOM], const struct path_vbd *id, const char *node);

/* "error/backend/vbd3/<domid>/<devid>/<node>", relative to our own domain; node may be NULL. */
void path_error(char out[PATH_ROOM], const struct path_vbd *id, const char *node);

/* "/local/domain/<domid>/<node>"; node may be NULL. */
void path_domain(char out[PATH_ROOM], uint32_t domid, const char *node);

/* The name an operator knows: "xvda", "hdb1", "sdc"; "vbd-<devid>" for numbers without one. */
void path_device_name(char out[32], uint32_t devid);

#endif
