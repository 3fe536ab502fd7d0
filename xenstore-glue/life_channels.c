// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * life_channels: the event channel handles that a life's worker has, one for each ring thread and domain
 * whose rings it serves.  We open and restrict them, since the worker could not (evtchn).
 */
#include "life.h"

#include <errno.h>
#include <string.h>

#include "evtchn.h"
#include "log.h"

#define LIFE_PATIENCE 20000 /* ms, to take a handle or to give it back */

static void life_channel_done(void *arg, int error, const char *text)
{
    const struct life *life = arg;

    if (error && error != -EPIPE)
        log_error("guest %u: its worker refused an event channel handle: %s", life->domid,
                  text[0] ? text : strerror(-error));
}

int life_channels(struct life *life, uint32_t domid)
{
    struct life_channel *channel = NULL;
    int err = 0;

    for (unsigned int i = 0; i < LIFE_CHANNELS; i++) {
        struct life_channel *it = &life->channels[i];

        if (it->threads && it->domid == domid)
            channel = it;
        else if (!it->threads && (!channel || !channel->threads))
            channel = it;
    }
    if (!channel)
        return -ENOSPC;
    channel->domid = domid;
    for (uint32_t thread = 0; thread < life->threads && !err; thread++) {
        struct wire_msg msg;

        if (channel->threads & 1u << thread)
            continue;
        int fd = evtchn_open(domid);
        if (fd < 0)
            return fd;
        wire_start(&msg, WIRE_EVTCHN_ADD, 0);
        msg.u.evtchn.domid = domid;
        msg.u.evtchn.thread = thread;
        err = life_call(life, &msg, &fd, 1, LIFE_PATIENCE, life_channel_done, life);
        if (!err)
            channel->threads |= 1u << thread;
    }
    return err;
}

static void life_channel_dropped(void *arg, int error, const char *text)
{
    const struct life *life = arg;

    if (error && error != -EPIPE)
        log_error("guest %u: its worker keeps event channel handles of a stub domain that is gone: "
                  "%s",
                  life->domid, text[0] ? text : strerror(-error));
}

void life_channels_drop(struct life *life, uint32_t domid)
{
    struct wire_msg msg;

    for (unsigned int i = 0; i < LIFE_CHANNELS; i++) {
        if (life->channels[i].domid != domid || !life->channels[i].threads)
            continue;
        life->channels[i].threads = 0;
        wire_start(&msg, WIRE_EVTCHN_DEL, 0);
        msg.u.evtchn.domid = domid;
        life_call(life, &msg, NULL, 0, LIFE_PATIENCE, life_channel_dropped, life);
    }
}
