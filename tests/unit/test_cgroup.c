// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cgroup: where guests' groups go, and how much memory they get.  Groups of a kernel that has the
 * controllers are seen in the bed's case `sandbox`.
 */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cgroup.h"

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
}

/* memory.max holds `before`; after `bytes` of volumes more it holds `after`. */
static int raised(const char *before, uint64_t bytes, const char *after)
{
    char dir[] = "/tmp/cgroup.XXXXXX", path[64], text[64] = "";

    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/memory.max", dir);
    FILE *file = fopen(path, "we");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    fputs(before, file);
    fclose(file);
    int err = cgroup_raise_at(dir, bytes);
    file = fopen(path, "re");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    CU_ASSERT_PTR_NOT_NULL(fgets(text, sizeof(text), file));
    fclose(file);
    CU_ASSERT_STRING_EQUAL(text, after);
    unlink(path);
    rmdir(dir);
    return err;
}

/* The index of a volume of which every second block is discarded: 4 bytes a block and a node for
 * each 512. */
static void test_volumes(void)
{
    CU_ASSERT_EQUAL(raised("503316480\n", 1024 * 1024 * MIB, "2650800128"), 0);
    CU_ASSERT_EQUAL(raised("max\n", 1024 * 1024 * MIB, "max\n"), 0);
    CU_ASSERT_EQUAL(raised("nonsense\n", MIB, "nonsense\n"), -EINVAL);
    CU_ASSERT_EQUAL(raised("18446744073709551615\n", MIB, "18446744073709551615\n"), -EINVAL);
    CU_ASSERT_EQUAL(cgroup_raise_at("/tmp/cgroup.is.not.there", MIB), -ENOENT);
    cgroup_raise(NULL, 1, 1, MIB);
}

static const struct unit_case cases[] = {
    {"where groups go", test_place},
    {"how much memory", test_memory},
    {"more for volumes", test_volumes},
};

int suite_cgroup(void)
{
    return UNIT_SUITE("cgroup", cases);
}
