// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * guest_extents: between the daemon and the places of a shared device.  The pool's keeper says on its
 * own thread that the main thread should look; one item of mail stands for any number of such words.
 *
 * Without a daemon, or before a new one has been told everything, nothing is asked and nothing goes
 * back: what is not said stays held.  A question that nothing has been given for is put again to the
 * next daemon, which does not know that it is waited for.
 */
#include "guest_life.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "engine.h"
#include "mailbox.h"
#include "pool.h"
#include "pool_extents.h"

struct guest_extents {
    struct guest *guest;
    struct pool_extents *places;
    struct work look;
    bool posted;    /* atomic: `look` is in the mailbox */
    bool told;      /* this daemon knows what is held */
    uint32_t asked; /* nothing has been given for that yet */
};

static void guest_extents_ask(struct guest_extents *x)
{
    struct wire_msg msg;

    if (!x->asked)
        return;
    wire_start(&msg, WIRE_EXTENTS_WANT, 0);
    msg.u.extents.count = x->asked;
    guest_send(x->guest, &msg);
}

static void guest_extents_bring_back(struct guest_extents *x)
{
    struct wire_msg msg;

    while (x->told && x->guest->daemon.fd >= 0) {
        wire_start(&msg, WIRE_EXTENTS_BACK, 0);
        msg.u.extents.count = pool_extents_returned(x->places, msg.u.extents.extent, WIRE_EXTENTS);
        if (!msg.u.extents.count)
            return;
        guest_send(x->guest, &msg);
    }
}

static void guest_extents_look(struct guest_extents *x)
{
    if (!x->told)
        return;
    guest_extents_bring_back(x);
    uint32_t wanted = x->told ? pool_extents_wanted(x->places) : 0;
    if (!wanted)
        return;
    x->asked = wanted;
    guest_extents_ask(x);
}

static void guest_extents_mail(struct work *work)
{
    struct guest_extents *x = container_of(work, struct guest_extents, look);

    __atomic_store_n(&x->posted, false, __ATOMIC_SEQ_CST);
    guest_extents_look(x);
}

/* Any thread. */
static void guest_extents_call(void *arg)
{
    struct guest_extents *x = arg;

    if (!__atomic_exchange_n(&x->posted, true, __ATOMIC_SEQ_CST))
        mailbox_post(x->guest->mailbox, &x->look);
}

int guest_extents_open(struct guest *guest, struct pool_extents *places)
{
    if (!places)
        return 0;
    struct guest_extents *x = calloc(1, sizeof(*x));
    if (!x)
        return -ENOMEM;
    x->guest = guest;
    x->places = places;
    x->look.run = guest_extents_mail;
    x->told = true;
    pool_extents_events(x->places, guest_extents_call, guest_extents_call, x);
    guest->extents = x;
    return 0;
}

void guest_extents_close(struct guest *guest)
{
    free(guest->extents);
    guest->extents = NULL;
}

void guest_extents_give(struct guest *guest, const struct wire_msg *msg)
{
    struct guest_extents *x = guest->extents;
    uint32_t n = msg->u.extents.count;
    int err = x && n <= WIRE_EXTENTS ? pool_extents_give(x->places, msg->u.extents.extent, n)
                                     : -EPROTO;

    if (!err && n)
        x->asked = 0;
    if (!err && guest->engine)
        pool_look_again(engine_pool(guest->engine));
    guest_reply_errno(guest, msg->cookie, err);
}

void guest_extents_orphaned(struct guest *guest)
{
    if (guest->extents)
        guest->extents->told = false;
}

void guest_extents_tell(struct guest *guest)
{
    struct wire_msg msg;
    uint32_t from = 0;

    if (!guest->extents)
        return;
    do {
        wire_start(&msg, WIRE_EXTENTS_GIVE, 0);
        msg.u.extents.count = pool_extents_held(guest->extents->places, from, msg.u.extents.extent,
                                                WIRE_EXTENTS);
        from += msg.u.extents.count;
        if (msg.u.extents.count)
            guest_send(guest, &msg);
    } while (msg.u.extents.count == WIRE_EXTENTS);
}

void guest_extents_resumed(struct guest *guest)
{
    struct guest_extents *x = guest->extents;

    if (!x || guest->daemon.fd < 0)
        return;
    x->told = true;
    guest_extents_ask(x);
    guest_extents_look(x);
}
