// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * store_pool: what an operator may name as a pool, and what must be refused, on real files.
 * Devices are in test_store_device.c.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "store.h"
#include "storekit.h"
#include "util.h"

static struct storekit kit;

static const struct {
    const char *spec;
    enum wire_pool_kind kind;
    const char *path;
    bool force, lz4;
    uint64_t bytes;
} good[] = {
    {"dir:/a", WIRE_POOL_DIR, "/a", false, false, 0},
    {"dir:/a,b c", WIRE_POOL_DIR, "/a,b c", false, false, 0},
    {"block:/dev/x", WIRE_POOL_BLOCK, "/dev/x", false, false, 0},
    {"block:/dev/x,force", WIRE_POOL_BLOCK, "/dev/x", true, false, 0},
    {"block:/dev/x,shared", WIRE_POOL_SHARED, "/dev/x", false, false, 0},
    {"block:/dev/x,shared,force", WIRE_POOL_SHARED, "/dev/x", true, false, 0},
    {"block:/dev/x,force,shared", WIRE_POOL_SHARED, "/dev/x", true, false, 0},
    {"ram:8M", WIRE_POOL_RAM, "", false, false, 8 << 20},
    {"ram:2G,lz4", WIRE_POOL_RAM, "", false, true, 2ull << 30},
};

static const char *const bad[] = {
    "",
    "d",
    "dir:",
    "dir:x",
    "/var/tmp",
    "tape:/x",
    "DIR:/x",
    "block:",
    "block:x",
    "block:,force",
    "block:/x,",
    "block:/x,lz4",
    "block:/x,forced",
    "block:/x,force,force",
    "block:/x,shared,shared",
    "block:/x,shared, force",
    "ram:",
    "ram:0",
    "ram:8388607",
    "ram:17T",
    "ram:1g",
    "ram:1G,",
    "ram:1G,lz4,lz4",
    "ram:1G,zstd",
    "ram:1G,force",
    "ram:,lz4",
    "ram:99999999999999999999999999999999999999999M",
    "ram:8M\n",
    "dir:",
};

static void specs(void)
{
    struct store_pool_spec spec;
    char text[STORE_TEXT];

    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        CU_ASSERT_EQUAL(store_parse_pool(good[i].spec, &spec, text), 0);
        CU_ASSERT_EQUAL(spec.kind, good[i].kind);
        CU_ASSERT_STRING_EQUAL(spec.path, good[i].path);
        CU_ASSERT_EQUAL(spec.force, good[i].force);
        CU_ASSERT_EQUAL(spec.lz4, good[i].lz4);
        CU_ASSERT_EQUAL(spec.bytes, good[i].bytes);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        memset(text, 0, sizeof(text));
        CU_ASSERT_EQUAL(store_parse_pool(bad[i], &spec, text), -EINVAL);
        CU_ASSERT(storekit_is_line(text));
        CU_ASSERT(strstr(text, "pool ") == text);
    }
    char *lengthy = calloc(1, 3 * PATH_MAX);
    memset(lengthy, '/', 2 * PATH_MAX);
    memcpy(lengthy, "block:", 6);
    CU_ASSERT_EQUAL(store_parse_pool(lengthy, &spec, text), -EINVAL);
    CU_ASSERT(storekit_is_line(text));
    memcpy(lengthy, "//dir:", 6);
    CU_ASSERT_EQUAL(store_parse_pool(lengthy + 2, &spec, text), -EINVAL);
    CU_ASSERT(storekit_is_line(text));
    free(lengthy);
}

static void directories(void)
{
    struct store_pool pool;
    struct stat st;
    char spec[80];

    CU_ASSERT_EQUAL(storekit_pool("dir:/nonexistent", &pool, "create it"), -ENOENT);
    CU_ASSERT_EQUAL(storekit_pool("dir:/etc/passwd", &pool, "not a directory"), -ENOTDIR);
    CU_ASSERT(storekit_pool("dir:/proc", &pool, "choose a") < 0);
    storekit_open(&kit);
    snprintf(spec, sizeof(spec), "dir:%s", kit.dir);
    CU_ASSERT_EQUAL_FATAL(storekit_pool(spec, &pool, ""), 0);
    CU_ASSERT_EQUAL(pool.bytes, 0);
    CU_ASSERT_EQUAL(fstat(pool.fd, &st), 0);
    CU_ASSERT_EQUAL(st.st_nlink, 0);
    CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
    CU_ASSERT(fcntl(pool.fd, F_GETFL) & O_DIRECT);
    close(pool.fd);
    storekit_close(&kit);
}

static void memory(void)
{
    struct store_pool pool;

    CU_ASSERT_EQUAL(storekit_pool("ram:9M,lz4", &pool, ""), 0);
    CU_ASSERT(pool.fd == -1 && pool.bytes == 9 << 20);
}

/* What is no device. */
static void not_devices(void)
{
    struct store_pool pool;
    char spec[160];

    storekit_open(&kit);
    snprintf(spec, sizeof(spec), "block:%s", kit.path);
    CU_ASSERT_EQUAL(storekit_pool(spec, &pool, "check the path"), -ENOENT);
    close(open(kit.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    CU_ASSERT_EQUAL(storekit_pool(spec, &pool, "not a block device"), -ENOTBLK);
    unlink(kit.path);
    CU_ASSERT_EQUAL(mkfifo(kit.path, 0600), 0);
    CU_ASSERT_EQUAL(storekit_pool(spec, &pool, "not a block device"), -ENOTBLK);
    snprintf(spec, sizeof(spec), "block:%s", kit.dir);
    CU_ASSERT_EQUAL(storekit_pool(spec, &pool, "not a block device"), -ENOTBLK);
    CU_ASSERT_EQUAL(storekit_pool("block:/dev/null", &pool, "not a block device"), -ENOTBLK);
    storekit_close(&kit);
}

int suite_store_pool(void)
{
    static const struct unit_case cases[] = {
        {"pool specs", specs},
        {"directories", directories},
        {"memory", memory},
        {"not devices", not_devices},
    };

    return UNIT_SUITE("store_pool", cases);
}
