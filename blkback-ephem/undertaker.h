/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * undertaker: a process that wipes the memfiles of this one when it has ended, whatever ended it.  It
 * shares the sandbox, has no key mapped and no descriptor but what it needs for this, and
 * may do nothing but wait, wipe and exit.  Owned by the main thread.
 */
#ifndef EPHEM_UNDERTAKER_H
#define EPHEM_UNDERTAKER_H

#include <stdbool.h>
#include <stdint.h>

#define UNDERTAKER_FILES 33u

struct undertaker;

/* Takes the descriptors that it needs, while that is allowed.  0 or negative errno. */
int undertaker_open(struct undertaker **out);

/* The undertaker will wipe this memfile, too.  Before it starts; at most UNDERTAKER_FILES. */
void undertaker_add(struct undertaker *undertaker, int fd);

/* When the privileges are gone and there is one thread; it waits when this returns.  0 or negative
 * errno, -ECHILD: it ended at once. */
int undertaker_start(struct undertaker *undertaker);

/* True once, when it turns out that it has ended before us. */
bool undertaker_lost(struct undertaker *undertaker);

/* After the arenas are closed: it is not needed any more, and ends. */
void undertaker_close(struct undertaker *undertaker);

#endif
