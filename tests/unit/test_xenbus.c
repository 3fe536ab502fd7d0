// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * xenbus: the table's promises, checked over every view there is, and whole stories played against
 * it by a small model that carries actions out.
 */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <CUnit/CUnit.h>

#include "xenbus.h"

#define FACTS 0x1000u /* all combinations of twelve */

int suite_xenbus(void);

/* Facts that can be true together. */
static bool test_sane(uint32_t facts)
{
    if (facts & (XENBUS_READY | XENBUS_DOOR) && !(facts & XENBUS_HELD))
        return false;
    if (facts & XENBUS_DOOR && !(facts & XENBUS_READY))
        return false;
    return !(facts & XENBUS_READY && facts & (XENBUS_FAILED | XENBUS_LOST));
}

static void test_check(const struct xenbus_view *v)
{
    enum xenbus_action action = xenbus_decide(v);
    bool alive = v->frontend >= XENBUS_INIT_WAIT && v->frontend <= XENBUS_CLOSING;

    if (v->facts & XENBUS_BUSY)
        CU_ASSERT_EQUAL(action, XENBUS_NOTHING);
    /* Closed comes only after Closing, with no ring, and released when the toolstack lets go. */
    if (action == XENBUS_SHUT) {
        CU_ASSERT_EQUAL(v->backend, XENBUS_CLOSING);
        CU_ASSERT(!(v->facts & XENBUS_DOOR));
        CU_ASSERT((v->facts & XENBUS_ONLINE) || !(v->facts & XENBUS_HELD));
    }
    if (action == XENBUS_RELEASE || action == XENBUS_FORGET)
        CU_ASSERT(!(v->facts & XENBUS_DOOR));
    /* With a ring it is the toolstack's Closing, which the frontend is asked to follow. */
    if (action == XENBUS_CLOSE)
        CU_ASSERT(!(v->facts & XENBUS_DOOR) || !(v->facts & XENBUS_ONLINE));
    /* Let go of by the toolstack: on its way to Closed. */
    if (v->backend >= XENBUS_INIT_WAIT && v->backend <= XENBUS_CONNECTED &&
        !(v->facts & (XENBUS_ONLINE | XENBUS_BUSY)))
        CU_ASSERT(action == XENBUS_CLOSE || action == XENBUS_DROP || action == XENBUS_DISCONNECT);
    /* A frontend that was refused and has not moved is not tried again. */
    if (v->backend == XENBUS_CLOSED && v->frontend == XENBUS_INITIALISED &&
        v->facts & XENBUS_BROKEN && !(v->facts & XENBUS_MOVED))
        CU_ASSERT_NOT_EQUAL(action, XENBUS_PUBLISH);
    if (action == XENBUS_RELEASE)
        CU_ASSERT(v->facts & XENBUS_HELD && !(v->facts & XENBUS_ONLINE && v->backend));
    if (action == XENBUS_FORGET)
        CU_ASSERT(!(v->facts & XENBUS_HELD));
    /* Nothing is served without volume and hotplug script, and never after a loss or failure. */
    if (action == XENBUS_CONNECT)
        CU_ASSERT(v->facts & XENBUS_READY && v->facts & XENBUS_HOTPLUG &&
                  !(v->facts & (XENBUS_LOST | XENBUS_BROKEN | XENBUS_DOOR)));
    if (action == XENBUS_ANNOUNCE)
        CU_ASSERT(v->facts & XENBUS_DOOR && !(v->facts & (XENBUS_LOST | XENBUS_BROKEN)));
    /* A new size is told to who is served, and never brings a state back. */
    if (action == XENBUS_RESIZE)
        CU_ASSERT(v->facts & XENBUS_DOOR && v->facts & XENBUS_ONLINE &&
                  v->backend == XENBUS_CONNECTED && v->frontend >= XENBUS_INITIALISED &&
                  v->frontend <= XENBUS_CONNECTED);
    if (action == XENBUS_OPEN || action == XENBUS_PUBLISH)
        CU_ASSERT(!(v->facts & XENBUS_LOST));
    /* A toolstack that waits for InitWait alone is told by it that the volume is there. */
    if (v->facts & XENBUS_AHEAD && v->backend == XENBUS_INITIALISING && action == XENBUS_PUBLISH)
        CU_ASSERT(v->facts & XENBUS_READY);
    if (!(v->facts & XENBUS_AHEAD) && action == XENBUS_OPEN)
        CU_ASSERT_NOT_EQUAL(v->backend, XENBUS_INITIALISING);
    /* No live frontend, toolstack gone: never stuck in Closing. */
    if (v->backend == XENBUS_CLOSING && !alive && v->frontend <= XENBUS_CLOSED &&
        !(v->facts & (XENBUS_BUSY)))
        CU_ASSERT_NOT_EQUAL(action, XENBUS_NOTHING);
}

static void test_all_views(void)
{
    struct xenbus_view v;

    for (v.frontend = 0; v.frontend <= XENBUS_RECONFIGURED; v.frontend++)
        for (v.backend = 0; v.backend <= XENBUS_RECONFIGURED; v.backend++)
            for (v.facts = 0; v.facts < FACTS; v.facts++)
                if (test_sane(v.facts & ~XENBUS_LOST) && test_sane(v.facts))
                    test_check(&v);
}

/* Carries an action out as the daemon does when everything succeeds. */
static void test_do(struct xenbus_view *v, enum xenbus_action action)
{
    switch (action) {
    case XENBUS_PUBLISH:
        v->backend = XENBUS_INIT_WAIT;
        v->facts &= ~(XENBUS_BROKEN | XENBUS_MOVED);
        break;
    case XENBUS_OPEN:
        v->facts |= XENBUS_HELD | XENBUS_READY;
        break;
    case XENBUS_CONNECT:
        v->facts |= XENBUS_DOOR;
        break;
    case XENBUS_ANNOUNCE:
        v->backend = XENBUS_CONNECTED;
        break;
    case XENBUS_RESIZE:
        v->facts &= ~XENBUS_GREW;
        break;
    case XENBUS_DISCONNECT:
    case XENBUS_DROP:
        v->facts &= ~XENBUS_DOOR;
        break;
    case XENBUS_CLOSE:
        v->backend = XENBUS_CLOSING;
        break;
    case XENBUS_RELEASE:
        v->facts &= ~(XENBUS_HELD | XENBUS_READY);
        break;
    case XENBUS_SHUT:
        v->backend = XENBUS_CLOSED;
        break;
    case XENBUS_FORGET:
    case XENBUS_NOTHING:
        break;
    }
}

/* Runs until nothing is left to do; writes the actions' words, one space between. */
static void test_run(struct xenbus_view *v, const char *wanted)
{
    char story[256] = "";
    enum xenbus_action action = XENBUS_NOTHING;

    for (int i = 0; i < 10; i++) {
        action = xenbus_decide(v);
        if (action == XENBUS_NOTHING || action == XENBUS_FORGET)
            break;
        if (story[0])
            strcat(story, " ");
        strcat(story, xenbus_action_word(action));
        test_do(v, action);
    }
    CU_ASSERT(action == XENBUS_NOTHING || action == XENBUS_FORGET);
    CU_ASSERT_STRING_EQUAL(story, wanted);
}

static struct xenbus_view test_connected(void)
{
    return (struct xenbus_view){.frontend = XENBUS_CONNECTED,
                                .backend = XENBUS_CONNECTED,
                                .facts = XENBUS_ONLINE | XENBUS_HOTPLUG | XENBUS_HELD |
                                         XENBUS_READY | XENBUS_DOOR};
}

static void test_attach(void)
{
    struct xenbus_view v = {XENBUS_INITIALISING, XENBUS_INITIALISING, XENBUS_ONLINE};

    test_run(&v, "publish open");
    CU_ASSERT_EQUAL(v.backend, XENBUS_INIT_WAIT);
    v.frontend = XENBUS_INITIALISED;
    test_run(&v, ""); /* libxl waits for exactly InitWait, then runs the script */
    v.facts |= XENBUS_HOTPLUG;
    test_run(&v, "connect announce");
    CU_ASSERT_EQUAL(v.backend, XENBUS_CONNECTED);
}

static void test_attach_ahead(void)
{
    struct xenbus_view v = {1, 1, XENBUS_ONLINE | XENBUS_HOTPLUG | XENBUS_AHEAD};

    test_run(&v, "open publish");
    /* Else it never gets to InitWait; the toolstack gives up. */
    v = (struct xenbus_view){1, 1, XENBUS_ONLINE | XENBUS_AHEAD | XENBUS_FAILED | XENBUS_HELD};
    test_run(&v, "");
    v = (struct xenbus_view){1, XENBUS_CLOSING, XENBUS_AHEAD | XENBUS_FAILED | XENBUS_HELD};
    test_run(&v, "release shut");
}

static void test_grown(void)
{
    struct xenbus_view v = test_connected();

    v.facts |= XENBUS_GREW;
    test_run(&v, "resize");
    v.facts |= XENBUS_GREW;
    v.frontend = XENBUS_CLOSING;
    test_run(&v, "disconnect close");
    v = (struct xenbus_view){XENBUS_INITIALISED, XENBUS_INIT_WAIT,
                             XENBUS_ONLINE | XENBUS_HOTPLUG | XENBUS_HELD | XENBUS_READY};
    test_run(&v, "connect announce");
}

/* mini-os writes 4 at once and waits for nobody. */
static void test_hasty(void)
{
    struct xenbus_view v = {XENBUS_CONNECTED, XENBUS_INITIALISING, XENBUS_ONLINE | XENBUS_HOTPLUG};

    test_run(&v, "publish open connect announce");
}

static void test_reopen(void)
{
    struct xenbus_view v = test_connected();

    v.frontend = XENBUS_CLOSING;
    test_run(&v, "disconnect close");
    v.frontend = XENBUS_CLOSED;
    test_run(&v, "shut");
    CU_ASSERT(v.facts & XENBUS_READY);
    v.frontend = XENBUS_INITIALISING;
    test_run(&v, "publish");
    v.frontend = XENBUS_INITIALISED;
    test_run(&v, "connect announce");
}

/* Closed and back at Initialised or Connected before anybody looked. */
static void test_skipped(void)
{
    struct xenbus_view v = test_connected();

    v.frontend = XENBUS_CLOSED;
    test_run(&v, "disconnect close shut");
    v.frontend = XENBUS_INITIALISED;
    test_run(&v, "publish connect announce");
    v = test_connected();
    v.backend = XENBUS_CLOSED;
    v.facts &= ~XENBUS_DOOR;
    test_run(&v, ""); /* Connected of before our Closed, for all we know */
    v.facts |= XENBUS_MOVED;
    test_run(&v, "publish connect announce");
    /* Refused: again only when it has moved. */
    v = test_connected();
    v.frontend = XENBUS_INITIALISED;
    v.facts |= XENBUS_BROKEN;
    test_run(&v, "disconnect close shut");
    v.facts |= XENBUS_MOVED;
    test_run(&v, "publish connect announce");
}

/* The toolstack let go while we were publishing, and its Closing was overwritten. */
static void test_let_go(void)
{
    struct xenbus_view v = {XENBUS_INITIALISING, XENBUS_INIT_WAIT, XENBUS_HELD | XENBUS_READY};

    test_run(&v, "close release shut");
}

/* GRUB writes Closed without Closing, later Initialising without waiting. */
static void test_grub(void)
{
    struct xenbus_view v = test_connected();

    v.frontend = XENBUS_CLOSED;
    test_run(&v, "disconnect close shut");
    v = test_connected();
    v.frontend = XENBUS_INITIALISING;
    test_run(&v, "disconnect close shut publish");
}

static void test_detach(void)
{
    struct xenbus_view v = test_connected();

    v.backend = XENBUS_CLOSING;
    v.facts &= ~XENBUS_ONLINE;
    test_run(&v, ""); /* the frontend lives: it is asked and waited for */
    v.frontend = XENBUS_CLOSING;
    test_run(&v, "disconnect");
    v.frontend = XENBUS_CLOSED;
    test_run(&v, "release shut");
}

static void test_destroy(void)
{
    struct xenbus_view v = test_connected();

    v.frontend = XENBUS_UNKNOWN;
    v.backend = XENBUS_CLOSING;
    v.facts &= ~XENBUS_ONLINE;
    test_run(&v, "drop release shut");
    /* The domain vanished and nobody wrote anything. */
    v = test_connected();
    v.frontend = XENBUS_UNKNOWN;
    v.facts &= ~XENBUS_ONLINE;
    test_run(&v, "drop close release shut");
    /* The directory vanished. */
    v = test_connected();
    v.backend = XENBUS_UNKNOWN;
    test_run(&v, "drop release");
    CU_ASSERT_EQUAL(xenbus_decide(&v), XENBUS_FORGET);
    /* Closed was written under us. */
    v = test_connected();
    v.backend = XENBUS_CLOSED;
    v.facts &= ~XENBUS_ONLINE;
    test_run(&v, "drop release");
}

static void test_failed(void)
{
    struct xenbus_view v = {XENBUS_INITIALISED, XENBUS_INIT_WAIT, XENBUS_ONLINE | XENBUS_FAILED};

    test_run(&v, "");
    v.facts &= ~XENBUS_ONLINE;
    v.facts |= XENBUS_HELD;
    v.backend = XENBUS_CLOSING;
    test_run(&v, "release shut");
}

static void test_broken(void)
{
    struct xenbus_view v = test_connected();

    v.facts |= XENBUS_BROKEN;
    test_run(&v, "disconnect close shut");
    v.frontend = XENBUS_INITIALISING;
    test_run(&v, "publish");
    /* Refused before there was a ring, and given up by the toolstack. */
    v = (struct xenbus_view){XENBUS_INITIALISED, XENBUS_CLOSING,
                             XENBUS_BROKEN | XENBUS_HELD | XENBUS_READY};
    test_run(&v, "release shut");
}

static void test_lost(void)
{
    struct xenbus_view v = test_connected();

    v.facts &= ~(XENBUS_READY | XENBUS_DOOR);
    v.facts |= XENBUS_LOST;
    test_run(&v, "close shut");
    v.frontend = XENBUS_CLOSED;
    test_run(&v, "");
    v.frontend = XENBUS_INITIALISING;
    test_run(&v, ""); /* never a pristine disk under a running guest */
    v.facts &= ~XENBUS_ONLINE;
    test_run(&v, "release");
}

/* Views in which one row decides, which no story above comes by. */
static void test_single_rows(void)
{
    static const struct {
        struct xenbus_view view;
        enum xenbus_action action;
    } rows[] = {
        {{XENBUS_UNKNOWN, XENBUS_INITIALISING, XENBUS_ONLINE}, XENBUS_NOTHING},
        {{XENBUS_INITIALISING, XENBUS_INITIALISING, XENBUS_ONLINE}, XENBUS_PUBLISH},
        {{XENBUS_UNKNOWN, XENBUS_INIT_WAIT, XENBUS_ONLINE}, XENBUS_CLOSE},
        {{XENBUS_CLOSING, XENBUS_INIT_WAIT, XENBUS_ONLINE}, XENBUS_CLOSE},
        {{XENBUS_CLOSED, XENBUS_INITIALISED, XENBUS_ONLINE}, XENBUS_CLOSE},
        {{XENBUS_CONNECTED, XENBUS_CLOSING, XENBUS_LOST}, XENBUS_SHUT},
        {{XENBUS_CONNECTED, XENBUS_CLOSING, 0}, XENBUS_NOTHING},
        {{XENBUS_CONNECTED, XENBUS_CLOSING, XENBUS_ONLINE}, XENBUS_SHUT},
        {{XENBUS_CONNECTED, XENBUS_CLOSING, XENBUS_ONLINE | XENBUS_DOOR}, XENBUS_NOTHING},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        CU_ASSERT_EQUAL(xenbus_decide(&rows[i].view), rows[i].action);
}

static void test_words(void)
{
    CU_ASSERT_STRING_EQUAL(xenbus_word(XENBUS_INIT_WAIT), "InitWait");
    CU_ASSERT_STRING_EQUAL(xenbus_word(XENBUS_RECONFIGURED), "Reconfigured");
    CU_ASSERT_STRING_EQUAL(xenbus_word((enum xenbus_state)9), "Unknown");
    CU_ASSERT_STRING_EQUAL(xenbus_action_word(XENBUS_FORGET), "forget");
    CU_ASSERT_STRING_EQUAL(xenbus_action_word((enum xenbus_action)(XENBUS_FORGET + 1)), "nothing");
}

int suite_xenbus(void)
{
    static const CU_TestInfo tests[] = {
        {"every view keeps the promises", test_all_views},
        {"attach", test_attach},
        {"attach where the volume comes first", test_attach_ahead},
        {"a frontend that does not wait", test_hasty},
        {"a disk that grows", test_grown},
        {"close and reopen keeps the volume", test_reopen},
        {"frontends that skip Closing", test_grub},
        {"frontends that skip Initialising", test_skipped},
        {"let go of while coming up", test_let_go},
        {"detach waits for a live frontend", test_detach},
        {"destroy waits for nobody", test_destroy},
        {"a failed vbd stays in InitWait", test_failed},
        {"a broken connection may be tried again", test_broken},
        {"a lost volume never comes back", test_lost},
        {"rows by themselves", test_single_rows},
        {"states have words", test_words},
    };
    CU_pSuite suite = CU_add_suite("xenbus", NULL, NULL);

    for (size_t i = 0; suite && i < sizeof(tests) / sizeof(tests[0]); i++)
        if (!CU_add_test(suite, tests[i].pName, tests[i].pTestFunc))
            return -1;
    return suite ? 0 : -1;
}
