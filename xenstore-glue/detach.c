// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * detach: asks the worker and believes it: what it refuses is tried again, and a vbd stays HELD, so
 * not Closed, until the worker has let go of it or is gone.
 */
#include "detach.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emulated.h"
#include "frontend.h"
#include "kin.h"
#include "suspend.h"

#define DETACH_DRAIN 60000 /* ms a worker may take to finish accepted requests */
#define DETACH_STEP  5000  /* ms for anything else */
#define DETACH_GONE  8000  /* ms until a gone frontend's disk is Closed */
#define DETACH_LEAST 200   /* ms for one step, however late */
#define DETACH_AGAIN 500   /* ms after a refusal */

/* What is left until the deadline, if there is one, and at most `most`. */
static uint32_t detach_patience(const struct vbd *vbd, uint32_t most)
{
    uint64_t now = loop_now();

    if (!vbd->deadline)
        return most;
    if (vbd->deadline < now + DETACH_LEAST)
        return DETACH_LEAST;
    return min_u32(most, (uint32_t)(vbd->deadline - now));
}

void detach_set_deadline(struct vbd *vbd, const struct xenbus_view *view)
{
    if (view->frontend != XENBUS_UNKNOWN && view->backend != XENBUS_UNKNOWN) {
        vbd->deadline = 0;
        return;
    }
    if (!vbd->deadline)
        vbd->deadline = loop_now() + DETACH_GONE;
    if (vbd->life && vbd->life->worker && view->facts & XENBUS_BUSY)
        worker_hasten(vbd->life->worker, vbd, detach_patience(vbd, DETACH_GONE));
}

/* The worker said no. */
static void detach_refused(struct vbd *vbd, const char *what, int error, const char *text)
{
    if (log_allowed(&vbd->limit))
        log_error("vbd %u/%u: %s: %s; trying again", vbd->id.domid, vbd->id.devid, what,
                  text[0] ? text : strerror(-error));
    vbd->retry = loop_now() + DETACH_AGAIN;
    loop_timer_set(vbd->glue->loop, &vbd->again, DETACH_AGAIN);
}

static bool detach_may_ask(struct vbd *vbd)
{
    if (loop_now() < vbd->retry)
        return false;
    vbd->retry = 0;
    return true;
}

static void detach_disconnected(void *arg, int error, const char *text)
{
    struct vbd *vbd = arg;

    if (error && error != -EPIPE && error != -ENOENT) {
        vbd->door = VBD_SERVED;
        detach_refused(vbd, "its ring is still served", error, text);
        return;
    }
    life_give_door(vbd->life, vbd->door_id);
    vbd->door_id = -1;
    vbd->door = VBD_NO_DOOR;
    glue_touched(vbd->glue, vbd->id.domid);
}

void detach_disconnect(struct vbd *vbd, bool force)
{
    struct wire_msg msg;

    if (!detach_may_ask(vbd))
        return;
    /* A stub domain's ring never closes and tells nothing of its guest. */
    if (force && vbd->id.domid == vbd->life->domid)
        suspend_dropped(vbd->life);
    wire_start(&msg, WIRE_DISCONNECT, 0);
    msg.u.disconnect.id = (uint32_t)vbd->door_id;
    msg.u.disconnect.force = force;
    if (!life_call(vbd->life, &msg, NULL, 0,
                   force ? detach_patience(vbd, DETACH_GONE) : DETACH_DRAIN, detach_disconnected,
                   vbd))
        vbd->door = VBD_DISCONNECTING;
}

/* Out of its life; the last one out waits, BUSY, for vbd_life_ended(). */
static void detach_leave(struct vbd *vbd)
{
    int id = vbd->volume_id;

    const struct vbd *sibling = kin_sibling(vbd->life, vbd);

    if (sibling && id >= 0)
        life_allow_moved(vbd->life, id, sibling->volume_id);
    vbd->volume = VBD_DELETING;
    vbd->volume_id = -1;
    if (life_leave(vbd->life, detach_patience(vbd, DETACH_STEP)))
        return;
    struct life *life = vbd->life;
    life_give_volume(life, id);
    vbd->life = NULL;
    vbd->volume = VBD_NO_VOLUME;
    kin_leave(life, vbd->id.domid);
    glue_touched(vbd->glue, vbd->id.domid);
}

static void detach_deleted(void *arg, int error, const char *text)
{
    struct vbd *vbd = arg;

    if (error == -EPIPE)
        return;
    if (!error || error == -ENOENT) {
        detach_leave(vbd);
        return;
    }
    vbd->volume = VBD_READY;
    detach_refused(vbd, "its volume stays in the worker", error, text);
}

void detach_release(struct vbd *vbd)
{
    struct wire_msg msg;

    emulated_close(vbd);
    /* The last one takes the worker with it, and its volume goes with the worker. */
    if (vbd->volume != VBD_READY || vbd->life->users == 1) {
        detach_leave(vbd);
        return;
    }
    if (!detach_may_ask(vbd))
        return;
    wire_start(&msg, WIRE_VOLUME_DEL, 0);
    msg.u.volume.id = (uint32_t)vbd->volume_id;
    if (!life_call(vbd->life, &msg, NULL, 0, detach_patience(vbd, DETACH_STEP), detach_deleted,
                   vbd))
        vbd->volume = VBD_DELETING;
}

static int detach_erase_body(struct xenstore *xs, void *arg)
{
    const struct vbd *vbd = arg;
    char path[PATH_ROOM], **names;
    unsigned int count = 0;
    bool driver = vbd->glue->policy->driver;
    uint64_t state;

    path_backend(path, &vbd->id, "state");
    int err = xenstore_read_u64(xs, path, XENBUS_RECONFIGURED, &state);
    if (!err && state != XENBUS_CLOSED)
        err = -ECANCELED; /* attached anew meanwhile */
    if (!err && !driver)
        err = frontend_erase(xs, &vbd->id);
    path_backend(path, &vbd->id, NULL);
    if (!err)
        err = xenstore_remove(xs, path);
    if (driver)
        return err; /* what is above it is dom0's */
    *strrchr(path, '/') = '\0';
    if (err || xenstore_list(xs, path, &names, &count))
        return err;
    free(names);
    return count ? 0 : xenstore_remove(xs, path);
}

void detach_erase(struct vbd *vbd)
{
    struct xenstore *xs = vbd->glue->xs;
    char path[PATH_ROOM], value[sizeof(PATH_BY_HAND)];

    path_backend(path, &vbd->id, "toolstack");
    if (!vbd->glue->policy->driver &&
        (xenstore_read(xs, path, value, sizeof(value)) || strcmp(value, PATH_BY_HAND)))
        return;
    if (vbd->glue->policy->driver && loop_now() < vbd->settled) {
        loop_timer_set(vbd->glue->loop, &vbd->again, (uint32_t)(vbd->settled - loop_now()));
        return;
    }
    int err = xenstore_transact(xs, detach_erase_body, vbd);
    if (!err || err == -ENOENT || err == -ECANCELED)
        return;
    loop_timer_set(vbd->glue->loop, &vbd->again, DETACH_AGAIN);
    if (log_allowed(&vbd->limit))
        log_error("vbd %u/%u: its folders in xenstore cannot be removed: %s", vbd->id.domid,
                  vbd->id.devid, strerror(-err));
}

void detach_forget(struct vbd *vbd)
{
    struct glue *glue = vbd->glue;
    uint32_t domid = vbd->id.domid;
    char path[PATH_ROOM];
    char **names;
    unsigned int count;

    path_error(path, &vbd->id, NULL);
    xenstore_remove(glue->xs, path);
    *strrchr(path, '/') = '\0';
    if (!xenstore_list(glue->xs, path, &names, &count)) {
        free(names);
        if (!count)
            xenstore_remove(glue->xs, path);
    }
    log_debug("vbd %u/%u: forgotten", domid, vbd->id.devid);
    vbd_free(vbd);
    glue_touched(glue, domid);
}
