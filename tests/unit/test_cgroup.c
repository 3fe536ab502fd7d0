// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cgroup: where guests' groups go, and how much memory they get.  Groups of a kernel that has the
 * controllers are seen in the bed's case `sandbox`.
 */
#include "unit.h"

#include <errno.h>
#include <string.h>
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

static const struct unit_case cases[] = {
    {"where groups go", test_place},
    {"how much memory", test_memory},
};

int suite_cgroup(void)
{
    return UNIT_SUITE("cgroup", cases);
}
