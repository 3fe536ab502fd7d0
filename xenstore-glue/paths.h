/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * paths: the xenstore paths of one vbd, taken apart and put together.  Pure.
 * A vbd is named by two numbers out of its *backend* path; every other path is computed from them,
 * so that no node that somebody wrote is ever used as a path.
 */
#ifndef EPHEM_PATHS_H
#define EPHEM_PATHS_H

#include <stdbool.h>
#include <stdint.h>

#define PATH_ROOM    160
#define PATH_BACKEND "backend/vbd3" /* dom0's: libxl's backendtype=tap */
#define PATH_DRIVER  "backend/vbd"  /* a driver domain's: nobody else serves that there */
#define PATH_SERVING                                                                               \
    "data/blkback-ephem" /* in a driver domain's folder: PATH_SERVES once guests may come */
#define PATH_SERVES  "serving"
#define PATH_PAIRS   "blkback-ephem/pairs" /* there, too, and dom0's: whose domains are whose */
#define PATH_BY_HAND "ephemctl" /* node `toolstack` of a backend that libxl knows nothing of */
#define PATH_DOMIDS  0x7ff0u    /* domids from here on are reserved by Xen */

struct path_vbd {
    uint32_t domid; /* the frontend's */
    uint32_t devid; /* opaque to Xen; 51712 is xvda */
};

/* Whether our backends are PATH_DRIVER's.  At the start of a process, before any other call. */
void path_serve_driver(bool is);

/* PATH_BACKEND or PATH_DRIVER, relative to our own domain; below, "backend/vbd3" stands for both. */
const char *path_backends(void);

/* Where a daemon claims this xenstore (claim.h), relative to our own domain. */
const char *path_claim(void);

/*
 * Takes "backend/vbd3/<domid>/<devid>" apart, with or without "/local/domain/<n>/" before it.
 * Strict: canonical decimals, nothing behind.  0 or -EINVAL.
 */
int path_parse_backend(const char *path, struct path_vbd *out);

/* The domid of "backend/vbd3/<domid>" or of a path below it.  0 or -EINVAL. */
int path_parse_owner(const char *path, uint32_t *domid);

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

/* The number of such a name, or of a plain decimal.  0, or -EINVAL when no device is written so. */
int path_parse_device(const char *text, uint32_t *devid);

#endif
