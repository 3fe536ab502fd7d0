// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tombstone: records, their files, their bound, and a directory that does not take them.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tombstone.h"

#define UUID_A "0123abcd-0000-4000-8000-00000000000a"
#define UUID_B "0123abcd-0000-4000-8000-00000000000b"

static char state[] = "/tmp/tombstone.XXXXXX";

static void path_of(char path[128], const char *name)
{
    snprintf(path, 128, "%s" TOMBSTONE_DIR "%s%s", state, name[0] ? "/" : "", name);
}

static bool exists(const char *name)
{
    char path[128];

    path_of(path, name);
    return !access(path, F_OK);
}

static struct tombstones *begin(void)
{
    struct tombstones *all = NULL;
    char path[128];

    strcpy(state, "/tmp/tombstone.XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(state));
    path_of(path, "");
    CU_ASSERT_EQUAL_FATAL(mkdir(path, 0700), 0);
    CU_ASSERT_EQUAL_FATAL(tombstones_open(state, &all), 0);
    return all;
}

/* Closed, opened again: what is on disk. */
static struct tombstones *again(struct tombstones *all)
{
    tombstones_close(all);
    all = NULL;
    CU_ASSERT_EQUAL_FATAL(tombstones_open(state, &all), 0);
    return all;
}

static void end(struct tombstones *all)
{
    char path[128];

    while (tombstones_count(all))
        CU_ASSERT_EQUAL_FATAL(tombstones_remove(all, tombstones_at(all, 0)->uuid), 0);
    tombstones_close(all);
    path_of(path, "");
    CU_ASSERT_EQUAL(rmdir(path), 0);
    CU_ASSERT_EQUAL(rmdir(state), 0);
}

static void test_uuids(void)
{
    static const char *const bad[] = {"",
                                      "none",
                                      "0123abcd-0000-4000-8000-00000000000",
                                      "0123abcd-0000-4000-8000-00000000000aa",
                                      "0123abcd-0000-4000-8000-00000000000g",
                                      "0123abcd00000-4000-8000-00000000000a",
                                      "0123abcd-0000-4000-8000000000000000a",
                                      "../../../../../../etc/passwd/////////",
                                      "0123abcd-0000-4000-8000-00000000000/"};
    char out[TOMBSTONE_UUID];
    struct tombstones *all = begin();

    CU_ASSERT(tombstone_parse_uuid("0123ABCD-0000-4000-8000-00000000000A", out));
    CU_ASSERT_STRING_EQUAL(out, UUID_A);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CU_ASSERT(!tombstone_parse_uuid(bad[i], out));
        CU_ASSERT_EQUAL(tombstones_add(all, bad[i], 1, 1), -EINVAL);
        CU_ASSERT_PTR_NULL(tombstones_find(all, bad[i]));
        CU_ASSERT_EQUAL(tombstones_remove(all, bad[i]), -ENOENT);
    }
    CU_ASSERT_EQUAL(tombstones_count(all), 0);
    end(all);
}

static void test_records(void)
{
    struct tombstones *all = begin();
    struct stat st;
    char path[128];
    unsigned int fds = unit_fds();

    CU_ASSERT_EQUAL(tombstones_add(all, UUID_A, 7, 1700000000), 1);
    CU_ASSERT_EQUAL(tombstones_add(all, UUID_A, 8, 1800000000), 0);
    CU_ASSERT_EQUAL(tombstones_add(all, "0123ABCD-0000-4000-8000-00000000000A", 8, 1), 0);
    path_of(path, UUID_A);
    CU_ASSERT_EQUAL_FATAL(stat(path, &st), 0);
    CU_ASSERT_EQUAL(st.st_mode & 07777, 0600);
    CU_ASSERT(!exists(".new"));
    all = again(all);
    CU_ASSERT_EQUAL(tombstones_count(all), 1);
    const struct tombstone *found = tombstones_find(all, UUID_A);
    CU_ASSERT_PTR_NOT_NULL_FATAL(found);
    CU_ASSERT_EQUAL(found->domid, 7);
    CU_ASSERT_EQUAL(found->since, 1700000000);
    CU_ASSERT(found->kept);
    CU_ASSERT_PTR_NULL(tombstones_find(all, UUID_B));
    CU_ASSERT_EQUAL(tombstones_remove(all, UUID_A), 0);
    CU_ASSERT_EQUAL(tombstones_remove(all, UUID_A), -ENOENT);
    CU_ASSERT(!exists(UUID_A));
    CU_ASSERT_EQUAL(unit_fds(), fds);
    all = again(all);
    CU_ASSERT_EQUAL(tombstones_count(all), 0);
    end(all);
}

static void make_file(const char *name, const char *text)
{
    char path[128];

    path_of(path, name);
    FILE *file = fopen(path, "we");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    fputs(text, file);
    fclose(file);
}

/* What a file says does not matter, that it is there does. */
static void test_odd_files(void)
{
    static const char upper[] = "0123ABCD-0000-4000-8000-00000000000C";
    struct tombstones *all = begin();
    char path[128];

    make_file(UUID_A, "");
    make_file(UUID_B, "nonsense\n");
    make_file(upper, "1 1\n");
    make_file(".new", "1 1");
    all = again(all);
    CU_ASSERT_EQUAL(tombstones_count(all), 2);
    CU_ASSERT_PTR_NOT_NULL(tombstones_find(all, UUID_A));
    CU_ASSERT_PTR_NOT_NULL(tombstones_find(all, UUID_B));
    path_of(path, upper);
    unlink(path);
    path_of(path, ".new");
    unlink(path);
    end(all);
}

/* No place: held in memory, tried again with the next request, liftable. */
static void test_unwritable(void)
{
    struct tombstones *all = begin();
    char path[128];

    path_of(path, "");
    CU_ASSERT_EQUAL_FATAL(rmdir(path), 0);
    CU_ASSERT_EQUAL(tombstones_add(all, UUID_A, 1, 1), -ENOENT);
    CU_ASSERT_EQUAL(tombstones_add(all, UUID_A, 1, 1), -ENOENT);
    CU_ASSERT_EQUAL(tombstones_add(all, UUID_B, 1, 1), -ENOENT);
    CU_ASSERT_EQUAL(tombstones_count(all), 2);
    CU_ASSERT_PTR_NOT_NULL(tombstones_find(all, UUID_A));
    CU_ASSERT(!tombstones_find(all, UUID_A)->kept);
    CU_ASSERT_EQUAL(tombstones_remove(all, UUID_B), 0);
    CU_ASSERT_EQUAL_FATAL(mkdir(path, 0700), 0);
    CU_ASSERT_EQUAL(tombstones_add(all, UUID_A, 1, 1), 0);
    CU_ASSERT(tombstones_find(all, UUID_A)->kept);
    all = again(all);
    CU_ASSERT_EQUAL(tombstones_count(all), 1);
    end(all);
}

static void test_unreadable(void)
{
    struct tombstones *all = begin(), *none = NULL;
    char path[128];

    path_of(path, "");
    CU_ASSERT_EQUAL_FATAL(rmdir(path), 0);
    unit_capture_start();
    CU_ASSERT_EQUAL(tombstones_open(state, &none), -ENOENT);
    CU_ASSERT_EQUAL(unit_capture_count("cannot be read"), 1);
    unit_capture_end();
    CU_ASSERT_PTR_NULL(none);
    CU_ASSERT_EQUAL_FATAL(mkdir(path, 0700), 0);
    end(all);
}

/* At the bound the oldest gives way, whichever it is. */
static void test_bound(void)
{
    struct tombstones *all = begin();
    char uuid[64];

    for (unsigned int i = 0; i < TOMBSTONE_MOST - 1; i++) {
        snprintf(uuid, sizeof(uuid), "00000000-0000-4000-8000-%012x", i);
        make_file(uuid, "1 1000\n");
    }
    make_file(UUID_B, "1 999\n");
    all = again(all);
    CU_ASSERT_EQUAL(tombstones_count(all), TOMBSTONE_MOST);
    unit_capture_start();
    CU_ASSERT_EQUAL(tombstones_add(all, UUID_A, 1, 2000), 1);
    CU_ASSERT_EQUAL(unit_capture_count(UUID_B), 1);
    unit_capture_end();
    CU_ASSERT_EQUAL(tombstones_count(all), TOMBSTONE_MOST);
    CU_ASSERT_PTR_NULL(tombstones_find(all, UUID_B));
    CU_ASSERT(!exists(UUID_B));
    CU_ASSERT_PTR_NOT_NULL(tombstones_find(all, UUID_A));
    end(all);
}

static const struct unit_case cases[] = {
    {"UUIDs", test_uuids},
    {"records and their files", test_records},
    {"files that are none, or say nothing", test_odd_files},
    {"a directory that takes no files", test_unwritable},
    {"a directory that is not there", test_unreadable},
    {"the oldest gives way", test_bound},
};

int suite_tombstone(void)
{
    return UNIT_SUITE("tombstone", cases);
}
