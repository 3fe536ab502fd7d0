// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vbd: looks, asks the table, takes one step.  The way up is in attach.c and connect.c, the way down
 * in detach.c.  Deliberately remembers little: what stands in xenstore is read again each
 * time, only what is in the worker is kept.
 */
#include "vbd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "attach.h"
#include "connect.h"
#include "detach.h"
#include "driver.h"
#include "emulated.h"

#define VBD_SETTLE 1000 /* ms */

static void vbd_again(struct loop_timer *timer)
{
    struct vbd *vbd = container_of(timer, struct vbd, again);

    glue_touched(vbd->glue, vbd->id.domid);
}

struct vbd *vbd_new(struct glue *glue, const struct path_vbd *id)
{
    struct vbd *vbd = calloc(1, sizeof(*vbd));

    if (!vbd)
        return NULL;
    vbd->glue = glue;
    vbd->id = *id;
    vbd->volume_id = vbd->door_id = -1;
    vbd->limit.burst = 5;
    vbd->chatter.burst = 30;
    vbd->fresh = true;
    vbd->again.fire = vbd_again;
    list_append(&glue->vbds, &vbd->link);
    return vbd;
}

struct vbd *vbd_find(struct glue *glue, const struct path_vbd *id)
{
    list_for_each(it, &glue->vbds)
    {
        struct vbd *vbd = container_of(it, struct vbd, link);

        if (vbd->id.domid == id->domid && vbd->id.devid == id->devid)
            return vbd;
    }
    return NULL;
}

void vbd_free(struct vbd *vbd)
{
    if (!vbd)
        return;
    if (vbd->glue->xs)
        vbd_watch(vbd, false);
    loop_timer_stop(&vbd->again);
    emulated_close(vbd);
    list_remove(&vbd->link);
    free(vbd->replayed);
    free(vbd);
}

void vbd_watch(struct vbd *vbd, bool on)
{
    char path[PATH_ROOM];

    if (vbd->watched == on || (on && !driver_may_watch(vbd->glue)))
        return;
    path_frontend(path, &vbd->id, "state");
    if (!on)
        xenstore_unwatch(vbd->glue->xs, path, path);
    else if (xenstore_watch(vbd->glue->xs, path, path))
        return;
    vbd->watched = on;
}

struct vbd_change {
    const struct vbd *vbd;
    enum xenbus_state to;
};

static int vbd_write_state_body(struct xenstore *xs, void *arg)
{
    const struct vbd_change *change = arg;
    char path[PATH_ROOM];
    uint64_t state;

    /* A directory that was removed meanwhile must not come back through our write, nor may what
     * the toolstack wrote meanwhile be written over. */
    path_backend(path, &change->vbd->id, "state");
    int err = xenstore_read_u64(xs, path, XENBUS_RECONFIGURED, &state);
    if (!err && state != change->vbd->backend)
        err = -ECANCELED;
    return err ? err : xenstore_write_u64(xs, path, change->to);
}

void vbd_write_state(struct vbd *vbd, enum xenbus_state state)
{
    struct vbd_change change = {.vbd = vbd, .to = state};
    int err = xenstore_transact(vbd->glue->xs, vbd_write_state_body, &change);

    if (!err) {
        vbd->backend = state;
        if (state == XENBUS_CLOSED) {
            vbd->settled = loop_now() + VBD_SETTLE;
            vbd->closed_at = vbd->frontend;
            vbd->moved = false;
        }
        if (log_allowed(&vbd->chatter))
            log_debug("vbd %u/%u: %s", vbd->id.domid, vbd->id.devid, xenbus_word(state));
    } else if (err != -ENOENT && err != -ECANCELED) {
        log_error("vbd %u/%u: state cannot be written: %s", vbd->id.domid, vbd->id.devid,
                  strerror(-err));
    }
    glue_touched(vbd->glue, vbd->id.domid);
}

static enum xenbus_state vbd_read_state(struct xenstore *xs, const char *path)
{
    uint64_t state;

    if (xenstore_read_u64(xs, path, XENBUS_RECONFIGURED, &state))
        return XENBUS_UNKNOWN;
    return (enum xenbus_state)state;
}

/* The frontend's; one that names another backend is gone for us, and comes back when it names ours again. */
static enum xenbus_state vbd_read_frontend(const struct vbd *vbd, bool *taken)
{
    uint64_t state;
    int err = attach_state(vbd->glue->xs, vbd, true, &state);

    *taken = err == -EEXIST;
    return err ? XENBUS_UNKNOWN : (enum xenbus_state)state;
}

static uint32_t vbd_read_facts(const struct vbd *vbd)
{
    struct xenstore *xs = vbd->glue->xs;
    char path[PATH_ROOM], value[32];
    uint64_t online;
    uint32_t facts = 0;

    path_domain(path, vbd->id.domid, NULL);
    bool domain = xenstore_is_there(xs, path);
    path_backend(path, &vbd->id, "online");
    if (domain && !xenstore_read_u64(xs, path, 1, &online) && online)
        facts |= XENBUS_ONLINE;
    if (vbd->glue->policy->driver)
        return facts | XENBUS_HOTPLUG | XENBUS_AHEAD; /* a toolstack waits for InitWait alone */
    path_backend(path, &vbd->id, "hotplug-status");
    if (!xenstore_read(xs, path, value, sizeof(value)) && !strcmp(value, "connected"))
        facts |= XENBUS_HOTPLUG;
    return facts;
}

static uint32_t vbd_facts(const struct vbd *vbd)
{
    uint32_t facts = 0;

    if (vbd->life)
        facts |= XENBUS_HELD;
    if (vbd->volume == VBD_READY)
        facts |= XENBUS_READY;
    if (vbd->door == VBD_SERVED)
        facts |= XENBUS_DOOR;
    if (vbd->volume == VBD_ADDING || vbd->volume == VBD_DELETING || vbd->door == VBD_CONNECTING ||
        vbd->door == VBD_DISCONNECTING)
        facts |= XENBUS_BUSY;
    if (vbd->failure[0])
        facts |= XENBUS_FAILED;
    if (vbd->broken)
        facts |= XENBUS_BROKEN;
    if (vbd->lost)
        facts |= XENBUS_LOST;
    if (vbd->moved)
        facts |= XENBUS_MOVED;
    if (vbd->announced && vbd->bytes > vbd->announced)
        facts |= XENBUS_GREW;
    return facts;
}

/*
 * The first look at a vbd.  One that no worker holds although it was connected once has lost its
 * data: the worker ended while no daemon ran.  One that failed before stays failed.  One that a
 * worker holds must still be the same disk.  False: it is not.
 */
static bool vbd_meet(struct vbd *vbd)
{
    struct xenstore *xs = vbd->glue->xs;
    char path[PATH_ROOM], value[VBD_PARAMS], text[WIRE_TEXT];

    vbd->fresh = false;
    vbd->closed_at = vbd->frontend;
    if (vbd->adopted) {
        connect_compare(vbd);
        vbd->announced = connect_announced(vbd);
        path_backend(path, &vbd->id, "params");
        bool same = !xenstore_read(xs, path, value, sizeof(value)) && !strcmp(value, vbd->params);
        path_backend(path, &vbd->id, "mode");
        bool writes = !xenstore_read(xs, path, value, sizeof(value)) && !strcmp(value, "w");
        same = same && writes == !vbd->readonly;
        if (same && emulated_open(vbd, text))
            log_error("vbd %u/%u: %s", vbd->id.domid, vbd->id.devid, text);
        return same;
    }
    path_backend(path, &vbd->id, "hotplug-status");
    int err = xenstore_read(xs, path, value, sizeof(value));
    if (!err && !strcmp(value, "error")) {
        path_backend(path, &vbd->id, "hotplug-error");
        if (xenstore_read(xs, path, vbd->failure, sizeof(vbd->failure)) || !vbd->failure[0])
            strcpy(vbd->failure, "failed before");
    } else if (vbd->backend > XENBUS_INITIALISED || (!err && vbd->backend != XENBUS_INITIALISING)) {
        vbd->lost = true;
        if (vbd->backend != XENBUS_CLOSED)
            log_error("vbd %u/%u: no worker holds its data: it stays closed until the guest is "
                      "started again",
                      vbd->id.domid, vbd->id.devid);
    }
    return true;
}

static bool vbd_look(struct vbd *vbd, bool ours, struct xenbus_view *view)
{
    struct xenstore *xs = vbd->glue->xs;
    char path[PATH_ROOM];
    bool was = vbd->taken;

    vbd->frontend = vbd_read_frontend(vbd, &vbd->taken);
    path_backend(path, &vbd->id, "state");
    vbd->backend = ours ? vbd_read_state(xs, path) : XENBUS_UNKNOWN;
    if (ours && vbd->fresh && vbd->backend != XENBUS_UNKNOWN) {
        bool same = vbd_meet(vbd);

        if (xenstore_lost(xs)) {
            vbd->fresh = true; /* nothing is concluded: meet again */
            vbd->lost = false;
            vbd->failure[0] = '\0';
            return false;
        }
        vbd->foreign = !same;
        if (vbd->adopted && same) {
            vbd->adopted = false;
            life_allow_growth(vbd); /* while no daemon looked */
        }
    }
    vbd->moved = vbd->moved || (vbd->backend == XENBUS_CLOSED && vbd->frontend != vbd->closed_at);
    if (vbd->foreign)
        ours = false;
    bool ahead = vbd->glue->policy->driver && !vbd->published;
    if (vbd->backend == XENBUS_INITIALISING && !ahead) {
        /* Only the toolstack writes that: a new disk, maybe in place of one we still hold. */
        if (vbd->life)
            ours = false;
        else
            vbd->published = false;
        vbd->lost = vbd->broken = false;
        vbd->failure[0] = '\0';
    }
    if (ours && vbd->taken && !was && vbd->backend != XENBUS_CLOSED)
        attach_close(vbd, "its frontend belongs to another backend now");
    view->facts = vbd_read_facts(vbd) | vbd_facts(vbd);
    view->frontend = vbd->frontend;
    view->backend = ours ? vbd->backend : XENBUS_UNKNOWN;
    return !xenstore_lost(xs);
}

static void vbd_act(struct vbd *vbd, enum xenbus_action action)
{
    switch (action) {
    case XENBUS_NOTHING:
        break;
    case XENBUS_PUBLISH:
        attach_publish(vbd);
        break;
    case XENBUS_OPEN:
        attach_open(vbd);
        break;
    case XENBUS_CONNECT:
        connect_ring(vbd);
        break;
    case XENBUS_ANNOUNCE:
        connect_announce(vbd);
        break;
    case XENBUS_RESIZE:
        connect_resize(vbd);
        break;
    case XENBUS_DISCONNECT:
    case XENBUS_DROP:
        detach_disconnect(vbd, action == XENBUS_DROP);
        break;
    case XENBUS_CLOSE:
        vbd_write_state(vbd, XENBUS_CLOSING);
        break;
    case XENBUS_RELEASE:
        detach_release(vbd);
        break;
    case XENBUS_SHUT:
        vbd_write_state(vbd, XENBUS_CLOSED);
        break;
    case XENBUS_FORGET:
        detach_forget(vbd);
        break;
    }
}

void vbd_step(struct vbd *vbd, bool ours)
{
    struct xenbus_view view;

    if (!vbd_look(vbd, ours, &view))
        return;
    enum xenbus_action action = xenbus_decide(&view);
    if (action != XENBUS_NOTHING && log_allowed(&vbd->chatter))
        log_debug("vbd %u/%u: frontend %s, backend %s, facts %#x: %s", vbd->id.domid, vbd->id.devid,
                  xenbus_word(view.frontend), xenbus_word(view.backend), view.facts,
                  xenbus_action_word(action));
    detach_set_deadline(vbd, &view);
    vbd_act(vbd, action);
    if (action == XENBUS_NOTHING && view.backend == XENBUS_CLOSED &&
        !(view.facts & (XENBUS_ONLINE | XENBUS_HELD | XENBUS_BUSY)))
        detach_erase(vbd);
}

bool vbd_life_needed(struct glue *glue, const struct life *life)
{
    bool taken;

    list_for_each(it, &glue->vbds)
    {
        const struct vbd *vbd = container_of(it, struct vbd, link);

        if (vbd->life != life || vbd->volume != VBD_READY || vbd->foreign || vbd->lost)
            continue;
        if (!glue->xs || life->stray)
            return true; /* nobody can tell */
        bool alive = vbd_read_frontend(vbd, &taken) != XENBUS_UNKNOWN;
        if (xenstore_lost(glue->xs) || (alive && vbd_read_facts(vbd) & XENBUS_ONLINE))
            return true;
    }
    return false;
}

void vbd_life_ended(struct glue *glue, struct life *life)
{
    list_for_each(it, &glue->vbds)
    {
        struct vbd *vbd = container_of(it, struct vbd, link);

        if (vbd->life != life)
            continue;
        emulated_close(vbd);
        vbd->life = NULL;
        vbd->volume = VBD_NO_VOLUME;
        vbd->door = VBD_NO_DOOR;
        vbd->volume_id = vbd->door_id = -1;
    }
}

void vbd_life_died(struct glue *glue, struct life *life)
{
    list_for_each(it, &glue->vbds)
    {
        struct vbd *vbd = container_of(it, struct vbd, link);

        if (vbd->life != life)
            continue;
        emulated_close(vbd);
        vbd->volume = VBD_NO_VOLUME;
        vbd->door = VBD_NO_DOOR;
        vbd->volume_id = vbd->door_id = -1;
        if (!vbd->failure[0])
            vbd->lost = true;
    }
}

void vbd_door_died(struct glue *glue, struct life *life, uint32_t door, const char *text)
{
    list_for_each(it, &glue->vbds)
    {
        struct vbd *vbd = container_of(it, struct vbd, link);

        if (vbd->life == life && vbd->door_id == (int)door && vbd->door == VBD_SERVED &&
            !vbd->broken) {
            attach_refuse(vbd, text);
            return;
        }
    }
}
