// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * guest_link: what a worker says to its daemon, and the moment when there is none any more.
 */
#include "guest_life.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "log.h"

void guest_orphaned(struct guest *guest)
{
    log_warn("the daemon is gone: serving on without it");
    loop_remove(&guest->daemon);
    close(guest->daemon.fd);
    guest->daemon.fd = -1;
    guest_extents_orphaned(guest);
    /* What it asked is not answered to the next one. */
    for (uint32_t i = 0; i < WIRE_DOORS; i++)
        guest->doors[i].connect_cookie = guest->doors[i].disconnect_cookie = 0;
    for (uint32_t i = 0; i < WIRE_VOLUMES; i++)
        guest->volumes[i].del_cookie = 0;
    guest_forget_refreshes(guest);
    if (guest->listener.fd < 0)
        guest->ended = true;
}

void guest_send(struct guest *guest, const struct wire_msg *msg)
{
    if (guest->daemon.fd >= 0 && wire_send(guest->daemon.fd, msg, NULL, 0))
        guest_orphaned(guest);
}

void guest_reply(struct guest *guest, uint32_t cookie, int error, const char *text)
{
    struct wire_msg msg;

    wire_start(&msg, WIRE_REPLY, cookie);
    msg.u.reply.error = error;
    if (error)
        snprintf(msg.u.reply.text, sizeof(msg.u.reply.text), "%s", text);
    guest_send(guest, &msg);
}

void guest_reply_errno(struct guest *guest, uint32_t cookie, int error)
{
    guest_reply(guest, cookie, error, error ? strerror(-error) : "");
}

void guest_tell_dead(struct guest *guest, uint32_t id, const char *why)
{
    struct wire_msg msg;

    wire_start(&msg, WIRE_DEAD, 0);
    msg.u.dead.id = id;
    snprintf(msg.u.dead.text, sizeof(msg.u.dead.text), "%s", why);
    guest_send(guest, &msg);
}

void guest_tell_grew(struct guest *guest, uint32_t id, uint64_t bytes)
{
    struct wire_msg msg;

    wire_start(&msg, WIRE_GREW, 0);
    msg.u.grew.id = id;
    msg.u.grew.bytes = bytes;
    guest_send(guest, &msg);
}
