/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * plug: a disk into a domain and out again, by xenstore alone, for `ephemctl attach` and `detach`: what
 * libxl from 4.19 on does for a tap disk, but for its own record: libxl before that could not read
 * it.  So such a disk is nothing that xl knows of, and the daemon removes what is left of it.  Each has a
 * random token in its backend's folder, since another may get the same device between two steps of ours.
 *
 * All functions: 0, or negative errno with `plug->text`, why and what to do.
 */
#ifndef EPHEM_PLUG_H
#define EPHEM_PLUG_H

#include <stdbool.h>

#include "paths.h"
#include "xs.h"

#define PLUG_TEXT  640
#define PLUG_NAME  256
#define PLUG_TOKEN 33

struct plug {
    struct xenstore *xs;
    struct path_vbd id;
    char name[PLUG_NAME], device[32], text[PLUG_TEXT];
    bool taken;             /* libxl has the device by now: our half alone goes */
    char token[PLUG_TOKEN]; /* of the attachment that is ours to act upon; empty: none yet */
};

enum plug_end {
    PLUG_CONNECTED, /* the guest uses it */
    PLUG_UNUSED,  /* it is there for the guest, which has not come yet: paused, or without driver */
    PLUG_REFUSED, /* it was closed again; `text` says why */
};

/* Finds the domain (name or domid) and the device's number.  plug_close() in any case. */
int plug_open(struct plug *plug, const char *domain, const char *device);
void plug_close(struct plug *plug);

/* Writes the nodes of a new disk, all or none. */
int plug_write(struct plug *plug, const char *target, bool readonly);

/* The daemon has the volume: lets the guest connect. */
int plug_allow(struct plug *plug);

/* Waits until the guest has connected or refused it, at most `ms`. */
enum plug_end plug_wait(struct plug *plug, int ms);

/*
 * Asks for the disk to be closed, waits at most 10 s, and removes it: the one that plug_write() wrote,
 * or, without that, whichever is there; never another that came meanwhile, and nothing of a device that a
 * toolstack has taken over but our half.  `force`: the guest is not asked, its folder goes at once.
 * -ETIMEDOUT: it is not closed yet, and will be removed by the daemon.
 */
int plug_remove(struct plug *plug, bool force);

#endif
