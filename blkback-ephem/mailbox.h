/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mailbox: how other threads reach a loop's thread: work items, run in order of arrival.
 */
#ifndef EPHEM_MAILBOX_H
#define EPHEM_MAILBOX_H

#include "util.h"

struct loop;
struct mailbox;

struct work {
    struct list link;
    void (*run)(struct work *work);
};

/* Delivers in the thread that turns `loop`.  0 or negative errno. */
int mailbox_open(struct mailbox **out, struct loop *loop);
void mailbox_close(struct mailbox *mailbox);

/* Any thread.  The item is the mailbox's until it runs. */
void mailbox_post(struct mailbox *mailbox, struct work *work);

#endif
