// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fuzz/xenbus: the state table over whole stories.  The input is what happens from outside to one vbd
 * (the frontend or the toolstack writes a state, the script ends, the worker answers, fails or dies);
 * between two events the table is asked until it has nothing to do, and its actions are carried out,
 * at once, later or in vain, as the input says.  What must hold is said of every step, and that no
 * story is without end.
 */
#include <stdbool.h>
#include "fuzz.h"
#include "xenbus.h"

#define EVENTS 200
#define ROUNDS 12 /* actions without an event from outside */

struct story {
    struct fuzz_input in;
    struct xenbus_view v;
    bool held_back; /* the toolstack has let go: no data may be served any more */
};

static bool fact(const struct story *s, uint32_t facts)
{
    return (s->v.facts & facts) == facts;
}

/* What holds of an action, whatever led here. */
static void story_judge(const struct story *s, enum xenbus_action action)
{
    enum xenbus_state back = s->v.backend, front = s->v.frontend;
    bool door = fact(s, XENBUS_DOOR), up = back >= XENBUS_INIT_WAIT && back <= XENBUS_CONNECTED;

    FUZZ_CHECK(action >= XENBUS_NOTHING && action <= XENBUS_FORGET);
    if (fact(s, XENBUS_BUSY))
        FUZZ_CHECK(action == XENBUS_NOTHING);
    if (action == XENBUS_SHUT)
        FUZZ_CHECK(back == XENBUS_CLOSING && !door &&
                   (fact(s, XENBUS_ONLINE) || !fact(s, XENBUS_HELD)));
    if (action == XENBUS_RELEASE || action == XENBUS_FORGET)
        FUZZ_CHECK(!door);
    if (action == XENBUS_RELEASE)
        FUZZ_CHECK(fact(s, XENBUS_HELD) && (!fact(s, XENBUS_ONLINE) || !back));
    if (action == XENBUS_FORGET)
        FUZZ_CHECK(!fact(s, XENBUS_HELD) && !back);
    if (action == XENBUS_CONNECT)
        FUZZ_CHECK(fact(s, XENBUS_READY | XENBUS_HOTPLUG | XENBUS_ONLINE) && !door &&
                   !fact(s, XENBUS_LOST) && !fact(s, XENBUS_BROKEN) && !fact(s, XENBUS_FAILED) &&
                   (front == XENBUS_INITIALISED || front == XENBUS_CONNECTED));
    if (action == XENBUS_ANNOUNCE)
        FUZZ_CHECK(door && fact(s, XENBUS_ONLINE) && !fact(s, XENBUS_LOST) &&
                   !fact(s, XENBUS_BROKEN));
    if (action == XENBUS_RESIZE)
        FUZZ_CHECK(door && fact(s, XENBUS_ONLINE | XENBUS_GREW) && back == XENBUS_CONNECTED);
    if (action == XENBUS_OPEN)
        FUZZ_CHECK(!fact(s, XENBUS_HELD) && fact(s, XENBUS_ONLINE));
    if (action == XENBUS_OPEN || action == XENBUS_PUBLISH)
        FUZZ_CHECK(!fact(s, XENBUS_LOST));
    if (action == XENBUS_DROP || action == XENBUS_DISCONNECT)
        FUZZ_CHECK(door);
    if (up && !fact(s, XENBUS_ONLINE) && !fact(s, XENBUS_BUSY))
        FUZZ_CHECK(action == XENBUS_CLOSE || action == XENBUS_DROP || action == XENBUS_DISCONNECT);
}

/* As the daemon does it; the worker's part may fail. */
static void story_do(struct story *s, enum xenbus_action action, uint8_t luck)
{
    switch (action) {
    case XENBUS_PUBLISH:
        s->v.backend = XENBUS_INIT_WAIT;
        s->v.facts &= ~(XENBUS_BROKEN | XENBUS_MOVED);
        break;
    case XENBUS_OPEN:
        if (luck & 1)
            s->v.facts |= XENBUS_FAILED;
        else
            s->v.facts |= XENBUS_HELD | XENBUS_READY;
        break;
    case XENBUS_CONNECT:
        s->v.facts |= luck & 2 ? XENBUS_BROKEN : XENBUS_DOOR;
        break;
    case XENBUS_ANNOUNCE:
        s->v.backend = XENBUS_CONNECTED;
        break;
    case XENBUS_RESIZE:
        s->v.facts &= ~XENBUS_GREW;
        break;
    case XENBUS_DISCONNECT:
    case XENBUS_DROP:
        s->v.facts &= ~XENBUS_DOOR;
        break;
    case XENBUS_CLOSE:
        s->v.backend = XENBUS_CLOSING;
        break;
    case XENBUS_RELEASE:
        s->v.facts &= ~(XENBUS_HELD | XENBUS_READY);
        break;
    case XENBUS_SHUT:
        FUZZ_CHECK(s->v.backend == XENBUS_CLOSING);
        s->v.backend = XENBUS_CLOSED;
        s->v.facts &= ~XENBUS_MOVED;
        break;
    case XENBUS_FORGET:
        s->v.facts &= XENBUS_ONLINE | XENBUS_HOTPLUG;
        break;
    case XENBUS_NOTHING:
        break;
    }
}

/* The table is asked until it rests. */
static void story_run(struct story *s)
{
    enum xenbus_action action = XENBUS_NOTHING;
    uint8_t luck = fuzz_u8(&s->in);
    int rounds = 0;

    for (; rounds < ROUNDS; rounds++) {
        action = xenbus_decide(&s->v);
        story_judge(s, action);
        if (action == XENBUS_NOTHING || action == XENBUS_FORGET)
            break;
        story_do(s, action, luck);
        if (luck & 4)
            return; /* something happens before the next look */
    }
    FUZZ_CHECK(rounds < ROUNDS);
    /* At rest: nobody who has let go is still served; nobody dead keeps Closing. */
    bool dead = s->v.frontend == XENBUS_UNKNOWN || s->v.frontend == XENBUS_CLOSED;
    if (!fact(s, XENBUS_BUSY) && dead) {
        FUZZ_CHECK(!fact(s, XENBUS_DOOR));
        FUZZ_CHECK(s->v.backend != XENBUS_CLOSING);
        FUZZ_CHECK(fact(s, XENBUS_ONLINE) || !fact(s, XENBUS_HELD) ||
                   s->v.backend == XENBUS_INITIALISING || s->v.backend > XENBUS_CLOSED);
    }
    story_do(s, action, 0);
}

static void story_event(struct story *s)
{
    uint8_t what = fuzz_u8(&s->in), value = fuzz_u8(&s->in) % 9;

    switch (what % 10) {
    case 0:
    case 1:
    case 2: /* the guest writes whatever it likes */
        if (s->v.frontend != (enum xenbus_state)value)
            s->v.facts |= XENBUS_MOVED;
        s->v.frontend = value;
        break;
    case 3: /* the toolstack lets go: Closing and online=0, or only one of them */
        if (value & 1)
            s->v.facts &= ~XENBUS_ONLINE;
        if (value & 2)
            s->v.backend = XENBUS_CLOSING;
        break;
    case 4:
        s->v.facts |= XENBUS_HOTPLUG;
        break;
    case 5: /* the worker died, or the frontend broke the protocol */
        if (value & 1 && fact(s, XENBUS_HELD)) {
            s->v.facts |= XENBUS_LOST;
            s->v.facts &= ~(XENBUS_READY | XENBUS_DOOR);
        } else if (fact(s, XENBUS_DOOR)) {
            s->v.facts |= XENBUS_BROKEN;
        }
        break;
    case 6:
        s->v.facts ^= XENBUS_BUSY;
        break;
    case 7:
        s->v.facts |= fact(s, XENBUS_READY) ? XENBUS_GREW : 0;
        break;
    case 8: /* our directory goes, or somebody writes our own state */
        s->v.backend = value & 1 ? XENBUS_UNKNOWN : (enum xenbus_state)value;
        break;
    default: /* a new device in its place, once the old one is forgotten */
        if (!(s->v.facts & (XENBUS_HELD | XENBUS_DOOR)))
            s->v = (struct xenbus_view){XENBUS_INITIALISING, XENBUS_INITIALISING, XENBUS_ONLINE};
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct story s = {.in = {data, size}};

    s.v = (struct xenbus_view){XENBUS_INITIALISING, XENBUS_INITIALISING, XENBUS_ONLINE};
    for (int i = 0; i < EVENTS && s.in.left; i++) {
        story_event(&s);
        story_run(&s);
        FUZZ_CHECK(!strcmp(xenbus_word(s.v.backend), "Unknown") == !s.v.backend);
    }
    return 0;
}
