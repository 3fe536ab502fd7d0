/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vbd: one virtual block device of one frontend: it carries out what xenbus' table says and keeps
 * what it has in the guest's worker (a volume, a door).  Created by the scan when a backend
 * directory appears or by takeover; freed by itself when nothing of it is left.
 */
#ifndef EPHEM_VBD_H
#define EPHEM_VBD_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "glue.h"
#include "life.h"
#include "log.h"
#include "paths.h"
#include "wire.h"
#include "xenbus.h"

struct emulated;

#define VBD_PARAMS 900 /* fits a note */

enum vbd_volume { VBD_NO_VOLUME, VBD_ADDING, VBD_READY, VBD_DELETING };
enum vbd_door { VBD_NO_DOOR, VBD_CONNECTING, VBD_SERVED, VBD_DISCONNECTING };

struct vbd {
    struct list link;
    struct glue *glue;
    struct path_vbd id;
    bool seen;         /* by the running scan */
    bool watched;      /* its frontend's state */
    bool awaited;      /* dom0's word of whose it is; that was said */
    struct life *life; /* joined, or NULL */
    enum vbd_volume volume;
    int volume_id;
    enum vbd_door door;
    int door_id;
    bool broken, lost;
    bool fresh;              /* not looked at yet */
    bool published;          /* by us */
    bool adopted;            /* from a worker that was taken over: params to be compared */
    bool taken;              /* its frontend is another backend's */
    bool foreign;            /* its backend directory is somebody else's by now: wind it up */
    char failure[WIRE_TEXT]; /* why there is no volume; empty: none */
    char params[VBD_PARAMS]; /* once it has a volume */
    bool readonly;
    bool grows;                          /* with its base */
    uint64_t bytes;                      /* of the volume, now */
    uint64_t announced;                  /* bytes that `sectors` in xenstore says; 0: none */
    uint64_t was;                        /* bytes before it last grew */
    uint64_t grown;                      /* glue->grown then */
    enum xenbus_state backend, frontend; /* as last looked at */
    enum xenbus_state closed_at;         /* the frontend's when we wrote Closed */
    bool moved;                          /* it has changed since */
    struct wire_door *replayed;          /* the ring as a worker taken over serves it, or NULL */
    uint64_t deadline;                   /* ms: its frontend is gone, Closed is due; 0: it is not */
    uint64_t settled;                    /* ms: Closed has been seen by who waits for it */
    uint64_t retry;            /* ms: the worker refused, no sooner again; 0: it did not */
    struct loop_timer again;   /* at `retry` */
    struct emulated *emulated; /* the device model's socket, or NULL; emulated.c's */
    struct log_limit limit;    /* errors */
    struct log_limit chatter;  /* the rest */
};

/* A vbd that nobody knows anything about yet; in the list.  NULL without memory. */
struct vbd *vbd_new(struct glue *glue, const struct path_vbd *id);

/* What the operator wrote as its target: libxl has put "aio:" before it. */
static inline const char *vbd_target(const struct vbd *vbd)
{
    return vbd->params + (strncmp(vbd->params, "aio:", 4) ? 0 : 4);
}

struct vbd *vbd_find(struct glue *glue, const struct path_vbd *id);

/* Unlinks and frees; asks nobody. */
void vbd_free(struct vbd *vbd);

/*
 * Looks at both directories and takes the next step.  `ours`: its backend directory is there and
 * belongs to this life; else it is wound up, and maybe freed.
 */
void vbd_step(struct vbd *vbd, bool ours);

/* Writes a state over the one last looked at, unless somebody has changed it meanwhile. */
void vbd_write_state(struct vbd *vbd, enum xenbus_state state);

/* Some vbd of the life has a volume in its worker and a frontend that may use it: the worker must
 * be waited for, however long it takes. */
bool vbd_life_needed(struct glue *glue, const struct life *life);

/* The frontend's state is watched, or not. */
void vbd_watch(struct vbd *vbd, bool on);

/* The life is over, its process gone: vbds waiting for that have nothing left in it. */
void vbd_life_ended(struct glue *glue, struct life *life);

/* The worker died under its vbds. */
void vbd_life_died(struct glue *glue, struct life *life);

/* The worker gave up on a door. */
void vbd_door_died(struct glue *glue, struct life *life, uint32_t door, const char *text);

#endif
