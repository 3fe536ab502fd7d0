// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sandbox: who a worker becomes, by files of users of all kinds.  That it does, and what it may do then, is
 * in tests/sim/test_sandbox.sh.
 */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "sandbox.h"
#include "util.h"

#define ROOT  "root:x:0:0:root:/root:/bin/bash\n"
#define OTHER "blkback-ephemd:x:7:7::/:/bin/false\nblkback:x:8:8::/:/bin/false\n"

static const struct {
    const char *users; /* NULL: no such file */
    int err;
    uid_t uid;
    gid_t gid;
} rows[] = {
    {ROOT OTHER "blkback-ephem:x:997:995:Workers:/:/bin/false\n", 0, 997, 995},
    {ROOT "blkback-ephem:x:997:995:Workers:/:/bin/false\n" OTHER, 0, 997, 995},
    {"blkback-ephem:x:997:995:Workers:/:/bin/false", 0, 997, 995},
    /* No account. */
    {NULL, 0, 65534, 65534},
    {"", 0, 65534, 65534},
    {ROOT OTHER, 0, 65534, 65534},
    {"#blkback-ephem:x:997:995:Workers:/:/bin/false\n", 0, 65534, 65534},
    {"blkback-ephem\nblkback-ephem:x:many:995::/:/bin/false\n", 0, 65534, 65534},
    /* Never root. */
    {"blkback-ephem:x:0:995::/:/bin/false\n", -EPERM, 0, 0},
    {"blkback-ephem:x:997:0::/:/bin/false\n", -EPERM, 0, 0},
};

static void put(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");

    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    fputs(text, file);
    fclose(file);
}

static void users(void)
{
    char dir[] = "/tmp/sandbox.XXXXXX", path[64];

    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/passwd", dir);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        uid_t uid = 1;
        gid_t gid = 1;

        if (rows[i].users)
            put(path, rows[i].users);
        int err = sandbox_user(path, &uid, &gid);
        bool right = err == rows[i].err && (err || (uid == rows[i].uid && gid == rows[i].gid));
        if (!right)
            fprintf(stderr, "row %zu: %d, %u:%u\n", i, err, uid, gid);
        CU_ASSERT(right);
        unlink(path);
    }
    CU_ASSERT(sandbox_user(dir, &(uid_t){0}, &(gid_t){0}) < 0);
    rmdir(dir);
}

static const struct unit_case cases[] = {
    {"a worker's user", users},
};

int suite_sandbox(void)
{
    return UNIT_SUITE("sandbox", cases);
}
