// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * driver: what a driver domain takes for a base.  Its nodes in xenstore are tested on the real xenstored.
 */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "driver.h"
#include "guardkit.h"
#include "paths.h"
#include "storage.h"

static void test_bases(void)
{
    static const struct {
        const char *target;
        bool good;
    } rows[] = {
        {"/bases/root", true},
        {"cow:/bases/root-4.3_x", true},
        {"/bases/root,size=2G", true},
        {"blank:1G", true},
        {"/bases/", false},
        {"/bases", false},
        {"/bases/.", false},
        {"/bases/..", false},
        {"/bases/../dev/xvda", false},
        {"/bases/.hidden", false},
        {"/bases/a/b", false},
        {"/bases//a", false},
        {"/dev/xvda", false},
        {"//bases/root", false},
        {"/basesroot", false},
        {"/bases/ROOT", false},
        {"/bases/a b", false},
        {"/etc/passwd,size=1M", false},
        {"/bases/root\nx", false},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct store_spec spec;
        char text[STORE_TEXT] = "";
        int err = store_parse_volume(rows[i].target, &spec, text);

        if (!err)
            err = driver_check_base(&spec, text);
        CU_ASSERT_EQUAL(!err, rows[i].good);
        CU_ASSERT_EQUAL(text[0] == '\0', rows[i].good);
        CU_ASSERT_PTR_NULL(strchr(text, '\n'));
    }
}

/* Only what dom0 says, and all that it says. */
static void test_pairs(void)
{
    char text[WIRE_TEXT] = "";
    uint32_t guest = 0;

    store.count = store.fails = 0;
    CU_ASSERT_EQUAL(driver_resolve(NULL, 5, &guest, text), 0);
    CU_ASSERT_EQUAL(guest, 5);
    store_put(PATH_PAIRS "/6", "5");
    store_put(PATH_PAIRS, "1");
    CU_ASSERT_EQUAL(driver_resolve(NULL, 5, &guest, text), -EAGAIN);
    CU_ASSERT_EQUAL(driver_resolve(NULL, 6, &guest, text), 0);
    CU_ASSERT_EQUAL(guest, 5);
    for (unsigned int n = 1; n <= 3; n++) {
        store.fails = n;
        CU_ASSERT_EQUAL(driver_resolve(NULL, 6, &guest, text), -EIO);
    }
    CU_ASSERT_EQUAL(text[0], '\0');
    store_put(PATH_PAIRS "/7", "0");
    CU_ASSERT_EQUAL(driver_resolve(NULL, 7, &guest, text), -EINVAL);
    store_put(PATH_PAIRS "/8", "05");
    CU_ASSERT_EQUAL(driver_resolve(NULL, 8, &guest, text), -EINVAL);
    CU_ASSERT_NOT_EQUAL(text[0], '\0');
    store.nodes[0].theirs = true;
    CU_ASSERT_EQUAL(driver_resolve(NULL, 6, &guest, text), -EINVAL);
    store.count = store.fails = 0;
}

/* A domain may call itself what it likes. */
static void test_storage(void)
{
    bool is = true;

    store.count = store.fails = 0;
    CU_ASSERT_EQUAL(storage_is_one(NULL, 3, &is), 0);
    CU_ASSERT_FALSE(is);
    store_put("/local/domain/3/" STORAGE_NODE, "shared");
    CU_ASSERT_EQUAL(storage_is_one(NULL, 3, &is), 0);
    CU_ASSERT_TRUE(is);
    CU_ASSERT_EQUAL(storage_is_one(NULL, 4, &is), 0);
    CU_ASSERT_FALSE(is);
    for (unsigned int n = 1; n <= 2; n++) {
        store.fails = n;
        CU_ASSERT_EQUAL(storage_is_one(NULL, 3, &is), -EIO);
        CU_ASSERT_FALSE(is);
    }
    store.nodes[0].theirs = true;
    CU_ASSERT_EQUAL(storage_is_one(NULL, 3, &is), 0);
    CU_ASSERT_FALSE(is);
    store_put("/local/domain/0/" STORAGE_NODE, "shared");
    CU_ASSERT_EQUAL(storage_is_one(NULL, 0, &is), 0);
    CU_ASSERT_FALSE(is);
    store.count = store.fails = 0;
}

int suite_driver(void)
{
    static const struct unit_case cases[] = {
        {"only what lies in /bases", test_bases},
        {"only dom0 says who is a storage domain", test_storage},
        {"only dom0 says whose stub domain one is", test_pairs},
    };

    return UNIT_SUITE("driver", cases);
}
