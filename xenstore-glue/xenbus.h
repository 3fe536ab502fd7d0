/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xenbus: the states both ends write, and the one table that says what to do next.  Pure.
 * A scan describes a vbd as it stands (xenbus_view); the table names one action; doing it changes
 * the view, and the next scan asks again.  So a lost or coalesced event costs nothing, and every
 * path through the handshake and its ends is one row.
 */
#ifndef EPHEM_XENBUS_H
#define EPHEM_XENBUS_H

#include <stdint.h>

enum xenbus_state {
    XENBUS_UNKNOWN = 0, /* gone, unreadable or nonsense */
    XENBUS_INITIALISING = 1,
    XENBUS_INIT_WAIT = 2,
    XENBUS_INITIALISED = 3,
    XENBUS_CONNECTED = 4,
    XENBUS_CLOSING = 5,
    XENBUS_CLOSED = 6,
    XENBUS_RECONFIGURING = 7,
    XENBUS_RECONFIGURED = 8,
};

/* What is so about a vbd, beside the two states. */
#define XENBUS_ONLINE  (1u << 0)  /* the toolstack wants it, and the domain exists */
#define XENBUS_HOTPLUG (1u << 1)  /* hotplug-status is connected */
#define XENBUS_HELD    (1u << 2)  /* it counts as a user of its guest's worker */
#define XENBUS_READY   (1u << 3)  /* its volume is in the worker */
#define XENBUS_DOOR    (1u << 4)  /* its ring is being served */
#define XENBUS_BUSY    (1u << 5)  /* a question to the worker is under way */
#define XENBUS_FAILED  (1u << 6)  /* it never got a volume: hotplug-error says why */
#define XENBUS_BROKEN  (1u << 7)  /* this connection is over; a new one may be tried */
#define XENBUS_LOST    (1u << 8)  /* its data is gone: never again in this life */
#define XENBUS_MOVED   (1u << 9)  /* the frontend's state has changed since our Closed */
#define XENBUS_GREW    (1u << 10) /* it is larger than xenstore says */
#define XENBUS_AHEAD   (1u << 11) /* its volume comes first, InitWait says that it is there */

struct xenbus_view {
    enum xenbus_state frontend;
    enum xenbus_state backend; /* what stands in our own directory, whoever wrote it */
    uint32_t facts;
};

enum xenbus_action {
    XENBUS_NOTHING,
    XENBUS_PUBLISH,    /* features, then InitWait */
    XENBUS_OPEN,       /* give the guest's worker the volume */
    XENBUS_CONNECT,    /* read the ring keys and serve */
    XENBUS_ANNOUNCE,   /* sectors, then Connected */
    XENBUS_RESIZE,     /* sectors, and Connected once more */
    XENBUS_DISCONNECT, /* stop serving, finish what was accepted */
    XENBUS_DROP,       /* stop serving a frontend that is gone */
    XENBUS_CLOSE,      /* write Closing */
    XENBUS_RELEASE,    /* base closed, and the worker with the guest's last volume */
    XENBUS_SHUT,       /* write Closed */
    XENBUS_FORGET,     /* nothing left of it */
};

/* The next step for this vbd.  Total: every view has an answer. */
enum xenbus_action xenbus_decide(const struct xenbus_view *view);

/* The state's name in the Xen headers; "Unknown" for anything else. */
const char *xenbus_word(enum xenbus_state state);

/* For logs and tests. */
const char *xenbus_action_word(enum xenbus_action action);

#endif
