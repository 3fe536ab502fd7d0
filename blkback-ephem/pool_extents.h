/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pool_extents: the places of a shared device that this guest holds: spare, in use, or on their way
 * back to the daemon.  The keeper of the pool takes and returns them on its own thread; the main
 * thread gives what the daemon gave and collects what it is to be asked for and told.  Every call
 * locks for itself.
 */
#ifndef EPHEM_POOL_EXTENTS_H
#define EPHEM_POOL_EXTENTS_H

#include <stdint.h>

struct pool_extents;

#define POOL_EXTENTS_AHEAD 8u /* asked for at a time */
#define POOL_EXTENTS_SPARE 4u /* below that more are asked for; more of them go back */

/* 0 or -ENOMEM. */
int pool_extents_open(struct pool_extents **out);
void pool_extents_close(struct pool_extents *e);

/* The main thread should look: at what is wanted, at what goes back.  Called on any thread, without
 * the lock.  Set before the keeper starts. */
void pool_extents_events(struct pool_extents *e, void (*want)(void *arg), void (*back)(void *arg),
                         void *arg);

/* Main thread: the daemon gave `n`, maybe none.  0; -EPROTO: one of them is here already, and then
 * none is taken; -ENOMEM. */
int pool_extents_give(struct pool_extents *e, const uint32_t *extent, uint32_t n);

/* Keeper: a place to use.  0; -EAGAIN: more has been asked for; -ENOSPC: the daemon has none. */
int pool_extents_take(struct pool_extents *e, uint32_t *extent);

/* Keeper: a place it took is used no longer, nothing is on its way there. */
void pool_extents_return(struct pool_extents *e, uint32_t extent);

/* Main thread: how many the daemon is to be asked for; 0: it has been asked, or none are needed. */
uint32_t pool_extents_wanted(struct pool_extents *e);

/* Main thread: places that go back; the guest does not hold them any more.  At most `max`; how
 * many. */
uint32_t pool_extents_returned(struct pool_extents *e, uint32_t *extent, uint32_t max);

/* Main thread: all that are held, those on their way back too, from the `from`th on.  At most `max`;
 * how many.  Their order stays between calls unless some are given or go back. */
uint32_t pool_extents_held(struct pool_extents *e, uint32_t from, uint32_t *extent, uint32_t max);

#endif
