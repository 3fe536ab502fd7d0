// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * xenbus: rows are tried from the top, the first that fits wins.  The order carries meaning: wait
 * for the worker first, then stop what must not go on, then close, and only then build up.
 * Connected is never followed by Closed: Closing comes between, whatever happened.
 */
#include "xenbus.h"

#include <stddef.h>

#include "util.h"

#define S(state) (1u << (state))
#define S_ANY    0x1ffu
#define S_GONE   S(XENBUS_UNKNOWN)
#define S_INIT   S(XENBUS_INITIALISING)
#define S_WAIT   (S(XENBUS_INIT_WAIT) | S(XENBUS_INITIALISED)) /* as a backend's state */
#define S_ASKING (S(XENBUS_INITIALISED) | S(XENBUS_CONNECTED)) /* as a frontend's state */
#define S_CONN   S(XENBUS_CONNECTED)
#define S_CLOSE  S(XENBUS_CLOSING)
#define S_SHUT   S(XENBUS_CLOSED)
#define S_UP     (S_INIT | S_WAIT | S_CONN)
#define S_DEAD   (S_GONE | S_INIT | S_SHUT) /* a frontend nobody has to wait for */
#define S_ALIVE  (S_ANY & ~(S_DEAD | S_CLOSE))

struct xenbus_row {
    uint32_t backend, frontend;
    uint32_t set, clear;
    enum xenbus_action action;
};

static const struct xenbus_row xenbus_rows[] = {
    /* One question at a time. */
    {S_ANY, S_ANY, XENBUS_BUSY, 0, XENBUS_NOTHING},

    /* Our directory is gone, or belongs to another life by now. */
    {S_GONE, S_ANY, XENBUS_DOOR, 0, XENBUS_DROP},
    {S_GONE, S_ANY, XENBUS_HELD, 0, XENBUS_RELEASE},
    {S_GONE, S_ANY, 0, 0, XENBUS_FORGET},

    /* A ring that must not be served any longer. */
    {S_ANY, S_GONE, XENBUS_DOOR, 0, XENBUS_DROP},
    {S_SHUT, S_ANY, XENBUS_DOOR, 0, XENBUS_DROP},
    {S_ANY, S_ANY, XENBUS_DOOR | XENBUS_BROKEN, 0, XENBUS_DISCONNECT},
    {S_ANY, S_INIT | S(XENBUS_INIT_WAIT) | S_CLOSE | S_SHUT, XENBUS_DOOR, 0, XENBUS_DISCONNECT},
    {S_UP, S_ANY, XENBUS_LOST, 0, XENBUS_CLOSE},
    {S_UP, S_ANY, XENBUS_BROKEN, 0, XENBUS_CLOSE},

    /* Closing: the toolstack asked, the frontend did, or we gave up. */
    {S_CLOSE, S_DEAD, XENBUS_HELD, XENBUS_ONLINE, XENBUS_RELEASE},
    {S_CLOSE, S_ANY, XENBUS_HELD | XENBUS_FAILED, XENBUS_ONLINE, XENBUS_RELEASE},
    {S_CLOSE, S_ANY, XENBUS_HELD | XENBUS_BROKEN, XENBUS_ONLINE, XENBUS_RELEASE},
    {S_CLOSE, S_ANY, XENBUS_HELD | XENBUS_LOST, XENBUS_ONLINE, XENBUS_RELEASE},
    {S_CLOSE, S_DEAD, 0, 0, XENBUS_SHUT},
    {S_CLOSE, S_ANY, XENBUS_FAILED, 0, XENBUS_SHUT},
    {S_CLOSE, S_ANY, XENBUS_BROKEN, 0, XENBUS_SHUT},
    {S_CLOSE, S_ANY, XENBUS_LOST, 0, XENBUS_SHUT},
    {S_CLOSE, S_ALIVE, XENBUS_ONLINE, XENBUS_DOOR, XENBUS_SHUT},
    {S_CLOSE, S_ANY, 0, 0, XENBUS_NOTHING},

    /* Closed: for good, or until a frontend comes back (boot loader to kernel, kexec). */
    {S_SHUT, S_ANY, XENBUS_HELD, XENBUS_ONLINE, XENBUS_RELEASE},
    {S_SHUT, S_INIT, XENBUS_ONLINE, XENBUS_LOST, XENBUS_PUBLISH},
    /* One that is past Initialising before we look; not one whose keys we have just refused. */
    {S_SHUT, S(XENBUS_INITIALISED), XENBUS_ONLINE, XENBUS_LOST | XENBUS_BROKEN, XENBUS_PUBLISH},
    {S_SHUT, S_ASKING, XENBUS_ONLINE | XENBUS_MOVED, XENBUS_LOST, XENBUS_PUBLISH},
    {S_SHUT, S_ANY, 0, 0, XENBUS_NOTHING},

    /* Coming up. */
    {S_INIT, S_GONE, 0, 0, XENBUS_NOTHING},
    {S_INIT, S_ANY, XENBUS_AHEAD | XENBUS_FAILED, 0, XENBUS_NOTHING},
    {S_INIT, S_ANY, XENBUS_AHEAD, XENBUS_HELD, XENBUS_OPEN},
    {S_INIT, S_ANY, XENBUS_AHEAD, XENBUS_READY, XENBUS_NOTHING},
    {S_INIT, S_ANY, 0, 0, XENBUS_PUBLISH},
    {S_WAIT | S_CONN, S_ANY, 0, XENBUS_ONLINE, XENBUS_CLOSE},
    {S_WAIT, S_GONE | S_CLOSE | S_SHUT, 0, 0, XENBUS_CLOSE},
    {S_WAIT, S_ANY, XENBUS_FAILED, 0, XENBUS_NOTHING},
    {S_WAIT, S_ANY, 0, XENBUS_HELD, XENBUS_OPEN},
    {S_WAIT, S_ASKING, XENBUS_DOOR, 0, XENBUS_ANNOUNCE},
    {S_WAIT, S_ASKING, XENBUS_READY | XENBUS_HOTPLUG, 0, XENBUS_CONNECT},
    {S_WAIT, S_ANY, 0, 0, XENBUS_NOTHING},

    /* Connected without a ring: it was stopped above. */
    {S_CONN, S_ANY, 0, XENBUS_DOOR, XENBUS_CLOSE},

    /* Grown: a frontend looks at sectors whenever our state is written. */
    {S_CONN, S_ASKING, XENBUS_DOOR | XENBUS_GREW, 0, XENBUS_RESIZE},
};

enum xenbus_action xenbus_decide(const struct xenbus_view *view)
{
    for (size_t i = 0; i < ARRAY_SIZE(xenbus_rows); i++) {
        const struct xenbus_row *row = &xenbus_rows[i];

        if (row->backend & S(view->backend) && row->frontend & S(view->frontend) &&
            (view->facts & row->set) == row->set && !(view->facts & row->clear))
            return row->action;
    }
    return XENBUS_NOTHING;
}

const char *xenbus_word(enum xenbus_state state)
{
    static const char *const words[] = {"Unknown",     "Initialising",  "InitWait",
                                        "Initialised", "Connected",     "Closing",
                                        "Closed",      "Reconfiguring", "Reconfigured"};

    return (size_t)state < ARRAY_SIZE(words) ? words[state] : words[0];
}

const char *xenbus_action_word(enum xenbus_action action)
{
    static const char *const words[] = {"nothing",  "publish", "open",       "connect",
                                        "announce", "resize",  "disconnect", "drop",
                                        "close",    "release", "shut",       "forget"};

    return (size_t)action < ARRAY_SIZE(words) ? words[action] : words[0];
}
