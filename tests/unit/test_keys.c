// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * keys: frontends of all kinds, honest and not, as tables of nodes.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <CUnit/CUnit.h>

#include "keys.h"

#define NODES (2 * WIRE_QUEUES + 2)

int suite_keys(void);

struct test_node {
    const char *name, *value;
};

struct test_front {
    struct test_node nodes[NODES];
};

static int test_reader(void *from, const char *node, char *out, size_t size)
{
    const struct test_front *front = from;

    for (int i = 0; i < NODES && front->nodes[i].name; i++) {
        if (strcmp(front->nodes[i].name, node))
            continue;
        if (strlen(front->nodes[i].value) >= size)
            return -E2BIG;
        strcpy(out, front->nodes[i].value);
        return 0;
    }
    return -ENOENT;
}

static uint32_t test_offered = 4; /* queues */

static int test_read(struct test_front *front, struct wire_door *door)
{
    char text[WIRE_TEXT] = "";
    int err;

    memset(door, 0, sizeof(*door));
    err = keys_read(test_reader, front, test_offered, door, text);
    /* Every refusal has words, and never the guest's. */
    CU_ASSERT_EQUAL(err != 0, text[0] != 0);
    CU_ASSERT_PTR_NULL(strstr(text, "evil"));
    return err;
}

static void test_single(void)
{
    struct test_front front = {{{"ring-ref", "8"},
                                {"event-channel", "15"},
                                {"protocol", "x86_64-abi"},
                                {"ring-ref0", "77"}}};
    struct wire_door door;

    CU_ASSERT_EQUAL(test_read(&front, &door), 0);
    CU_ASSERT_EQUAL(door.protocol, WIRE_X86_64);
    CU_ASSERT_EQUAL(door.queues, 1);
    CU_ASSERT_EQUAL(door.order, 0);
    CU_ASSERT_EQUAL(door.queue[0].refs[0], 8);
    CU_ASSERT_EQUAL(door.queue[0].port, 15);
}

/* An earlier driver's ring-ref0 must not serve a later one that wrote no order. */
static void test_stale(void)
{
    struct test_front front = {{{"ring-ref0", "77"}, {"event-channel", "15"}}};
    struct wire_door door;

    CU_ASSERT_EQUAL(test_read(&front, &door), -EINVAL);
}

static void test_protocols(void)
{
    struct test_front front = {{{"ring-ref", "0"}, {"event-channel", "1"}}};
    struct wire_door door;

    CU_ASSERT_EQUAL(test_read(&front, &door), 0);
    CU_ASSERT_EQUAL(door.protocol, WIRE_X86_32);
    front.nodes[2] = (struct test_node){"protocol", "x86_32-abi"};
    CU_ASSERT_EQUAL(test_read(&front, &door), 0);
    CU_ASSERT_EQUAL(door.protocol, WIRE_X86_32);
    static const char *const bad[] = {
        "", "arm-abi", "x86_64-abi ", "evil", "x86_64", "evilevilevilevilevilevilevilevilevilevil"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        front.nodes[2].value = bad[i];
        CU_ASSERT_EQUAL(test_read(&front, &door), -EINVAL);
    }
}

static void test_orders(void)
{
    struct test_front front = {{{"event-channel", "3"},
                                {"ring-page-order", "0"},
                                {"ring-ref0", "5"},
                                {"ring-ref1", "6"},
                                {"ring-ref2", "7"},
                                {"ring-ref3", "4294967295"}}};
    struct wire_door door;

    CU_ASSERT_EQUAL(test_read(&front, &door), 0); /* blkback's reading of order 0 */
    CU_ASSERT_EQUAL(door.queue[0].refs[0], 5);
    front.nodes[6] = (struct test_node){"ring-ref", "9"};
    CU_ASSERT_EQUAL(test_read(&front, &door), 0); /* tapback's */
    CU_ASSERT_EQUAL(door.queue[0].refs[0], 9);
    front.nodes[6].value = ""; /* as GRUB leaves it */
    CU_ASSERT_EQUAL(test_read(&front, &door), 0);
    CU_ASSERT_EQUAL(door.queue[0].refs[0], 5);
    front.nodes[2].value = "";
    CU_ASSERT_EQUAL(test_read(&front, &door), -EINVAL);
    front.nodes[2].value = "5";
    front.nodes[1].value = "2";
    CU_ASSERT_EQUAL(test_read(&front, &door), 0);
    CU_ASSERT_EQUAL(door.order, 2);
    CU_ASSERT_EQUAL(door.queue[0].refs[3], UINT32_MAX);
    front.nodes[1] = (struct test_node){"num-ring-pages", "4"};
    CU_ASSERT_EQUAL(test_read(&front, &door), 0);
    CU_ASSERT_EQUAL(door.order, 2);
    front.nodes[1].value = "8"; /* ring-ref4 is missing */
    CU_ASSERT_EQUAL(test_read(&front, &door), -EINVAL);
    front.nodes[1].value = "3";
    CU_ASSERT_EQUAL(test_read(&front, &door), -EINVAL);
    front.nodes[1].value = "32";
    CU_ASSERT_EQUAL(test_read(&front, &door), -EINVAL);
    front.nodes[1].value = "1"; /* ring-ref0, as for an order of 0 */
    front.nodes[6].name = "ring-reff";
    CU_ASSERT_EQUAL(test_read(&front, &door), 0);
    CU_ASSERT_EQUAL(door.order, 0);
    CU_ASSERT_EQUAL(door.queue[0].refs[0], 5);
    front.nodes[1].value = "0";
    CU_ASSERT_EQUAL(test_read(&front, &door), -EINVAL);
    front.nodes[1] = (struct test_node){"ring-page-order", "5"};
    CU_ASSERT_EQUAL(test_read(&front, &door), -EINVAL);
}

/* The largest ring there may be, in both spellings. */
static void test_largest(void)
{
    static const char *const refs[] = {"ring-ref0",  "ring-ref1",  "ring-ref2",  "ring-ref3",
                                       "ring-ref4",  "ring-ref5",  "ring-ref6",  "ring-ref7",
                                       "ring-ref8",  "ring-ref9",  "ring-ref10", "ring-ref11",
                                       "ring-ref12", "ring-ref13", "ring-ref14", "ring-ref15"};
    struct test_front front = {{{"event-channel", "3"}, {"ring-page-order", "4"}}};
    struct wire_door door;

    for (int i = 0; i < 16; i++)
        front.nodes[2 + i] = (struct test_node){refs[i], i == 15 ? "15" : "7"};
    CU_ASSERT_EQUAL(test_read(&front, &door), 0);
    CU_ASSERT(door.order == 4 && door.queue[0].refs[0] == 7 && door.queue[0].refs[15] == 15);
    front.nodes[1] = (struct test_node){"num-ring-pages", "16"};
    CU_ASSERT_EQUAL(test_read(&front, &door), 0);
    CU_ASSERT(door.order == 4 && door.queue[0].refs[15] == 15);
    front.nodes[17] = (struct test_node){NULL, NULL};
    CU_ASSERT_EQUAL(test_read(&front, &door), -EINVAL);
}

static void test_queues(void)
{
    struct test_front front = {{{"multi-queue-num-queues", "1"},
                                {"ring-ref", "8"},
                                {"event-channel", "9"},
                                {"queue-0/ring-ref", "10"},
                                {"queue-0/event-channel", "11"},
                                {"queue-1/ring-ref", "12"},
                                {"queue-1/event-channel", "13"}}};
    struct wire_door door;

    CU_ASSERT_EQUAL(test_read(&front, &door), 0); /* one queue: top-level keys (Windows) */
    CU_ASSERT_EQUAL(door.queue[0].refs[0], 8);
    front.nodes[0].value = "2";
    CU_ASSERT_EQUAL(test_read(&front, &door), 0);
    CU_ASSERT_EQUAL(door.queues, 2);
    CU_ASSERT_EQUAL(door.queue[1].refs[0], 12);
    CU_ASSERT_EQUAL(door.queue[1].port, 13);
    static const char *const bad[] = {"0", "3", "5", "999", "-1", "", "2x", "18446744073709551618"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        front.nodes[0].value = bad[i];
        CU_ASSERT_EQUAL(test_read(&front, &door), -EINVAL);
    }
}

/* No more than was offered, and never more than there is room for. */
static void test_most_queues(void)
{
    char number[16];
    struct test_front front = {{{"multi-queue-num-queues", "3"},
                                {"queue-0/ring-ref", "10"},
                                {"queue-0/event-channel", "11"},
                                {"queue-1/ring-ref", "12"},
                                {"queue-1/event-channel", "13"},
                                {"queue-2/ring-ref", "14"},
                                {"queue-2/event-channel", "15"}}};
    struct wire_door door;
    char text[WIRE_TEXT];

    CU_ASSERT_EQUAL(keys_read(test_reader, &front, 2, &door, text), -EINVAL);
    CU_ASSERT_STRING_EQUAL(text, "multi-queue-num-queues is not a number from 1 to 2");
    CU_ASSERT_EQUAL(keys_read(test_reader, &front, 3, &door, text), 0);
    CU_ASSERT(door.queues == 3 && door.queue[2].port == 15);
    snprintf(number, sizeof(number), "%u", (unsigned int)WIRE_QUEUES + 1);
    front.nodes[0].value = number;
    CU_ASSERT_EQUAL(keys_read(test_reader, &front, UINT32_MAX, &door, text), -EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "multi-queue-num-queues is not a number from 1 to "));
}

/* The first queue that is wrong is the one that is named. */
static void test_first_wrong_queue(void)
{
    struct test_front front = {{{"multi-queue-num-queues", "3"},
                                {"queue-0/ring-ref", "10"},
                                {"queue-0/event-channel", "11"},
                                {"queue-1/ring-ref", "12"}}};
    struct wire_door door;
    char text[WIRE_TEXT];

    CU_ASSERT_EQUAL(keys_read(test_reader, &front, 4, &door, text), -EINVAL);
    CU_ASSERT_STRING_EQUAL(text, "queue-1/event-channel is missing");
    front.nodes[1].value = "evil";
    CU_ASSERT_EQUAL(keys_read(test_reader, &front, 4, &door, text), -EINVAL);
    CU_ASSERT_STRING_EQUAL(text, "queue-0/ring-ref is not a number from 0 to 4294967295");
}

/* As many as a ring message has room for, whatever is offered. */
static void test_many_queues(void)
{
    static char names[2 * WIRE_QUEUES][32], values[WIRE_QUEUES][8];
    struct test_front *front = calloc(1, sizeof(*front));
    struct wire_door door;

    front->nodes[0] = (struct test_node){"multi-queue-num-queues", "64"};
    for (int i = 0; i < WIRE_QUEUES; i++) {
        snprintf(names[2 * i], sizeof(names[0]), "queue-%d/ring-ref", i);
        snprintf(names[2 * i + 1], sizeof(names[0]), "queue-%d/event-channel", i);
        snprintf(values[i], sizeof(values[0]), "%d", i + 1);
        front->nodes[2 * i + 1] = (struct test_node){names[2 * i], values[i]};
        front->nodes[2 * i + 2] = (struct test_node){names[2 * i + 1], values[i]};
    }
    test_offered = 64;
    CU_ASSERT_EQUAL(test_read(front, &door), 0);
    CU_ASSERT_EQUAL(door.queues, 64);
    for (uint32_t i = 0; i < door.queues; i++)
        CU_ASSERT(door.queue[i].refs[0] == i + 1 && door.queue[i].port == i + 1);
    static const char *const bad[] = {"65", "1000", "0"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        front->nodes[0].value = bad[i];
        test_offered = 64;
        CU_ASSERT_EQUAL(test_read(front, &door), -EINVAL);
        test_offered = 2000;
        CU_ASSERT_EQUAL(test_read(front, &door), -EINVAL);
    }
    test_offered = 4;
    free(front);
}

static void test_hostile_numbers(void)
{
    static const char *const bad[] = {
        "",   " 1",  "1 ",   "0x1",        "-1",
        "+1", "1e3", "evil", "4294967296", "1234567890123456789012345678901234567890"};
    struct test_front front = {{{"ring-ref", "1"}, {"event-channel", "1"}}};
    struct wire_door door;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        for (int node = 0; node < 2; node++) {
            front.nodes[node].value = bad[i];
            CU_ASSERT_EQUAL(test_read(&front, &door), -EINVAL);
            front.nodes[node].value = "1";
        }
    front.nodes[1].value = "0";
    CU_ASSERT_EQUAL(test_read(&front, &door), -EINVAL);
    front.nodes[1].value = "2147483648";
    CU_ASSERT_EQUAL(test_read(&front, &door), -EINVAL);
    front.nodes[1].value = "2147483647";
    CU_ASSERT_EQUAL(test_read(&front, &door), 0);
    front.nodes[1] = (struct test_node){NULL, NULL};
    CU_ASSERT_EQUAL(test_read(&front, &door), -EINVAL);
}

int suite_keys(void)
{
    static const CU_TestInfo tests[] = {
        {"one page, one queue", test_single},
        {"a stale ring-ref0 is not used", test_stale},
        {"protocols", test_protocols},
        {"ring sizes in both spellings", test_orders},
        {"the largest ring", test_largest},
        {"queues", test_queues},
        {"as many queues as offered", test_most_queues},
        {"the first wrong queue", test_first_wrong_queue},
        {"64 queues and no more", test_many_queues},
        {"numbers that are none", test_hostile_numbers},
    };
    CU_pSuite suite = CU_add_suite("keys", NULL, NULL);

    for (size_t i = 0; suite && i < sizeof(tests) / sizeof(tests[0]); i++)
        if (!CU_add_test(suite, tests[i].pName, tests[i].pTestFunc))
            return -1;
    return suite ? 0 : -1;
}
