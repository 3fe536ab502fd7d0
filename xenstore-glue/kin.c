// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kin: a guest has at most one stub domain at a time.  Another one waits until the vbds of the first
 * have left; so does whoever has its domid now.
 *
 * Two vbds are doors onto one volume when life and device number are the same: libxl gives both
 * domains the same disks.  Each has a name of its own for the volume in the worker, where the last
 * name takes the volume with it; so vbds come and go in any order and know little of each other.
 */
#include "kin.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "driver.h"
#include "log.h"
#include "paths.h"
#include "stubdom.h"
#include "vbd.h"

struct kin_look {
    struct glue *glue;
    struct kin *kin;
    char *text;
};

static int kin_read(void *from, const char *path, char *out, size_t size, bool *ours)
{
    struct xenstore *xs = from;
    int err = xenstore_read(xs, path, out, size);

    *ours = false;
    return err ? err : xenstore_is_ours(xs, path, ours);
}

static int kin_learn_body(struct xenstore *xs, void *arg)
{
    struct kin_look *look = arg;
    struct kin *kin = look->kin;

    int err = look->glue->policy->driver
                  ? driver_resolve(xs, kin->domid, &kin->guest, look->text)
                  : stubdom_resolve(kin_read, xs, kin->domid, &kin->guest, look->text);
    if (err)
        return err;
    err = life_identify(look->glue, kin->domid, kin->uuid);
    if (!err)
        err = life_identify(look->glue, kin->guest, kin->guest_uuid);
    if (err == -EINVAL)
        snprintf(look->text, WIRE_TEXT,
                 "the domain's vm node names no UUID; start the guest again");
    return err;
}

int kin_learn(struct glue *glue, uint32_t domid, struct kin *kin, char text[WIRE_TEXT])
{
    struct kin_look look = {.glue = glue, .kin = kin, .text = text};

    *kin = (struct kin){.domid = domid};
    text[0] = '\0';
    int err = xenstore_transact(glue->xs, kin_learn_body, &look);
    if (xenstore_lost(glue->xs))
        err = -EAGAIN;
    if (err == -EAGAIN)
        text[0] = '\0';
    else if (err && !text[0])
        snprintf(text, WIRE_TEXT, "xenstore does not say whose domain %u is: %s", domid,
                 strerror(-err));
    return err;
}

int kin_check(struct glue *glue, const struct kin *kin, char text[WIRE_TEXT])
{
    uint32_t held = life_guest_of(glue, kin->domid);
    const struct life *life = life_find(glue, kin->guest);

    text[0] = '\0';
    if (kin->guest == kin->domid)
        return held == kin->domid ? 0 : -EAGAIN;
    if (held != kin->domid && held != kin->guest)
        return -EAGAIN;
    if (life_guest_of(glue, kin->guest) != kin->guest)
        return -EAGAIN;
    if (life && life->stubdom.domid &&
        (life->stubdom.domid != kin->domid || strcmp(life->stubdom.uuid, kin->uuid)))
        return -EAGAIN;
    /* What dom0 said of a domid may have been said of an earlier domain. */
    if (life && life->parted) {
        snprintf(text, WIRE_TEXT,
                 "domain %u: guest %u has had a stub domain that has left: start the guest anew",
                 kin->domid, kin->guest);
        return -EPERM;
    }
    life = life_find(glue, kin->domid);
    if (!life)
        return 0;
    if (strcmp(life->uuid, kin->uuid))
        return -EAGAIN; /* who had the domid before, on its way out */
    snprintf(text, WIRE_TEXT,
             "domain %u has volumes of its own and cannot become a stub domain any more",
             kin->domid);
    return -EPERM;
}

int kin_join(struct life *life, const struct kin *kin, char text[WIRE_TEXT])
{
    if (kin->guest == kin->domid || life->stubdom.domid == kin->domid)
        return 0;
    life->stubdom.domid = kin->domid;
    snprintf(life->stubdom.uuid, sizeof(life->stubdom.uuid), "%s", kin->uuid);
    int err = life_note_worker(life);
    if (err) {
        memset(&life->stubdom, 0, sizeof(life->stubdom));
        snprintf(text, WIRE_TEXT, "the guest's stub domain cannot be noted in %.100s: %s",
                 life->glue->policy->run_dir, strerror(-err));
    } else {
        log_info("guest %u: domain %u is its stub domain", life->domid, kin->domid);
    }
    return err;
}

void kin_leave(struct life *life, uint32_t domid)
{
    if (!domid || life->stubdom.domid != domid)
        return;
    list_for_each(it, &life->glue->vbds)
    {
        const struct vbd *vbd = container_of(it, struct vbd, link);

        if (vbd->life == life && vbd->id.domid == domid)
            return;
    }
    life_channels_drop(life, domid);
    life->parted = life->glue->policy->driver;
    memset(&life->stubdom, 0, sizeof(life->stubdom));
    int err = life_note_worker(life);
    if (err)
        log_warn("guest %u: the end of its stub domain cannot be noted in %.100s: %s", life->domid,
                 life->glue->policy->run_dir, strerror(-err));
    glue_changed(life->glue);
}

bool kin_is_reused(struct glue *glue, uint32_t domid)
{
    const struct life *life = life_find(glue, life_guest_of(glue, domid));
    char uuid[LIFE_UUID];

    if (!life || life_identify(glue, domid, uuid) || !strcmp(uuid, "none"))
        return false;
    return strcmp(uuid, life->domid == domid ? life->uuid : life->stubdom.uuid) != 0;
}

static bool kin_shares(const struct vbd *vbd, const struct life *life, const struct vbd *other)
{
    return vbd != other && vbd->life == life && vbd->id.devid == other->id.devid &&
           (vbd->volume == VBD_ADDING || vbd->volume == VBD_READY);
}

struct vbd *kin_sibling(const struct life *life, const struct vbd *vbd)
{
    list_for_each(it, &life->glue->vbds)
    {
        struct vbd *other = container_of(it, struct vbd, link);

        if (kin_shares(other, life, vbd))
            return other;
    }
    return NULL;
}

bool kin_is_first(const struct vbd *vbd)
{
    list_for_each(it, &vbd->glue->vbds)
    {
        const struct vbd *other = container_of(it, struct vbd, link);

        if (other == vbd)
            return true;
        if (kin_shares(other, vbd->life, vbd))
            return false;
    }
    return true;
}
