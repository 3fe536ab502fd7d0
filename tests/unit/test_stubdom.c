// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * stubdom: who is whose stub domain, from stores that are right, half written, and forged.
 */
#include "unit.h"

#include <errno.h>
#include <string.h>
#include "stubdom.h"

#define NODES 6

struct node {
    const char *path, *value;
    int err; /* instead of the value */
    bool theirs;
};

struct store {
    struct node nodes[NODES];
};

static int store_read(void *from, const char *path, char *out, size_t size, bool *ours)
{
    struct store *store = from;

    *ours = true;
    for (size_t i = 0; i < NODES && store->nodes[i].path; i++) {
        const struct node *node = &store->nodes[i];

        if (strcmp(path, node->path))
            continue;
        if (node->err)
            return node->err;
        if (strlen(node->value) >= size)
            return -E2BIG;
        strcpy(out, node->value);
        *ours = !node->theirs;
        return 0;
    }
    return -ENOENT;
}

#define IS(path_, value_)                                                                          \
    {                                                                                              \
        .path = path_, .value = value_                                                             \
    }
#define THEIRS(path_, value_)                                                                      \
    {                                                                                              \
        .path = path_, .value = value_, .theirs = true                                             \
    }
#define FAILS(path_, err_)                                                                         \
    {                                                                                              \
        .path = path_, .err = err_                                                                 \
    }
#define ROW(...)                                                                                   \
    {                                                                                              \
        .nodes = { __VA_ARGS__ }                                                                   \
    }

#define T(domid) "/local/domain/" #domid "/target"
#define M(domid) "/local/domain/" #domid "/image/device-model-domid"

static int resolve(struct store store, uint32_t *guest, char text[WIRE_TEXT])
{
    return stubdom_resolve(store_read, &store, 7, guest, text);
}

static void test_guests(void)
{
    const struct store rows[] = {
        ROW(IS(NULL, "")), ROW(IS(M(7), "9")), /* a guest that has a stub domain */
        ROW(IS(T(8), "7"), IS(M(7), "9")),     /* somebody else's lie is not its trouble */
        ROW(FAILS(T(7), -EACCES)),             /* a driver domain's daemon */
    };
    char text[WIRE_TEXT];
    uint32_t guest;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        CU_ASSERT_EQUAL(resolve(rows[i], &guest, text), 0);
        CU_ASSERT_EQUAL(guest, 7);
    }
}

static void test_pair(void)
{
    const struct store pair = ROW(IS(T(7), "5"), IS(M(5), "7"));
    char text[WIRE_TEXT];
    uint32_t guest;

    CU_ASSERT_EQUAL(resolve(pair, &guest, text), 0);
    CU_ASSERT_EQUAL(guest, 5);
    CU_ASSERT_EQUAL(text[0], '\0');
}

/* Whatever does not fit is refused in one line that names the domain, and never taken for a guest. */
static void test_refused(void)
{
    const struct store rows[] = {
        ROW(IS(T(7), "5")),                    /* forged: 5 does not know it */
        ROW(IS(T(7), "5"), IS(M(5), "6")),     /* the stub domain of 5 is another */
        ROW(IS(T(7), "5"), IS(M(6), "7")),     /* it is the stub domain of 6 */
        ROW(THEIRS(T(7), "5"), IS(M(5), "7")), /* its own words */
        ROW(IS(T(7), "5"), THEIRS(M(5), "7")), /* the guest's words */
        ROW(IS(T(7), "7"), IS(M(7), "7")),     /* itself */
        ROW(IS(T(7), "0"), IS(M(0), "7")),     /* dom0 */
        ROW(IS(T(7), "5"), IS(M(5), "7"), IS(T(5), "7"), IS(M(7), "5")), /* each other */
        ROW(IS(T(7), "5"), IS(M(5), "7"), IS(T(5), "4"), IS(M(4), "5")), /* a stub domain's */
        ROW(IS(T(7), "5"), IS(M(5), "7"), FAILS(T(5), -E2BIG)),
        ROW(IS(T(7), "5"), FAILS(M(5), -E2BIG)),
        ROW(IS(T(7), ""), IS(M(5), "7")),
        ROW(IS(T(7), "05"), IS(M(5), "7")),
        ROW(IS(T(7), "5 "), IS(M(5), "7")),
        ROW(IS(T(7), "-5"), IS(M(5), "7")),
        ROW(IS(T(7), "32752"), IS(M(32752), "7")), /* reserved */
        ROW(IS(T(7), "4294967301"), IS(M(5), "7")),
        ROW(IS(T(7), "5"), IS(M(5), "7/")),
        ROW(IS(T(7), "5"), IS(M(5), "")),
        ROW(FAILS(T(7), -EINVAL)),
        ROW(FAILS(T(7), -E2BIG)),
    };
    char text[WIRE_TEXT];
    uint32_t guest;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        CU_ASSERT_EQUAL(resolve(rows[i], &guest, text), -EINVAL);
        CU_ASSERT_PTR_NOT_NULL(strstr(text, "domain 7 "));
        CU_ASSERT_PTR_NULL(strchr(text, '\n'));
    }
}

/* A store that fails says nothing about anybody. */
static void test_broken(void)
{
    const struct store rows[] = {
        ROW(FAILS(T(7), -EIO)),
        ROW(IS(T(7), "5"), FAILS(T(5), -EIO), IS(M(5), "7")),
        ROW(IS(T(7), "5"), FAILS(M(5), -EAGAIN)),
    };
    char text[WIRE_TEXT];
    uint32_t guest;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int err = resolve(rows[i], &guest, text);

        CU_ASSERT(err == -EIO || err == -EAGAIN);
        CU_ASSERT_EQUAL(text[0], '\0');
    }
}

int suite_stubdom(void)
{
    static const CU_TestInfo tests[] = {
        {"guests are themselves", test_guests},
        {"a pair", test_pair},
        {"forged and half pairs", test_refused},
        {"a store that fails", test_broken},
    };
    CU_pSuite suite = CU_add_suite("stubdom", NULL, NULL);

    for (size_t i = 0; suite && i < sizeof(tests) / sizeof(tests[0]); i++)
        if (!CU_add_test(suite, tests[i].pName, tests[i].pTestFunc))
            return -1;
    return suite ? 0 : -1;
}
