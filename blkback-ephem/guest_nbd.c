// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * guest_nbd: NBD_ADD: the emulated disks of an HVM guest, whose device model in dom0 speaks NBD.  It is
 * one more door onto the volumes that the rings serve.
 *
 * The worker gets connections and no listening socket: the daemon listens, knows from xenstore who the
 * device model is, and asks the kernel who has connected.  So a worker that its guest has taken over
 * has no NBD listener and can look nobody up; it has what it had before, and a stream of its own guest's
 * device model.
 * Connections are not told at RESUME: a daemon that comes back listens anew, those there are go on.
 */
#include "guest_life.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include "engine.h"
#include "nbd.h"

static void guest_nbd_gone(struct work *work)
{
    struct guest_volume *place = container_of(work, struct guest_volume, shut);

    nbd_close(place->nbd);
    place->nbd = NULL;
    place->shutting = false;
    guest_volume_settle(place->guest, (uint32_t)(place - place->guest->volumes));
}

/* The door of this id, opened with its first connection. */
static int guest_nbd_open(struct guest *guest, struct guest_volume *place)
{
    const struct nbd_export export = {.name = place->asked.name, .volume = place->volume};
    struct engine *engine = guest->engine;

    if (place->nbd)
        return 0;
    place->shut.run = guest_nbd_gone;
    return nbd_open(&place->nbd, guest->loop, -1, &export, 1, engine_lanes(engine),
                    engine_threads(engine), engine_limit(engine));
}

void guest_nbd_add(struct guest *guest, const struct wire_msg *msg, int fds[WIRE_FDS])
{
    uint32_t id = msg->u.volume.id;
    int err = 0;

    if (id >= WIRE_VOLUMES || !guest->volumes[id].volume || guest->volumes[id].del_cookie)
        err = -ENOENT;
    else if (guest->volumes[id].shutting)
        err = -EBUSY; /* an earlier daemon's wish */
    else if (fds[0] < 0)
        err = -EINVAL;
    else if (fcntl(fds[0], F_SETFL, O_NONBLOCK))
        err = -errno;
    else
        err = guest_nbd_open(guest, &guest->volumes[id]);
    if (!err) {
        nbd_welcome(guest->volumes[id].nbd, fds[0]);
        fds[0] = -1;
    }
    guest_reply_errno(guest, msg->cookie, err);
}

void guest_nbd_shut(struct guest *guest, uint32_t id)
{
    struct guest_volume *place = &guest->volumes[id];

    if (!place->nbd || place->shutting)
        return;
    place->shutting = true;
    nbd_shut(place->nbd, guest->mailbox, &place->shut);
}

void guest_nbd_close_all(struct guest *guest)
{
    for (uint32_t i = 0; i < WIRE_VOLUMES; i++) {
        nbd_close(guest->volumes[i].nbd);
        guest->volumes[i].nbd = NULL;
    }
}
