// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * store: what an operator may write, and every base that must be refused, on real files.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "store.h"
#include "storekit.h"
#include "util.h"

static struct storekit kit;

static void file_make(off_t bytes)
{
    int fd = open(kit.path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);

    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_EQUAL(ftruncate(fd, bytes), 0);
    close(fd);
}

static const struct {
    const char *spec, *path;
    bool blank;
    uint64_t size;
} good_specs[] = {
    {"/a", "/a", false, 0},
    {"cow:/a", "/a", false, 0},
    {"cow:/a b,c", "/a b,c", false, 0},
    {"/a,size=1G", "/a", false, 1ull << 30},
    {"cow:/a,size=512", "/a", false, 512},
    {"blank:512", "", true, 512},
    {"blank:1T", "", true, 1ull << 40},
    {"blank:16T", "", true, 1ull << 44},
    {"/a,size=16T", "/a", false, 1ull << 44},
};
static const char *const bad_specs[] = {
    "",
    "a",
    "cow:",
    "cow:a",
    "blank:",
    "blank:0",
    "blank:511",
    "blank:1k",
    "blank:-512",
    "blank:/dev",
    "/a,size=",
    "/a,size=0",
    "/a,size=1",
    "/a,size=1G,size=2G",
    ",size=1G",
    "cow:cow:/a",
    "ram:1G",
    "blank:99999999999999999999999999999999",
    "cow:,size=1G",
    "\n",
    "CoW:/a",
    "blank:17T",
    "blank:17592186044928",
    "/a,size=17T",
    "b\xc3\xa4se",
};

static void specs(void)
{
    struct store_spec spec;
    char text[STORE_TEXT];

    for (size_t i = 0; i < ARRAY_SIZE(good_specs); i++) {
        CU_ASSERT_EQUAL(store_parse_volume(good_specs[i].spec, &spec, text), 0);
        CU_ASSERT_STRING_EQUAL(spec.path, good_specs[i].path);
        CU_ASSERT_EQUAL(spec.blank, good_specs[i].blank);
        CU_ASSERT_EQUAL(spec.size, good_specs[i].size);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad_specs); i++) {
        memset(text, 0, sizeof(text));
        CU_ASSERT_EQUAL(store_parse_volume(bad_specs[i], &spec, text), -EINVAL);
        CU_ASSERT(storekit_is_line(text));
    }
    char *lengthy = calloc(1, 3 * PATH_MAX);
    memset(lengthy, '/', 2 * PATH_MAX);
    CU_ASSERT_EQUAL(store_parse_volume(lengthy, &spec, text), -EINVAL);
    CU_ASSERT(storekit_is_line(text));
    free(lengthy);
}

static int try_base(const char *name, uint64_t size, struct store_base *base)
{
    struct store_spec spec = {.size = size};
    char text[STORE_TEXT] = "";

    copy_string(spec.path, sizeof(spec.path), name);
    *base = (struct store_base){.fd = -1};
    unsigned int before = unit_fds();
    int err = store_open_base(&spec, base, text);
    if (err) {
        CU_ASSERT(storekit_is_line(text));
        CU_ASSERT(strstr(text, "base ") == text);
        CU_ASSERT_EQUAL(unit_fds(), before);
    }
    return err;
}

static void bad_bases(void)
{
    struct store_base base;

    storekit_open(&kit);
    CU_ASSERT_EQUAL(try_base(kit.path, 0, &base), -ENOENT);
    file_make(0);
    CU_ASSERT_EQUAL(try_base(kit.path, 0, &base), -EINVAL);
    file_make(513);
    CU_ASSERT_EQUAL(try_base(kit.path, 0, &base), -EINVAL);
    file_make(511);
    CU_ASSERT_EQUAL(try_base(kit.path, 512, &base), -EINVAL);
    char below[160];
    snprintf(below, sizeof(below), "%s/x", kit.path);
    CU_ASSERT_EQUAL(try_base(below, 0, &base), -ENOTDIR);
    CU_ASSERT_EQUAL(try_base(kit.dir, 0, &base), -EISDIR);
    CU_ASSERT_EQUAL(try_base("/dev/null", 0, &base), -EINVAL);
    unlink(kit.path);
    CU_ASSERT_EQUAL(mkfifo(kit.path, 0600), 0);
    CU_ASSERT_EQUAL(try_base(kit.path, 0, &base), -EINVAL);
    unlink(kit.path);
    CU_ASSERT_EQUAL(symlink("file", kit.path), 0);
    CU_ASSERT_EQUAL(try_base(kit.path, 0, &base), -ELOOP);
    storekit_close(&kit);
}

static void unreadable(void)
{
    struct store_base base;

    storekit_open(&kit);
    file_make(4096);
    chmod(kit.path, 0);
    if (geteuid() == 0)
        CU_ASSERT_EQUAL(seteuid(65534), 0);
    chmod(kit.dir, 0755);
    CU_ASSERT_EQUAL(try_base(kit.path, 0, &base), -EACCES);
    if (getuid() == 0)
        CU_ASSERT_EQUAL(seteuid(0), 0);
    storekit_close(&kit);
}

static void writers(void)
{
    struct store_base base, second;

    storekit_open(&kit);
    file_make(8192);
    int fd = open(kit.path, O_RDWR | O_CLOEXEC);
    CU_ASSERT_EQUAL(try_base(kit.path, 0, &base), -EBUSY);
    close(fd);
    fd = open(kit.path, O_RDONLY | O_CLOEXEC);
    CU_ASSERT_EQUAL(flock(fd, LOCK_EX), 0);
    CU_ASSERT_EQUAL(try_base(kit.path, 0, &base), -EBUSY);
    close(fd);
    CU_ASSERT_EQUAL_FATAL(try_base(kit.path, 0, &base), 0);
    CU_ASSERT_EQUAL_FATAL(try_base(kit.path, 0, &second), 0);
    fd = open(kit.path, O_RDONLY | O_CLOEXEC);
    CU_ASSERT_EQUAL(flock(fd, LOCK_EX | LOCK_NB), -1);
    close(fd);
    close(base.fd);
    close(second.fd);
    storekit_close(&kit);
}

/* Neither root nor the owner: no lease, so only what has no write bit can be trusted. */
static void strangers_base(void)
{
    struct store_base base;

    if (geteuid() != 0)
        return;
    storekit_open(&kit);
    file_make(4096);
    chmod(kit.dir, 0755);
    chmod(kit.path, 0644);
    CU_ASSERT_EQUAL(seteuid(65534), 0);
    CU_ASSERT_EQUAL(try_base(kit.path, 0, &base), -EACCES);
    CU_ASSERT_EQUAL(seteuid(0), 0);
    chmod(kit.path, 0444);
    CU_ASSERT_EQUAL(seteuid(65534), 0);
    CU_ASSERT_EQUAL(try_base(kit.path, 0, &base), 0);
    CU_ASSERT_EQUAL(seteuid(0), 0);
    if (base.fd >= 0)
        close(base.fd);
    storekit_close(&kit);
}

static void good_bases(void)
{
    static const struct {
        uint64_t asked, base, bytes;
    } rows[] = {{0, 8704, 8704}, {512, 512, 512}, {1 << 20, 8704, 1 << 20}};
    struct store_spec blank = {.blank = true, .size = 4096};
    struct store_base base;
    char text[STORE_TEXT];

    storekit_open(&kit);
    file_make(8704);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        CU_ASSERT_EQUAL_FATAL(try_base(kit.path, rows[i].asked, &base), 0);
        CU_ASSERT_EQUAL(base.base_bytes, rows[i].base);
        CU_ASSERT_EQUAL(base.bytes, rows[i].bytes);
        int flags = fcntl(base.fd, F_GETFL);
        CU_ASSERT_EQUAL(flags & O_ACCMODE, O_RDONLY);
        CU_ASSERT(flags & O_DIRECT);
        CU_ASSERT_FALSE(flags & O_NONBLOCK);
        CU_ASSERT(fcntl(base.fd, F_GETFD) & FD_CLOEXEC);
        close(base.fd);
    }
    CU_ASSERT_EQUAL(store_open_base(&blank, &base, text), 0);
    CU_ASSERT(base.fd == -1 && base.base_bytes == 0 && base.bytes == 4096);
    storekit_close(&kit);
}

int suite_store(void)
{
    static const struct unit_case cases[] = {
        {"volume specs", specs},
        {"bad bases", bad_bases},
        {"unreadable base", unreadable},
        {"another's base", strangers_base},
        {"writers", writers},
        {"good bases", good_bases},
    };

    return UNIT_SUITE("store", cases);
}
