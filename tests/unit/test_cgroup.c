// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cgroup: where guests' groups go, and their limits.  Groups of a kernel that has the
 * controllers are seen in the bed's case `sandbox`.
 */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "cgroup.h"
#include "util.h"

#define MIB (1ull << 20)

static void test_place(void)
{
    char place[CGROUP_PATH], longest[CGROUP_PATH];

    CU_ASSERT_EQUAL(cgroup_place("/sys/fs/cgroup", "/", place), 0);
    CU_ASSERT_STRING_EQUAL(place, "/sys/fs/cgroup/blkback-ephem");
    CU_ASSERT_EQUAL(
        cgroup_place("/sys/fs/cgroup", "/system.slice/blkback-ephemd.service/daemon", place), 0);
    CU_ASSERT_STRING_EQUAL(place, "/sys/fs/cgroup/system.slice/blkback-ephemd.service");
    /* What others manage: a shell, a service of an old systemd, the root's own leaf by another name. */
    CU_ASSERT_EQUAL(cgroup_place("/sys/fs/cgroup", "/user.slice/session-1.scope", place), -EPERM);
    CU_ASSERT_EQUAL(cgroup_place("/sys/fs/cgroup", "/system.slice/x.service", place), -EPERM);
    CU_ASSERT_EQUAL(cgroup_place("/sys/fs/cgroup", "/system.slice/mydaemon", place), -EPERM);
    CU_ASSERT_EQUAL(cgroup_place("/sys/fs/cgroup", "/../outside/daemon", place), -EPERM);
    CU_ASSERT_EQUAL(cgroup_place("/sys/fs/cgroup", "", place), -EPERM);
    memset(longest, 'x', sizeof(longest));
    longest[0] = '/';
    memcpy(longest + sizeof(longest) - 8, "/daemon", 8);
    CU_ASSERT_EQUAL(cgroup_place("/sys/fs/cgroup", longest, place), -ENAMETOOLONG);
}

static uint64_t memory_of(enum wire_pool_kind kind, uint64_t bytes, uint64_t ram, uint64_t room)
{
    const struct wire_pool pool = {.kind = kind, .bytes = bytes, .ram = ram};

    return cgroup_memory(&pool, 4, room);
}

static void test_memory(void)
{
    /* Unknown is unlimited. */
    CU_ASSERT_EQUAL(memory_of(WIRE_POOL_SHARED, 0, 64 * MIB, 0), 0);
    CU_ASSERT_EQUAL(memory_of(WIRE_POOL_DIR, 0, 0, 1024 * 1024 * MIB), (256 + 64 + 8192) * MIB);
    /* The pool's own bound goes before its room. */
    CU_ASSERT_EQUAL(memory_of(WIRE_POOL_DIR, 1024 * MIB, 128 * MIB, 1024 * 1024 * MIB),
                    (256 + 64 + 128 + 8) * MIB);
    CU_ASSERT_EQUAL(memory_of(WIRE_POOL_RAM, 1024 * MIB, 0, 0), (256 + 64 + 8 + 1024 + 128) * MIB);
    /* Tags: 16 bytes for each block of 4096, of which 16 may fit into one's place. */
    struct wire_pool tagged = {
        .kind = WIRE_POOL_DIR, .flags = WIRE_POOL_INTEGRITY, .bytes = 1024 * MIB};
    CU_ASSERT_EQUAL(cgroup_memory(&tagged, 4, 0), (256 + 64 + 8 + 8) * MIB);
    tagged.kind = WIRE_POOL_RAM;
    CU_ASSERT_EQUAL(cgroup_memory(&tagged, 4, 0), (256 + 64 + 16 + 1024 + 128) * MIB);
    tagged.flags |= WIRE_POOL_LZ4;
    CU_ASSERT_EQUAL(cgroup_memory(&tagged, 4, 0), (256 + 64 + 16 + 1024 + 128 + 128) * MIB);
}

static const char *const files[] = {"cpu.weight", "pids.max", "memory.max", "memory.swap.max"};

static void group_file(const char *group, const char *file, char path[64])
{
    snprintf(path, 64, "%s/%s", group, file);
}

static void group_put(const char *group, const char *name, const char *value)
{
    char path[64];

    group_file(group, name, path);
    FILE *file = fopen(path, "we");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    fputs(value, file);
    fclose(file);
}

/* What a kernel has in a new group, or in one whose controllers went and came back. */
static void group_reset(const char *group, const char *without)
{
    static const char *const defaults[] = {"100\n", "max\n", "max\n", "max\n"};
    char path[64];

    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        group_file(group, files[i], path);
        unlink(path);
        if (!without || strcmp(files[i], without))
            group_put(group, files[i], defaults[i]);
    }
}

static void group_remove(const char *group)
{
    char path[64];

    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        group_file(group, files[i], path);
        unlink(path);
    }
    CU_ASSERT_EQUAL(rmdir(group), 0);
}

/* All of the file. */
static void group_has(const char *group, const char *name, const char *value)
{
    char path[64], text[64] = "";

    group_file(group, name, path);
    FILE *file = fopen(path, "re");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    CU_ASSERT_STRING_EQUAL(text, value);
}

static void group_has_all(const char *group, const char *pids, const char *memory)
{
    group_has(group, "cpu.weight", "100");
    group_has(group, "pids.max", pids);
    group_has(group, "memory.max", memory);
    group_has(group, "memory.swap.max", "0");
}

/* The index of a volume of which every second block is discarded: 4 bytes a block and a node for
 * each 512. */
static void test_limits(void)
{
    struct cgroup_limits limits = {.threads = 2, .memory = 480 * MIB};
    char dir[] = "/tmp/cgroup.XXXXXX";

    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
    group_reset(dir, NULL);
    CU_ASSERT_EQUAL(cgroup_limit_at(dir, &limits), 0);
    group_has_all(dir, "7", "503316480");
    limits.volumes = 1024 * 1024 * MIB;
    CU_ASSERT_EQUAL(cgroup_limit_at(dir, &limits), 0);
    group_has_all(dir, "7", "2650800128");
    /* Nothing of what stands there is relied on, nor added to. */
    CU_ASSERT_EQUAL(cgroup_limit_at(dir, &limits), 0);
    group_has_all(dir, "7", "2650800128");
    group_reset(dir, NULL);
    CU_ASSERT_EQUAL(cgroup_limit_at(dir, &limits), 0);
    group_has_all(dir, "7", "2650800128");
    limits.memory = UINT64_MAX;
    CU_ASSERT_EQUAL(cgroup_limit_at(dir, &limits), 0);
    group_has_all(dir, "7", "max");
    group_remove(dir);
}

static void test_unlimited(void)
{
    const struct cgroup_limits limits = {.threads = 32, .volumes = 1024 * 1024 * MIB};
    char dir[] = "/tmp/cgroup.XXXXXX";

    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
    group_reset(dir, NULL);
    CU_ASSERT_EQUAL(cgroup_limit_at(dir, &limits), 0);
    group_has_all(dir, "37", "max");
    group_remove(dir);
}

/* Of a worker of which nothing is noted: what its group has stays. */
static void test_unknown(void)
{
    const struct cgroup_limits known = {.threads = 2, .memory = 480 * MIB};
    const struct cgroup_limits unknown = {.volumes = 1024 * MIB};
    char dir[] = "/tmp/cgroup.XXXXXX";

    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
    group_reset(dir, NULL);
    CU_ASSERT_EQUAL(cgroup_limit_at(dir, &unknown), 0);
    group_has_all(dir, "max\n", "max\n");
    CU_ASSERT_EQUAL(cgroup_limit_at(dir, &known), 0);
    CU_ASSERT_EQUAL(cgroup_limit_at(dir, &unknown), 0);
    group_has_all(dir, "7", "503316480");
    group_remove(dir);
}

static void test_in_use(void)
{
    const struct cgroup_limits limits = {.threads = 2, .memory = 480 * MIB};
    char dir[] = "/tmp/cgroup.XXXXXX", path[64];

    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
    group_reset(dir, NULL);
    group_put(dir, "memory.current", "503316481\n");
    CU_ASSERT_EQUAL(cgroup_limit_at(dir, &limits), 0);
    group_has_all(dir, "7", "max\n");
    group_put(dir, "memory.current", "503316480\n");
    CU_ASSERT_EQUAL(cgroup_limit_at(dir, &limits), 0);
    group_has_all(dir, "7", "503316480");
    group_file(dir, "memory.current", path);
    unlink(path);
    group_remove(dir);
}

/* A kernel need not have swap; a group without the rest is none of ours.  The others are written. */
static void test_missing(void)
{
    static const char *const written[] = {"100", "7", "503316480", "0"};
    const struct cgroup_limits limits = {.threads = 2, .memory = 480 * MIB};
    char dir[] = "/tmp/cgroup.XXXXXX", path[64], other[64];

    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        group_reset(dir, files[i]);
        CU_ASSERT_EQUAL(cgroup_limit_at(dir, &limits),
                        strcmp(files[i], "memory.swap.max") ? -ENOENT : 0);
        for (size_t j = 0; j < ARRAY_SIZE(files); j++)
            if (j != i)
                group_has(dir, files[j], written[j]);
    }
    /* The first failure is told: a folder cannot be written. */
    group_reset(dir, "pids.max");
    group_file(dir, "pids.max", path);
    CU_ASSERT_EQUAL(mkdir(path, 0700), 0);
    group_file(dir, "memory.max", other);
    unlink(other);
    CU_ASSERT_EQUAL(cgroup_limit_at(dir, &limits), -EISDIR);
    rmdir(path);
    group_remove(dir);
    CU_ASSERT_EQUAL(cgroup_limit_at(dir, &limits), -ENOENT);
    cgroup_limit(NULL, 1, 1, &limits);
}

static const struct unit_case cases[] = {
    {"where groups go", test_place},
    {"how much memory", test_memory},
    {"limits are written whole", test_limits},
    {"and no bound", test_unlimited},
    {"what is not known stays", test_unknown},
    {"and memory.max below what is in use", test_in_use},
    {"and what is missing is told", test_missing},
};

int suite_cgroup(void)
{
    return UNIT_SUITE("cgroup", cases);
}
