// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * util: the parsers accept what is documented and nothing else.
 */
#include "unit.h"

#include <errno.h>
#include <string.h>
#include "util.h"

static void numbers(void)
{
    static const struct {
        const char *text;
        uint64_t max;
        int err;
        uint64_t value;
    } rows[] = {
        {"0", 0, 0, 0},
        {"1", 0, -ERANGE, 0},
        {"9", UINT64_MAX, 0, 9},
        {"18446744073709551615", UINT64_MAX, 0, UINT64_MAX},
        {"18446744073709551616", UINT64_MAX, -ERANGE, 0},
        {"99999999999999999999", UINT64_MAX, -ERANGE, 0},
        {"1111111111111111111111111111111111111111", UINT64_MAX, -ERANGE, 0},
        {"000000000000000000001", UINT64_MAX, -ERANGE, 0},
        {"", 9, -EINVAL, 0},
        {" 1", 9, -EINVAL, 0},
        {"1 ", 9, -EINVAL, 0},
        {"+1", 9, -EINVAL, 0},
        {"-1", 9, -EINVAL, 0},
        {"0x1", 9, -EINVAL, 0},
        {"1\n", 9, -EINVAL, 0},
        {"\xd9\xa1", 9, -EINVAL, 0},
        {"65535", 65535, 0, 65535},
        {"65536", 65535, -ERANGE, 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        uint64_t value = 0;
        CU_ASSERT_EQUAL(parse_u64(rows[i].text, rows[i].max, &value), rows[i].err);
        CU_ASSERT_EQUAL(value, rows[i].value);
    }
}

static void sizes(void)
{
    static const struct {
        const char *text;
        int err;
        uint64_t value;
    } rows[] = {
        {"512", 0, 512},
        {"1K", 0, 1024},
        {"3M", 0, 3ull << 20},
        {"20G", 0, 20ull << 30},
        {"16T", 0, 16ull << 40},
        {"16777215T", 0, 16777215ull << 40},
        {"16777216T", -EINVAL, 0},
        {"18446744073709551615", 0, UINT64_MAX},
        {"18446744073709551615K", -EINVAL, 0},
        {"", -EINVAL, 0},
        {"K", -EINVAL, 0},
        {"1k", -EINVAL, 0},
        {"1KB", -EINVAL, 0},
        {"1KK", -EINVAL, 0},
        {"1.5G", -EINVAL, 0},
        {"-1G", -EINVAL, 0},
        {"1 G", -EINVAL, 0},
        {"000000000000000000000000000001", -EINVAL, 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        uint64_t value = 0;
        CU_ASSERT_EQUAL(parse_size(rows[i].text, &value), rows[i].err);
        CU_ASSERT_EQUAL(value, rows[i].value);
    }
}

static void strings(void)
{
    char dst[4] = "xyz";

    CU_ASSERT_EQUAL(copy_string(dst, sizeof(dst), "abc"), 0);
    CU_ASSERT_STRING_EQUAL(dst, "abc");
    CU_ASSERT_EQUAL(copy_string(dst, sizeof(dst), "abcd"), -ENAMETOOLONG);
    CU_ASSERT_STRING_EQUAL(dst, "");
    CU_ASSERT_EQUAL(copy_string(dst, sizeof(dst), ""), 0);
}

static void lists(void)
{
    struct list head, a, b;

    list_init(&head);
    CU_ASSERT(list_empty(&head));
    CU_ASSERT_PTR_NULL(list_pop(&head));
    list_append(&head, &a);
    list_append(&head, &b);
    list_remove(&a);
    list_remove(&a);
    CU_ASSERT_PTR_EQUAL(list_pop(&head), &b);
    CU_ASSERT(list_empty(&head));
}

int suite_util(void)
{
    static const struct unit_case cases[] = {
        {"numbers", numbers}, {"sizes", sizes}, {"strings", strings}, {"lists", lists}};

    return UNIT_SUITE("util", cases);
}
