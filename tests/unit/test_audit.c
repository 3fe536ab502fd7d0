// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * audit_proc: what the kernel, the daemon and a toolstack write, whole, cut at every byte, and wrong.
 * What is missing must never be read as 0.
 */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "audit_proc.h"

#define ROWS(array) (sizeof(array) / sizeof((array)[0]))

static const char status[] =
    "Name:\tblkback-ephem\nTracerPid:\t0\nUid:\t65534\t65534\t65534\t1\n"
    "VmSwap:\t      20 kB\nCapEff:\t000001ffffffffff\nflags:\t02140000\n"
    "Bad:\tx1\nMixed:\t12x\nNone:\nNeg:\t-1\nLong:\t99999999999999999999999\n";

static void test_fields(void)
{
    uint64_t value, ids[4];
    char text[16];

    CU_ASSERT_EQUAL(proc_field(status, "Name", text, sizeof(text)), 0);
    CU_ASSERT_STRING_EQUAL(text, "blkback-ephem");
    CU_ASSERT_EQUAL(proc_field(status, "Name", text, 4), -EINVAL);
    CU_ASSERT_EQUAL(proc_field(status, "ame", text, sizeof(text)), -ENOENT);
    CU_ASSERT(!proc_number(status, "VmSwap", &value) && value == 20);
    CU_ASSERT(!proc_number(status, "TracerPid", &value) && value == 0);
    CU_ASSERT(!proc_hex(status, "CapEff", &value) && value == 0x1ffffffffff);
    CU_ASSERT(!proc_octal(status, "flags", &value) && value == 02140000);
    CU_ASSERT_EQUAL(proc_number(status, "Vm", &value), -ENOENT);
    CU_ASSERT_EQUAL(proc_number(status, "Bad", &value), -EINVAL);
    CU_ASSERT_EQUAL(proc_number(status, "Mixed", &value), -EINVAL);
    CU_ASSERT_EQUAL(proc_number(status, "None", &value), -EINVAL);
    CU_ASSERT_EQUAL(proc_number(status, "Neg", &value), -EINVAL);
    CU_ASSERT_EQUAL(proc_number(status, "Long", &value), -EINVAL);
    CU_ASSERT_EQUAL(proc_number("", "VmSwap", &value), -ENOENT);
    CU_ASSERT(!proc_numbers(status, "Uid", ids, 4) && ids[0] == 65534 && ids[3] == 1);
    CU_ASSERT_EQUAL(proc_numbers(status, "Uid", ids, 3), -EINVAL);
    CU_ASSERT_EQUAL(proc_numbers(status, "TracerPid", ids, 4), -EINVAL);
}

static void test_stat(void)
{
    static const char good[] =
        "22870 (a) S 1 (b) R 7545 7596 7596 0 -1 4194560 982 0 1 0 1 1 0 0 20 "
        "0 4 0 6699967 4334178304 2208\n";
    uint64_t parent, started;
    char state, cut[sizeof(good)];

    CU_ASSERT_EQUAL(proc_stat(good, &state, &parent, &started), 0);
    CU_ASSERT(state == 'R' && parent == 7545 && started == 6699967);
    for (size_t len = 0; len < strlen(good) - 23; len++) {
        snprintf(cut, sizeof(cut), "%.*s", (int)len, good);
        CU_ASSERT_EQUAL(proc_stat(cut, &state, &parent, &started), -EINVAL);
    }
}

static void test_limits(void)
{
    static const char text[] = "Limit                     Soft Limit           Hard Limit\n"
                               "Max core file size        0                    unlimited  bytes\n"
                               "Max locked memory         8388608              8388608    bytes\n"
                               "Max odd\nMax bad         1 x\n";
    uint64_t soft, hard;

    CU_ASSERT(!proc_limit(text, "Max core file size", &soft, &hard) && !soft &&
              hard == PROC_UNLIMITED);
    CU_ASSERT(!proc_limit(text, "Max locked memory", &soft, &hard) && hard == 8388608);
    CU_ASSERT_EQUAL(proc_limit(text, "Max core", &soft, &hard), -EINVAL);
    CU_ASSERT_EQUAL(proc_limit(text, "Max odd", &soft, &hard), -ENOENT);
    CU_ASSERT_EQUAL(proc_limit(text, "Max bad", &soft, &hard), -EINVAL);
    CU_ASSERT_EQUAL(proc_limit("", "Max odd", &soft, &hard), -ENOENT);
}

#define FIELDS(rss, swap)                                                                          \
    "Size: 8 kB\nRss: " rss " kB\nPss: 1 kB\nSwap: " swap " kB\nSwapPss: 9 kB\n"
#define HEAP     "7f7a2a536000-7f7a2a636000 rw-s 00000000 00:0e 58 /secretmem (deleted)\n"
#define KEY      "7f7a2b8d6000-7f7a2b8d7000 r--s 00000000 00:0e 59 /secretmem (deleted)\n"
#define OLD_HEAP "7f7a2a536000-7f7a2a636000 rw-s 00000000 00:01 60 /memfd:secret (deleted)\n"
#define OLD_KEY  "7f7a2b8d6000-7f7a2b8d7000 r--s 00000000 00:01 61 /memfd:secret (deleted)\n"
#define NAMELESS "7f7a2a536000-7f7a2a636000 rw-p 00000000 00:00 0 \n"
#define OTHER    "7f7a2a536000-7f7a2a636000 rw-s 00000000 00:01 60 /memfd:secretary (deleted)\n"
#define ARENA    "7f7a29512000-7f7a29d12000 rw-s 00000000 00:01 52 /memfd:arena (deleted)\n"
#define FILE_MAP "55a400000000-55a400001000 r--p 00000000 fe:00 77 /lib/x y\n"
#define LOCKED   "VmFlags: rd wr sh mr mw me ms lo dc dd \n"
#define UNLOCKED "VmFlags: rd wr mr mw me ac \n"

static void test_memory(void)
{
    static const struct {
        const char *text;
        struct proc_memory is;
    } rows[] = {
        {HEAP FIELDS("300", "0") LOCKED, {.secret_heaps = 1}},
        {HEAP FIELDS("300", "0") LOCKED KEY FIELDS("4", "0") LOCKED,
         {.secret_heaps = 1, .secret_keys = 1}},
        {OLD_HEAP FIELDS("1", "0") LOCKED OLD_KEY FIELDS("1", "0") LOCKED,
         {.locked_heaps = 1, .locked_keys = 1}},
        /* not locked, in dumps, or in children */
        {OLD_HEAP FIELDS("7", "0") "VmFlags: rd wr dc dd\n", {.unlocked = 0}},
        {OLD_HEAP FIELDS("7", "0") "VmFlags: rd wr lo dc\n", {.unlocked = 0}},
        {OLD_HEAP FIELDS("7", "0") "VmFlags: rd wr lo dd\n", {.unlocked = 0}},
        {NAMELESS FIELDS("7", "0") "VmFlags: rd wr dc dd\n", {.unlocked = 7}},
        {NAMELESS FIELDS("7", "0") LOCKED, {.unlocked = 0}},
        {OTHER FIELDS("7", "0") LOCKED, {.unlocked = 0}},
        {OLD_KEY FIELDS("4", "0") UNLOCKED, {.unlocked = 0}},
        {FILE_MAP FIELDS("4", "0") LOCKED, {.unlocked = 0}},
        {ARENA FIELDS("9", "0") LOCKED, {.arenas = 1}},
        {ARENA FIELDS("9", "5") UNLOCKED, {.arenas = 1, .bare_arenas = 1, .swapped = 5}},
        {ARENA FIELDS("9", "5") "VmFlags: lo\n", {.arenas = 1, .bare_arenas = 1, .swapped = 5}},
        {ARENA FIELDS("9", "5") "VmFlags: dd\n", {.arenas = 1, .bare_arenas = 1, .swapped = 5}},
        {ARENA FIELDS("9", "5") "VmFlags: lox xdd\n",
         {.arenas = 1, .bare_arenas = 1, .swapped = 5}},
        {FILE_MAP FIELDS("1", "3") UNLOCKED ARENA FIELDS("1", "4") LOCKED,
         {.arenas = 1, .swapped = 7}},
    };
    static const char *const wrong[] = {"",
                                        "Swap: 1 kB\n",
                                        HEAP,
                                        HEAP FIELDS("1", "1"),
                                        HEAP HEAP LOCKED,
                                        HEAP FIELDS("x", "1") LOCKED,
                                        HEAP FIELDS("1", "") LOCKED,
                                        "nonsense here\n" LOCKED,
                                        "2-1 rw-p 0 00:00 0\n" LOCKED};
    struct proc_memory got;

    for (size_t i = 0; i < ROWS(rows); i++) {
        CU_ASSERT_EQUAL(proc_memory(rows[i].text, &got), 0);
        CU_ASSERT(!memcmp(&got, &rows[i].is, sizeof(got)));
    }
    for (size_t i = 0; i < ROWS(wrong); i++)
        CU_ASSERT_EQUAL(proc_memory(wrong[i], &got), -EINVAL);
}

static void test_words(void)
{
    char value[8];

    CU_ASSERT(!proc_word("a=1 b a=22 c=3\n", "a", value, sizeof(value)) && !strcmp(value, "22"));
    CU_ASSERT(!proc_word("a=1 b a=22 c=3\n", "b", value, sizeof(value)) && !*value);
    CU_ASSERT(!proc_word("a=1 b a=22 c=3\n", "c", value, sizeof(value)) && !strcmp(value, "3"));
    CU_ASSERT_EQUAL(proc_word("xa=1 ab=1\n", "a", value, sizeof(value)), -ENOENT);
    CU_ASSERT_EQUAL(proc_word("", "a", value, sizeof(value)), -ENOENT);
    CU_ASSERT_EQUAL(proc_word("a=12345678", "a", value, sizeof(value)), -EINVAL);
}

static void test_swaps(void)
{
    char text[] = "Filename\tType\n/dev/a\\040b   partition 1 0 -2\n/x file\t2 0 -3\n/y partition",
         *at = text;
    char heading[] = "Filename", other[] = "\n/x file 2 0 -3\n", *head = heading, *none = other;
    const char *path;
    bool block;

    CU_ASSERT_EQUAL(proc_swaps(&at), 0);
    CU_ASSERT(!proc_swap(&at, &path, &block) && !strcmp(path, "/dev/a b") && block);
    CU_ASSERT(!proc_swap(&at, &path, &block) && !strcmp(path, "/x") && !block);
    CU_ASSERT(!proc_swap(&at, &path, &block) && !strcmp(path, "/y") && block);
    CU_ASSERT_EQUAL(proc_swap(&at, &path, &block), -ENOENT);
    CU_ASSERT(!proc_swaps(&head) && proc_swap(&head, &path, &block) == -ENOENT);
    CU_ASSERT_EQUAL(proc_swaps(&none), -EINVAL);
}

static void test_mounts(void)
{
    char text[] =
        "64 43 0:40 / / ro,nosuid - tmpfs none rw,size=4k\n"
        "65 64 253:7 /d /mnt\\040x\\134 rw,relatime shared:1 master:2 - ext4 /dev/v\\011a rw\n"
        "66 64 253:8 / /ro rw - ext4 /dev/vdb ro\n"
        "67 64 253:9 / /over ro - ext4  rw,errors=continue\n"
        "68 64 0:41 / /odd rorw - btrfs /dev/vdc rorw\n";
    static const char *const wrong[] = {"1 2 3 / / rw - ext4 x rw\n",
                                        "1 2 3:4x / / rw - ext4 x rw\n",
                                        "64 43 0:40 / / ro\n",
                                        "64 43 0:40 / / ro - ext4\n",
                                        "64 43 0:40 / / ro - ext4 x\n",
                                        "64 43 0:40 / / ro - ext4 x rw",
                                        "\n64 43 0:40 / / ro - ext4 x rw\n"};
    struct proc_mount mount;
    char *at = text;

    CU_ASSERT(!proc_mount(&at, &mount) && !strcmp(mount.type, "tmpfs") && !mount.writable &&
              mount.fs_writable && !strcmp(mount.place, "/"));
    CU_ASSERT(!proc_mount(&at, &mount) && mount.major == 253 && mount.minor == 7 && mount.writable);
    CU_ASSERT(!strcmp(mount.place, "/mnt x\\") && !strcmp(mount.source, "/dev/v\ta"));
    CU_ASSERT(!proc_mount(&at, &mount) && !mount.writable && !mount.fs_writable &&
              mount.minor == 8 && !strcmp(mount.source, "/dev/vdb"));
    CU_ASSERT(!proc_mount(&at, &mount) && !mount.writable && mount.fs_writable && !*mount.source);
    CU_ASSERT(!proc_mount(&at, &mount) && mount.writable && mount.fs_writable);
    CU_ASSERT_EQUAL(proc_mount(&at, &mount), -ENOENT);
    for (size_t i = 0; i < ROWS(wrong); i++) {
        char *bad = strdup(wrong[i]), *from = bad;

        CU_ASSERT_EQUAL(proc_mount(&from, &mount), -EINVAL);
        free(bad);
    }
}

/* However long a name or the options are. */
static void test_long_mounts(void)
{
    static const int lengths[] = {200, 255, 256, 2000, 2100, 5000};
    static char text[20100], filler[5001];
    struct proc_mount mount;

    for (size_t i = 0; i < ROWS(lengths); i++) {
        char *at = text;

        snprintf(filler, sizeof(filler), "%0*d", lengths[i], 0);
        snprintf(text, sizeof(text),
                 "1 2 0:3 / / rw - overlay none rw,lowerdir=%s\n"
                 "4 5 253:6 / /%s rw,a=%s - ext4 /dev/%s rw\n",
                 filler, filler, filler, filler);
        CU_ASSERT(!proc_mount(&at, &mount) && !strcmp(mount.type, "overlay"));
        CU_ASSERT(!proc_mount(&at, &mount) && mount.writable && mount.minor == 6 &&
                  !strcmp(mount.place + 1, filler) && !strcmp(mount.source + 5, filler));
        CU_ASSERT_EQUAL(proc_mount(&at, &mount), -ENOENT);
    }
}

static void test_notes(void)
{
    static const char *const wrong[] = {"",
                                        "1 2 u",
                                        "1 2\n",
                                        "0 2 u\n",
                                        "1 0 u\n",
                                        "99999999999 2 u\n",
                                        "1 2 u 3\n",
                                        "1 2 u 0 v\n",
                                        "1 2 u 3 v w\n",
                                        "1 2 u\nmore\n",
                                        "x 2 u\n"};
    struct proc_note note;

    CU_ASSERT(!proc_note("7596 6699967 991c690e\n", &note) && note.pid == 7596 &&
              note.started == 6699967 && !strcmp(note.uuid, "991c690e") && !note.stubdom);
    CU_ASSERT(!proc_note("1 2 u 3 v\n", &note) && note.stubdom == 3 &&
              !strcmp(note.stubdom_uuid, "v"));
    for (size_t i = 0; i < ROWS(wrong); i++)
        CU_ASSERT_EQUAL(proc_note(wrong[i], &note), -EINVAL);
}

static void test_bases(void)
{
    static const struct {
        const char *params, *base;
    } rows[] = {
        {"aio:/a b", "/a b"},         {"/a", "/a"},          {"aio:cow:/a:b", "/a:b"},
        {"aio:/a,b,size=1G", "/a,b"}, {"aio:blank:16M", ""}, {"blank:1G", ""},
    };
    char base[16];

    for (size_t i = 0; i < ROWS(rows); i++) {
        CU_ASSERT_EQUAL(proc_base(rows[i].params, base, sizeof(base)), 0);
        CU_ASSERT_STRING_EQUAL(base, rows[i].base);
    }
    CU_ASSERT_EQUAL(proc_base("", base, sizeof(base)), -EINVAL);
    CU_ASSERT_EQUAL(proc_base("aio:relative", base, sizeof(base)), -EINVAL);
    CU_ASSERT_EQUAL(proc_base("/0123456789abcdef", base, sizeof(base)), -EINVAL);
}

/* Whatever bytes come: an answer, and nothing read beyond them (for AddressSanitizer). */
static void test_rubbish(void)
{
    static const char bytes[] = "0123456789abcdef-: \n\t()=,/rwpslodcxVmFlagsSwpRe\\\x80\xff";
    uint64_t seed = 7, a, b, four[4];
    struct proc_memory memory;
    struct proc_mount mount;
    struct proc_note note;
    char state, word[8];

    for (int round = 0; round < 20000; round++) {
        size_t len = unit_below(&seed, 120);
        char *text = malloc(len + 1);
        char *at = text;

        for (size_t i = 0; i < len; i++)
            text[i] = bytes[unit_below(&seed, sizeof(bytes) - 1)];
        text[len] = '\0';
        proc_stat(text, &state, &a, &b);
        proc_limit(text, "0", &a, &b);
        proc_numbers(text, "a", four, 4);
        proc_memory(text, &memory);
        proc_word(text, "a", word, sizeof(word));
        proc_note(text, &note);
        proc_base(text, word, sizeof(word));
        while (!proc_mount(&at, &mount))
            CU_ASSERT_FATAL(at <= text + len);
        free(text);
    }
    CU_PASS("nothing was read beyond the text");
}

int suite_audit(void)
{
    static const struct unit_case cases[] = {
        {"fields", test_fields},   {"stat", test_stat},
        {"limits", test_limits},   {"memory", test_memory},
        {"words", test_words},     {"swaps", test_swaps},
        {"mounts", test_mounts},   {"long mounts", test_long_mounts},
        {"notes", test_notes},     {"bases", test_bases},
        {"rubbish", test_rubbish},
    };

    return UNIT_SUITE("audit", cases);
}
