// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * log: a line is one line whatever its length, and the limiter lets a burst and then one a second
 * through.
 */
#include "unit.h"

#include <string.h>
#include <time.h>
#include "log.h"

static void limiter(void)
{
    struct log_limit limit = {.burst = 3};
    struct timespec now;
    unsigned int passed = 0;

    for (int i = 0; i < 10; i++)
        passed += log_allowed(&limit);
    CU_ASSERT(passed == 3 || passed == 4); /* a second may have begun meanwhile */

    clock_gettime(CLOCK_MONOTONIC, &now);
    limit = (struct log_limit){.burst = 5, .used = 5, .last = (uint64_t)now.tv_sec};
    limit.last -= 2;
    CU_ASSERT(log_allowed(&limit));
    CU_ASSERT(log_allowed(&limit));
    limit.last -= 1000000;
    for (int i = 0; i < 5; i++)
        CU_ASSERT(log_allowed(&limit));
}

static void nothing_passes(void)
{
    struct log_limit limit = {.burst = 0};

    CU_ASSERT_FALSE(log_allowed(&limit));
}

static void lines(void)
{
    char longest[3000];

    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    unit_capture_start();
    log_error("short %d", 7);
    log_error("%s", longest);
    log_error("after");
    log_debug("not shown");
    unsigned int newlines = unit_capture_count("\n"), shown = unit_capture_count("short 7\n");
    unsigned int after = unit_capture_count("x\nunit: after\n");
    unsigned int debug = unit_capture_count("not shown");
    unit_capture_end();
    CU_ASSERT_EQUAL(newlines, 3);
    CU_ASSERT_EQUAL(shown, 1);
    CU_ASSERT_EQUAL(after, 1);
    CU_ASSERT_EQUAL(debug, 0);
}

int suite_log(void)
{
    static const struct unit_case cases[] = {
        {"limiter", limiter}, {"burst of none", nothing_passes}, {"lines", lines}};

    return UNIT_SUITE("log", cases);
}
