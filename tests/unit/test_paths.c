// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * paths: what parses is exactly what is built, and nothing else.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <CUnit/CUnit.h>

#include "paths.h"

int suite_paths(void);

static void test_parse_good(void)
{
    struct path_vbd id;

    CU_ASSERT_EQUAL(path_parse_backend("backend/vbd3/1/51712", &id), 0);
    CU_ASSERT_EQUAL(id.domid, 1);
    CU_ASSERT_EQUAL(id.devid, 51712);
    CU_ASSERT_EQUAL(path_parse_backend("/local/domain/0/backend/vbd3/32751/4294967295", &id), 0);
    CU_ASSERT_EQUAL(id.domid, 32751);
    CU_ASSERT_EQUAL(id.devid, UINT32_MAX);
    CU_ASSERT_EQUAL(path_parse_backend("/local/domain/7/backend/vbd3/0/0", &id), 0);
}

static void test_parse_bad(void)
{
    static const char *const bad[] = {
        "",
        "/",
        "backend",
        "backend/vbd3",
        "backend/vbd3/",
        "backend/vbd3/1",
        "backend/vbd3/1/",
        "backend/vbd3//51712",
        "backend/vbd3/1/51712/",
        "backend/vbd3/1/51712/state",
        "backend/vbd/1/51712",
        "backend/vbd3/01/51712",
        "backend/vbd3/1/051712",
        "backend/vbd3/-1/51712",
        "backend/vbd3/1/+51712",
        "backend/vbd3/1/0x10",
        "backend/vbd3/ 1/51712",
        "backend/vbd3/1/51712 ",
        "backend/vbd3/32752/51712",
        "backend/vbd3/1/4294967296",
        "backend/vbd3/1/99999999999999999999999999999999999999999",
        "/local/domain/backend/vbd3/1/51712",
        "/local/domain/32752/backend/vbd3/1/51712",
        "/local/domain/0//backend/vbd3/1/51712",
        "x/backend/vbd3/1/51712",
        "backend/vbd3/../51712",
    };
    struct path_vbd id;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        CU_ASSERT(path_parse_backend(bad[i], &id) < 0);
}

static void test_build(void)
{
    const struct path_vbd id = {.domid = 32751, .devid = UINT32_MAX};
    struct path_vbd back;
    char path[PATH_ROOM];

    path_backend(path, &id, NULL);
    CU_ASSERT_STRING_EQUAL(path, "backend/vbd3/32751/4294967295");
    CU_ASSERT_EQUAL(path_parse_backend(path, &back), 0);
    CU_ASSERT(back.domid == id.domid && back.devid == id.devid);
    path_backend(path, &id, "state");
    CU_ASSERT_STRING_EQUAL(path, "backend/vbd3/32751/4294967295/state");
    path_frontend(path, &id, "queue-15/ring-ref15");
    CU_ASSERT_STRING_EQUAL(path, "/local/domain/32751/device/vbd/4294967295/queue-15/ring-ref15");
    path_error(path, &id, "error");
    CU_ASSERT_STRING_EQUAL(path, "error/backend/vbd3/32751/4294967295/error");
    path_domain(path, 5, NULL);
    CU_ASSERT_STRING_EQUAL(path, "/local/domain/5");
    path_domain(path, 5, "vm");
    CU_ASSERT_STRING_EQUAL(path, "/local/domain/5/vm");
}

/* A driver domain's, and dom0's no more. */
static void test_driver(void)
{
    const struct path_vbd id = {.domid = 3, .devid = 51712};
    struct path_vbd back;
    uint32_t domid = 0;
    char path[PATH_ROOM];

    CU_ASSERT_EQUAL(path_parse_owner("backend/vbd3/7/51712/state", &domid), 0);
    CU_ASSERT_EQUAL(domid, 7);
    CU_ASSERT(path_parse_owner("backend/vbd3", &domid) < 0);
    CU_ASSERT(path_parse_owner("backend/vbd3/07", &domid) < 0);
    CU_ASSERT(path_parse_owner("backend/vbd/7", &domid) < 0);
    path_serve_driver(true);
    CU_ASSERT_STRING_EQUAL(path_backends(), PATH_DRIVER);
    CU_ASSERT_EQUAL(path_parse_owner("backend/vbd/7", &domid), 0);
    CU_ASSERT(path_parse_owner("backend/vbd3/7", &domid) < 0);
    path_backend(path, &id, "state");
    CU_ASSERT_STRING_EQUAL(path, "backend/vbd/3/51712/state");
    CU_ASSERT(path_parse_backend(path, &back) < 0);
    path_backend(path, &id, NULL);
    CU_ASSERT_EQUAL(path_parse_backend(path, &back), 0);
    CU_ASSERT(path_parse_backend("backend/vbd3/3/51712", &back) < 0);
    path_error(path, &id, "error");
    CU_ASSERT_STRING_EQUAL(path, "error/backend/vbd/3/51712/error");
    CU_ASSERT(!strncmp(path_claim(), "data/", 5));
    path_serve_driver(false);
    CU_ASSERT_STRING_EQUAL(path_backends(), PATH_BACKEND);
    CU_ASSERT(strncmp(path_claim(), "data/", 5));
}

static void test_names(void)
{
    static const struct {
        uint32_t devid;
        const char *name;
    } rows[] = {
        {51712, "xvda"},
        {51713, "xvda1"},
        {51728, "xvdb"},
        {51712 + 15 * 16 + 3, "xvdp3"},
        {(1u << 28) + (16 << 8), "xvdq"},
        {(1u << 28) + (26 << 8) + 2, "xvdaa2"},
        {(1u << 28) + (701 << 8), "xvdzz"},
        {(1u << 28) + (702 << 8), "xvdaaa"},
        {0x1fffffff, "xvdbgqcv255"},
        {768, "hda"},
        {832, "hdb"},
        {5632, "hdc"},
        {5696 + 1, "hdd1"},
        {2048, "sda"},
        {2065, "sdb1"},
        {0, "vbd-0"},
        /* What has a name by its plain number is no second disk of that name. */
        {1u << 28, "vbd-268435456"},
        {(1u << 28) + (15 << 8) + 15, "vbd-268439311"},
        {(1u << 28) + 16, "xvda16"},
        {768 + 128, "vbd-896"},
        {UINT32_MAX, "vbd-4294967295"},
    };
    char name[32];

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        path_device_name(name, rows[i].devid);
        CU_ASSERT_STRING_EQUAL(name, rows[i].name);
        if (strcmp(name, rows[i].name))
            printf("\n%u: %s, not %s\n", rows[i].devid, name, rows[i].name);
    }
}

static void test_numbers(void)
{
    static const struct {
        const char *text;
        uint32_t devid;
    } good[] = {
        {"xvda", 51712},
        {"xvdb", 51728},
        {"xvda1", 51713},
        {"xvdp15", 51967},
        {"xvdq", (1u << 28) + (16 << 8)},
        {"xvda16", (1u << 28) + 16},
        {"xvdaa", (1u << 28) + (26 << 8)},
        {"sda", 2048},
        {"sdp15", 2303},
        {"hda", 768},
        {"hdb1", 833},
        {"hdc", 5632},
        {"51712", 51712},
        {"0", 0},
        {"vbd-0", 0},
        {"vbd-4294967295", UINT32_MAX},
    };
    static const char *const bad[] = {
        "",     "x",     "xvd",   "xvd1",   "xvda0",    "xvda01",    "xvda256",    "xvdA",
        "sdq",  "sda16", "hde",   "hda64",  "051712",   "-1",        "4294967296", "vbd-51712",
        "vbd-", "xvda ", " xvda", "xvda1x", "xvdaaaaa", "/dev/xvda", "sdaa",
    };
    uint32_t devid;

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        CU_ASSERT_EQUAL(path_parse_device(good[i].text, &devid), 0);
        CU_ASSERT_EQUAL(devid, good[i].devid);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (!path_parse_device(bad[i], &devid))
            CU_FAIL(bad[i]);
}

/* Every name leads back to its number. */
static void test_names_and_numbers(void)
{
    uint32_t devid;
    char name[32];

    for (uint32_t i = 0; i < 1u << 17; i++) {
        uint32_t wanted = i >> 16 ? 1u << 28 | (i & 0xffff) : i;

        path_device_name(name, wanted);
        if (path_parse_device(name, &devid) || devid != wanted) {
            CU_FAIL("a name that is not understood");
            printf("\n%u: %s\n", wanted, name);
            return;
        }
    }
}

int suite_paths(void)
{
    CU_pSuite suite = CU_add_suite("paths", NULL, NULL);

    if (!suite || !CU_add_test(suite, "a backend path is taken apart", test_parse_good) ||
        !CU_add_test(suite, "anything else is refused", test_parse_bad) ||
        !CU_add_test(suite, "paths are built", test_build) ||
        !CU_add_test(suite, "a driver domain's paths", test_driver) ||
        !CU_add_test(suite, "devices have names", test_names) ||
        !CU_add_test(suite, "devices are found by name", test_numbers) ||
        !CU_add_test(suite, "every name leads back to its number", test_names_and_numbers))
        return -1;
    return 0;
}
