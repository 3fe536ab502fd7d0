// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * refresh: a worker tells what has grown before it answers REFRESH, so that the answer to an operator
 * is what the vbds know by then.  A frontend is told by xenbus' table (connect_resize), one that
 * connects later by its connecting.
 * A worker may have been subverted: it may grow what grows, and no further than a volume can be.  For
 * the memory that it may take its word is not enough (life_limits).
 */
#include "refresh.h"

#include <inttypes.h>
#include <string.h>

#include "log.h"
#include "status.h"
#include "store.h"
#include "vbd.h"

static struct vbd *refresh_vbd(const struct life *life, uint32_t volume)
{
    list_for_each(it, &life->glue->vbds)
    {
        struct vbd *vbd = container_of(it, struct vbd, link);

        if (vbd->life == life && volume < WIRE_VOLUMES && vbd->volume_id == (int)volume &&
            (vbd->volume == VBD_READY || vbd->volume == VBD_DELETING))
            return vbd;
    }
    return NULL;
}

void refresh_grew(struct life *life, uint32_t volume, uint64_t bytes)
{
    struct vbd *vbd = refresh_vbd(life, volume);

    if (life->phase != LIFE_SERVING)
        return;
    if (!vbd || !vbd->grows || bytes <= vbd->bytes || bytes % SECTOR_SIZE || bytes > STORE_MOST) {
        log_error("guest %u: worker %d says that volume %u has grown to %" PRIu64
                  " bytes, which cannot be: killing it",
                  life->domid, (int)worker_pid(life->worker), volume, bytes);
        worker_kill(life->worker);
        return;
    }
    if (log_allowed(&vbd->chatter))
        log_info("vbd %u/%u: has grown with its base from %" PRIu64 " to %" PRIu64 " bytes",
                 vbd->id.domid, vbd->id.devid, vbd->bytes, bytes);
    vbd->was = vbd->bytes;
    vbd->bytes = bytes;
    vbd->grown = ++life->glue->grown;
    life_allow_growth(vbd);
    glue_touched(life->glue, vbd->id.domid);
}

int refresh_ask(struct life *life, worker_done *done, void *arg)
{
    struct wire_msg msg;

    wire_start(&msg, WIRE_REFRESH, 0);
    return life_call(life, &msg, NULL, 0, 0, done, arg);
}

static json_t *refresh_volume(struct glue *glue, const struct vbd *vbd)
{
    char name[32];

    path_device_name(name, vbd->id.devid);
    return json_pack("{s:I, s:o, s:s, s:o, s:I, s:I}", "domid", (json_int_t)vbd->id.domid, "name",
                     status_guest_name(glue, vbd->id.domid), "vdev", name, "base",
                     status_string(vbd_target(vbd)), "was", (json_int_t)vbd->was, "size",
                     (json_int_t)vbd->bytes);
}

json_t *refresh_answer(struct glue *glue, const uint32_t *domid, uint64_t since)
{
    json_t *grown = json_array();

    list_for_each(it, &glue->vbds)
    {
        const struct vbd *vbd = container_of(it, struct vbd, link);

        if (vbd->grown > since && (!domid || *domid == vbd->id.domid))
            json_array_append_new(grown, refresh_volume(glue, vbd));
    }
    return json_pack("{s:b, s:o}", "ok", 1, "grown", grown);
}
