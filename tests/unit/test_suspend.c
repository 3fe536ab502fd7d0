// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * suspend: what is concluded from the events of control/shutdown and from a domain's name.
 */
#include "unit.h"

#include <string.h>
#include "suspend_watch.h"

/*
 * Plays what the daemon finds at each event, a letter each: s suspend, p another command, . nothing.
 * Returns how often the guest was asked to suspend.
 */
static unsigned int play(struct suspend_watch *watch, const char *events)
{
    unsigned int asked = 0;

    for (; *events; events++)
        asked += suspend_note(watch, *events == 's' ? "suspend" : *events == 'p' ? "poweroff" : "");
    return asked;
}

static void test_told(void)
{
    static const struct {
        const char *events;
        unsigned int asked;
        bool missed;
    } rows[] = {
        {".", 0, false},     {".s.", 1, false},    {"s.", 1, false},   {".p.", 0, false},
        {".s.s.", 2, false}, {".ss.", 2, false},   {".ps.", 1, false}, {"p.", 0, false},
        {"..", 0, true},     {"...", 0, true},     {".s..", 1, true},  {"p..", 0, true},
        {"..s.", 1, true},   {".p.s...", 1, true},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct suspend_watch watch = {.set = true, .fresh = true};

        CU_ASSERT_EQUAL(play(&watch, rows[i].events), rows[i].asked);
        CU_ASSERT_EQUAL(watch.missed, rows[i].missed);
        CU_ASSERT_EQUAL(watch.asked, strchr("sp", rows[i].events[strlen(rows[i].events) - 1]) != 0);
    }
}

/* What a guest may write is no request, and nothing forgives what was missed. */
static void test_words(void)
{
    static const char *const words[] = {"Suspend", "suspend ", "suspended", "s", "reboot", "?"};
    struct suspend_watch watch = {.fresh = true, .missed = true};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        CU_ASSERT(!suspend_note(&watch, words[i]));
    CU_ASSERT(!suspend_note(&watch, ""));
    CU_ASSERT(watch.missed);
}

static void test_names(void)
{
    CU_ASSERT(suspend_is_incoming("web--incoming"));
    CU_ASSERT(suspend_is_incoming("--incoming"));
    CU_ASSERT(!suspend_is_incoming("-incoming"));
    CU_ASSERT(!suspend_is_incoming("web--incoming2"));
    CU_ASSERT(!suspend_is_incoming("web--incomin"));
    CU_ASSERT(!suspend_is_incoming("--incoming--migratedaway"));
    CU_ASSERT(!suspend_is_incoming(""));
}

static const struct unit_case cases[] = {
    {"events and what they tell", test_told},
    {"other words", test_words},
    {"names", test_names},
};

int suite_suspend(void)
{
    return UNIT_SUITE("suspend", cases);
}
