/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * suspend: guests that are saved or migrated.  The key of a guest's volumes lives as long as its
 * worker, its memory in a file or on another host does not end with it: restored, its page cache and
 * its mounted file systems would meet pristine volumes, which is corruption.  So while a life lasts
 * its guest's control/shutdown is watched; when the toolstack asks the guest to suspend, its UUID
 * gets a tombstone, and no new life begins under that UUID until the operator lifts it.  The life
 * that was asked goes on as it was: `xl save -c` and a migration that failed resume it.
 * A driver domain may read nothing of that: nothing is noticed there.
 */
#ifndef EPHEM_SUSPEND_H
#define EPHEM_SUSPEND_H

#include <stdbool.h>
#include <stdint.h>

#include "glue.h"
#include "wire.h"

struct life;

/* The life begins, now: its guest's node is watched from its first moment. */
void suspend_begin(struct life *life);

/* The watch is taken away, for a guest that writes too often or a life that is over. */
void suspend_stop(struct life *life);

/* A watch fired.  True when `token` is of ours (then `domid` is right). */
bool suspend_is_ours(const char *token);
void suspend_event(struct glue *glue, uint32_t domid);

/* Lives that are not watched are from now on, but those of throttled guests; also one whose worker has
 * not answered yet, or is of another version and never will. */
void suspend_watch_all(struct glue *glue);

/* xenstored's connection, and every watch with it, is gone. */
void suspend_lost(struct glue *glue);

/* A ring was taken from a frontend that had not closed it. */
void suspend_dropped(struct life *life);

/* May this domain's first life begin?  0; -EPERM and `text`. */
int suspend_judge(struct glue *glue, uint32_t domid, const char *uuid, char text[WIRE_TEXT]);

/*
 * The operator's word that a suspended guest, given by its UUID or as a domain of ours, will not be
 * restored: it may start anew.  0 and its UUID; negative errno and `text`.
 */
#define SUSPEND_UUID 40
int suspend_forget(struct glue *glue, const char *guest, char uuid[SUSPEND_UUID],
                   char text[WIRE_TEXT]);

#endif
