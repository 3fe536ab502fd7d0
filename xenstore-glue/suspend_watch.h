/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * suspend_watch: what can be concluded from a guest's control/shutdown and from its name.  Pure.
 */
#ifndef EPHEM_SUSPEND_WATCH_H
#define EPHEM_SUSPEND_WATCH_H

#include <stdbool.h>

/* What is known of one guest's node; a member of its life, written by suspend alone. */
struct suspend_watch {
    bool set;    /* the watch */
    bool fresh;  /* it has not fired yet, as a new one does once without a cause */
    bool asked;  /* a command stood in the node when it was last looked at */
    bool missed; /* one may have come and gone unread */
    bool told;   /* that a record is not on disk */
};

/* The watch fired and the node holds `value`, "" for nothing.  True: the guest is asked to suspend. */
bool suspend_note(struct suspend_watch *watch, const char *value);

/* So xl names the receiving end of a migration until it runs. */
bool suspend_is_incoming(const char *name);

#endif
