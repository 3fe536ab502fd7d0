// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * storekit: folders are in /var/tmp, which has O_DIRECT and O_TMPFILE where /tmp may not.
 */
#include "storekit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "store.h"
#include "unit.h"

void storekit_open(struct storekit *kit)
{
    strcpy(kit->dir, "/var/tmp/ephem-unit-XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(kit->dir));
    snprintf(kit->path, sizeof(kit->path), "%s/file", kit->dir);
}

void storekit_close(const struct storekit *kit)
{
    unlink(kit->path);
    rmdir(kit->path);
    CU_ASSERT_EQUAL(rmdir(kit->dir), 0);
}

bool storekit_is_line(const char *text)
{
    size_t n = strnlen(text, STORE_TEXT);

    if (n < 10 || n >= STORE_TEXT)
        return false;
    for (size_t i = 0; i < n; i++)
        if (text[i] < ' ' || text[i] > '~')
            return false;
    return true;
}

int storekit_pool(const char *text_spec, struct store_pool *pool, const char *words)
{
    struct store_pool_spec spec;
    char text[STORE_TEXT] = "";
    unsigned int before = unit_fds();

    CU_ASSERT_EQUAL_FATAL(store_parse_pool(text_spec, &spec, text), 0);
    int err = store_open_pool(&spec, pool, text);
    if (err) {
        CU_ASSERT(storekit_is_line(text));
        CU_ASSERT(strstr(text, "pool ") == text);
        CU_ASSERT_PTR_NOT_NULL(strstr(text, words));
        CU_ASSERT_EQUAL(unit_fds(), before);
        if (!words[0])
            printf("unexpected: %s\n", text);
    }
    return err;
}
