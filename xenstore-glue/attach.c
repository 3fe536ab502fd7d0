// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * attach: up to a volume in the worker; the ring is in connect.c.  libxl waits for exactly InitWait, so publishing is quick
 * and never fails for the base's sake; what is wrong with the base is told through the hotplug
 * script, which libxl runs next.  Until volume and script are both ready the state stays InitWait:
 * a guest that is fast must not carry us past what libxl waits for.  In a driver domain no script is run, and
 * libxl waits for InitWait alone: there the volume comes first, and what failed never gets there.
 */
#include "attach.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "connect.h"
#include "driver.h"
#include "emulated.h"
#include "frontend.h"
#include "keys.h"
#include "kin.h"
#include "store.h"
#include "suspend.h"

#define ATTACH_PATIENCE 20000 /* ms, for a worker to take a volume */
#define ATTACH_TEXT     (STORE_TEXT > WIRE_TEXT ? STORE_TEXT : WIRE_TEXT)

static int attach_put(struct xenstore *xs, const struct vbd *vbd, const char *node, uint64_t value)
{
    char path[PATH_ROOM];

    path_backend(path, &vbd->id, node);
    return xenstore_write_u64(xs, path, value);
}

static int attach_get(struct xenstore *xs, const struct vbd *vbd, const char *node, char *out,
                      size_t size)
{
    char path[PATH_ROOM];

    path_backend(path, &vbd->id, node);
    return xenstore_read(xs, path, out, size);
}

int attach_state(struct xenstore *xs, const struct vbd *vbd, bool frontend, uint64_t *state)
{
    char path[PATH_ROOM];

    int err = frontend ? frontend_look(xs, &vbd->id) : 0;
    if (err)
        return err;
    (frontend ? path_frontend : path_backend)(path, &vbd->id, "state");
    return xenstore_read_u64(xs, path, XENBUS_RECONFIGURED, state);
}

int attach_put_all(struct xenstore *xs, const struct vbd *vbd, const struct attach_pair *pairs,
                   size_t count)
{
    int err = 0;

    for (size_t i = 0; i < count && !err; i++)
        err = attach_put(xs, vbd, pairs[i].node, pairs[i].value);
    return err;
}

static bool attach_discard(struct xenstore *xs, const struct vbd *vbd)
{
    char value[16];

    if (vbd->readonly)
        return false;
    return attach_get(xs, vbd, "discard-enable", value, sizeof(value)) || strcmp(value, "0");
}

static bool attach_reads_only(struct xenstore *xs, const struct vbd *vbd)
{
    char mode[8];

    return attach_get(xs, vbd, "mode", mode, sizeof(mode)) || strcmp(mode, "w");
}

static int attach_publish_body(struct xenstore *xs, void *arg)
{
    struct vbd *vbd = arg;
    const struct attach_pair transport[] = {
        {"max-ring-page-order", KEYS_MAX_ORDER},
        {"max-ring-pages", 1u << KEYS_MAX_ORDER},
        {"multi-queue-max-queues", vbd->glue->policy->queues},
        {"feature-max-indirect-segments", 256},
        {"feature-flush-cache", 1},
    };
    static const struct attach_pair discard[] = {
        {"feature-discard", 1}, {"discard-granularity", BLOCK_SIZE}, {"discard-alignment", 0}};
    uint64_t state;

    int err = attach_state(xs, vbd, false, &state);
    if (!err && state != vbd->backend)
        err = -ECANCELED; /* the toolstack has changed its mind meanwhile */
    if (err)
        return err;
    vbd->readonly = attach_reads_only(xs, vbd);
    err = attach_put_all(xs, vbd, transport, ARRAY_SIZE(transport));
    if (!err && attach_discard(xs, vbd))
        err = attach_put_all(xs, vbd, discard, ARRAY_SIZE(discard));
    /* All nodes that it will ever have: what reaches InitWait must not fail for a quota later. */
    if (!err && vbd->glue->policy->driver)
        err = connect_put_size(xs, vbd);
    return err ? err : attach_put(xs, vbd, "state", XENBUS_INIT_WAIT);
}

void attach_publish(struct vbd *vbd)
{
    int err = xenstore_transact(vbd->glue->xs, attach_publish_body, vbd);

    if (!err) {
        vbd->published = true;
        vbd->broken = vbd->moved = false;
        return;
    }
    if (err == -ECANCELED) {
        glue_touched(vbd->glue, vbd->id.domid);
        return;
    }
    /* Tried again by itself: a second is soon enough for a store that refuses. */
    if (err != -ENOENT && log_allowed(&vbd->limit))
        log_error(
            "vbd %u/%u: cannot be published: %s", vbd->id.domid, vbd->id.devid,
            err == -ENOSPC
                ? "xenstored's quota of nodes is used up: use another storage domain, or raise it"
                : strerror(-err));
    loop_timer_set(vbd->glue->loop, &vbd->again, 1000);
}

struct attach_words {
    struct vbd *vbd;
    const char *text;
};

static int attach_fail_body(struct xenstore *xs, void *arg)
{
    const struct attach_words *words = arg;
    char path[PATH_ROOM];
    uint64_t state;

    int err = attach_state(xs, words->vbd, false, &state);
    if (err)
        return err;
    path_backend(path, &words->vbd->id, "hotplug-error");
    err = xenstore_write(xs, path, words->text);
    path_backend(path, &words->vbd->id, "hotplug-status");
    return err ? err : xenstore_write(xs, path, "error");
}

void attach_fail(struct vbd *vbd, const char *text)
{
    struct attach_words words = {.vbd = vbd, .text = vbd->failure};

    snprintf(vbd->failure, sizeof(vbd->failure), "%s", text[0] ? text : "no volume");
    log_error("vbd %u/%u: %s", vbd->id.domid, vbd->id.devid, vbd->failure);
    if (vbd->glue->xs)
        xenstore_transact(vbd->glue->xs, attach_fail_body, &words);
    glue_touched(vbd->glue, vbd->id.domid);
}

void attach_close(struct vbd *vbd, const char *text)
{
    char path[PATH_ROOM];

    if (log_allowed(&vbd->limit))
        log_error("vbd %u/%u: closing it: %s", vbd->id.domid, vbd->id.devid, text);
    path_error(path, &vbd->id, "error");
    if (vbd->glue->xs)
        xenstore_write(vbd->glue->xs, path, text);
    glue_touched(vbd->glue, vbd->id.domid);
}

void attach_refuse(struct vbd *vbd, const char *text)
{
    vbd->broken = true;
    attach_close(vbd, text);
}

void attach_note(const struct vbd *vbd, char note[WIRE_NOTE])
{
    snprintf(note, WIRE_NOTE, "domid=%u devid=%u mode=%c params=%s", vbd->id.domid, vbd->id.devid,
             vbd->readonly ? 'r' : 'w', vbd->params);
}

int attach_parse_note(const char *note, struct path_vbd *id, bool *readonly,
                      char params[VBD_PARAMS])
{
    char mode;
    int at = 0;

    if (sscanf(note, "domid=%u devid=%u mode=%c params=%n", &id->domid, &id->devid, &mode, &at) !=
            3 ||
        !at || id->domid >= PATH_DOMIDS)
        return -EINVAL;
    /* They go into logs and answers. */
    for (const char *c = note + at; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            return -EINVAL;
    *readonly = mode != 'w';
    return copy_string(params, VBD_PARAMS, note + at) ? -EINVAL : 0;
}

static void attach_added(void *arg, int error, const char *text)
{
    struct vbd *vbd = arg;
    char words[WIRE_TEXT];

    if (!error && !vbd->life->error[0]) {
        vbd->volume = VBD_READY;
        if (emulated_open(vbd, words)) {
            attach_fail(vbd, words);
            return;
        }
        log_info("vbd %u/%u: volume %d ready: %s%s", vbd->id.domid, vbd->id.devid, vbd->volume_id,
                 vbd->params, vbd->readonly ? ", read-only" : "");
        glue_touched(vbd->glue, vbd->id.domid);
        return;
    }
    life_give_volume(vbd->life, vbd->volume_id);
    vbd->volume = VBD_NO_VOLUME;
    vbd->volume_id = -1;
    if (text[0])
        attach_fail(vbd, text);
    else if (vbd->life->error[0])
        attach_fail(vbd, vbd->life->error);
    else
        attach_fail(vbd, "the worker ended before it took the volume; the log says why");
}

/* The volume to the worker; takes base->fd.  `same`: the vbd whose volume it is, or NULL. */
static int attach_add(struct vbd *vbd, const struct store_base *base, const struct vbd *same)
{
    struct wire_msg msg;

    wire_start(&msg, WIRE_VOLUME_ADD, 0);
    vbd->volume_id = life_take_volume(vbd->life);
    if (vbd->volume_id < 0) {
        if (base->fd >= 0)
            close(base->fd);
        return -ENOSPC;
    }
    vbd->bytes = base->bytes;
    vbd->grows = base->grows;
    msg.u.volume.id = (uint32_t)vbd->volume_id;
    msg.u.volume.bytes = base->bytes;
    msg.u.volume.base_bytes = base->base_bytes;
    if (vbd->readonly)
        msg.u.volume.flags |= WIRE_VOLUME_READONLY;
    if (attach_discard(vbd->glue->xs, vbd))
        msg.u.volume.flags |= WIRE_VOLUME_DISCARD;
    if (vbd->grows)
        msg.u.volume.flags |= WIRE_VOLUME_GROWS;
    if (same) {
        msg.u.volume.flags |= WIRE_VOLUME_SAME;
        msg.u.volume.same = (uint32_t)same->volume_id;
    }
    path_device_name(msg.u.volume.name, vbd->id.devid);
    attach_note(vbd, msg.u.volume.note);
    /* First: when we end in between, the next daemon finds it noted. */
    if (!same)
        life_allow(vbd->life, vbd->volume_id, base->bytes);
    int err = life_call(vbd->life, &msg, &base->fd, base->fd >= 0 ? 1 : 0, ATTACH_PATIENCE,
                        attach_added, vbd);
    if (err) {
        life_give_volume(vbd->life, vbd->volume_id);
        return err;
    }
    vbd->volume = VBD_ADDING;
    return 0;
}

/* What libxl wrote: "aio:" and the operator's target. */
static int attach_params(struct vbd *vbd, struct store_spec *spec, char text[STORE_TEXT])
{
    int err = attach_get(vbd->glue->xs, vbd, "params", vbd->params, sizeof(vbd->params));

    if (err) {
        snprintf(text, STORE_TEXT, "params of the backend: %s",
                 err == -E2BIG ? "too long: use a shorter path" : strerror(-err));
        return err;
    }
    err = store_parse_volume(vbd_target(vbd), spec, text);
    if (err || !vbd->glue->policy->driver)
        return err;
    vbd->readonly = attach_reads_only(vbd->glue->xs, vbd);
    return driver_check_base(spec, text);
}

/* The base, or the volume that the guest's other frontend of this disk has. */
static int attach_find(struct vbd *vbd, const struct vbd *same, const struct store_spec *spec,
                       struct store_base *base, char text[STORE_TEXT])
{
    *base = (struct store_base){.fd = -1};
    if (!same)
        return store_open_base(spec, base, text);
    base->bytes = same->bytes;
    base->grows = same->grows;
    if (!strcmp(vbd->params, same->params) && vbd->readonly == same->readonly)
        return 0;
    return store_fail(text, -EINVAL,
                      "not as vbd %u/%u, which is the same disk of the same guest: give both the "
                      "same target and mode",
                      same->id.domid, same->id.devid);
}

/* All before the worker is asked: base or sibling, and the life joined. */
static int attach_begin(struct vbd *vbd, struct store_base *base, const struct vbd **same,
                        char text[ATTACH_TEXT])
{
    struct glue *glue = vbd->glue;
    struct store_spec spec;
    struct life *life;
    struct kin kin;

    *base = (struct store_base){.fd = -1};
    if (glue->policy->driver)
        vbd_watch(vbd, true); /* one that has gone since we were marked may have left its place */
    if (glue->policy->driver && !vbd->watched) {
        snprintf(text, ATTACH_TEXT,
                 "its frontend cannot be watched: xenstored's quota of watches is used up: "
                 "use another storage domain");
        return -EDQUOT;
    }
    int err = kin_learn(glue, vbd->id.domid, &kin, text);
    if (!err)
        err = kin_check(glue, &kin, text);
    if (!err)
        err = attach_params(vbd, &spec, text);
    if (!err)
        err = life_check(glue, kin.guest, kin.guest_uuid, text);
    life = err ? NULL : life_find(glue, kin.guest);
    if (!err && !life)
        err = suspend_judge(glue, kin.guest, kin.guest_uuid, text);
    *same = life ? kin_sibling(life, vbd) : NULL;
    if (!err)
        err = attach_find(vbd, *same, &spec, base, text);
    if (!err)
        err = life_begin(glue, kin.guest, kin.guest_uuid, &life, text);
    if (err)
        return err;
    vbd->life = life;
    life_join(life);
    return kin_join(life, &kin, text);
}

/* Once, when it is dom0's word that is waited for. */
static void attach_await(struct vbd *vbd)
{
    char text[WIRE_TEXT];
    uint32_t guest;

    if (vbd->awaited || !vbd->glue->policy->driver ||
        driver_resolve(vbd->glue->xs, vbd->id.domid, &guest, text) != -EAGAIN)
        return;
    vbd->awaited = true;
    log_warn("vbd %u/%u: dom0 has not said whose domain %u is: does 'ephemctl stubdom pairs' run?",
             vbd->id.domid, vbd->id.devid, vbd->id.domid);
}

void attach_open(struct vbd *vbd)
{
    char text[ATTACH_TEXT] = "";
    struct store_base base;
    const struct vbd *same;

    int err = attach_begin(vbd, &base, &same, text);
    if (!err) {
        err = attach_add(vbd, &base, same);
        if (err == -ENOSPC)
            snprintf(text, sizeof(text), "a guest has at most %d volumes", WIRE_VOLUMES);
    } else if (base.fd >= 0) {
        close(base.fd);
    }
    if (xenstore_lost(vbd->glue->xs) && !vbd->life)
        return;
    if (err == -EAGAIN && !text[0]) {
        attach_await(vbd);
        return; /* or the guest's earlier life is about to end; the scan comes back */
    }
    if (err)
        attach_fail(vbd, text[0] ? text : strerror(-err));
}
