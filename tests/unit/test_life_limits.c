// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * life_limits: what is noted of a worker's limits, what of a note is believed, and how far a worker's
 * word goes.  Files of control groups are in test_cgroup.c and tests/sim/test_limits.sh.
 */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "kin.h"
#include "life.h"
#include "policy.h"
#include "util.h"
#include "vbd.h"

#define GIB     ((uint64_t)1 << 30)
#define ZEROS16 " 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0"
#define ZEROS   ZEROS16 ZEROS16 ZEROS16 " 0 0 0 0 0 0 0 0 0 0 0 0 0 0"

static char note_path[LIFE_PATH], note_text[1024];
static int notes;
static struct policy policy;
static struct glue glue = {.policy = &policy};

/* Take the places of life_start's and worker's. */
void life_path(const struct life *life, const char *suffix, char out[LIFE_PATH])
{
    (void)life;
    CU_ASSERT_STRING_EQUAL(suffix, "limits");
    snprintf(out, LIFE_PATH, "%s", note_path);
}

int life_note(const struct life *life, const char *suffix, const char *text)
{
    (void)life;
    CU_ASSERT_STRING_EQUAL(suffix, "limits");
    snprintf(note_text, sizeof(note_text), "%s", text);
    notes++;
    return 0;
}

static bool first = true;

bool kin_is_first(const struct vbd *vbd)
{
    (void)vbd;
    return first;
}

pid_t worker_pid(const struct worker *worker)
{
    (void)worker;
    return 1;
}

static struct life confined(void)
{
    struct life life = {.glue = &glue, .domid = 7, .threads = 2};

    life.pool = (struct wire_pool){.kind = WIRE_POOL_RAM, .bytes = GIB};
    CU_ASSERT_EQUAL(life_confine(&life, -1), 0);
    return life;
}

/* The life that the next daemon has of a worker with this note; NULL: without any. */
static struct life found(const char *text)
{
    struct life life = {.glue = &glue, .domid = 7};

    strcpy(note_path, "/tmp/life_limits.XXXXXX");
    int fd = mkstemp(note_path);
    CU_ASSERT_FATAL(fd >= 0);
    if (text) {
        CU_ASSERT_EQUAL(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    } else {
        unlink(note_path);
    }
    close(fd);
    life_confine_again(&life);
    unlink(note_path);
    return life;
}

static void test_note(void)
{
    struct life life = confined(), next;
    char line[sizeof(note_text) + 1];

    CU_ASSERT_STRING_EQUAL(note_text, "2 1518338048 0 0" ZEROS);
    notes = 0;
    life_allow(&life, 1, 1);
    CU_ASSERT_EQUAL(notes, 1);
    CU_ASSERT_EQUAL(life.limits.volumes, GIB);
    life_allow(&life, 1, GIB);
    CU_ASSERT_EQUAL(notes, 1);
    life_allow(&life, 1, GIB + 1);
    life_allow(&life, 0, STORE_MOST);
    /* Another one in its place, smaller. */
    life_allow(&life, 1, 512);
    CU_ASSERT_EQUAL(notes, 3);
    CU_ASSERT_EQUAL(life.limits.volumes, STORE_MOST + 2 * GIB);
    CU_ASSERT_STRING_EQUAL(note_text, "2 1518338048 16384 2" ZEROS);
    snprintf(line, sizeof(line), "%s\n", note_text);
    next = found(line);
    CU_ASSERT_EQUAL(next.limits.threads, 2);
    CU_ASSERT_EQUAL(next.limits.memory, life.limits.memory);
    CU_ASSERT_EQUAL(next.limits.volumes, life.limits.volumes);
    life_allow(&next, 1, 2 * GIB);
    CU_ASSERT_EQUAL(notes, 3);
    life_allow(&next, 1, 3 * GIB);
    CU_ASSERT_STRING_EQUAL(note_text, "2 1518338048 16384 3" ZEROS);
}

/* The longest line there can be is read, too. */
static void test_longest(void)
{
    char line[1024] = "16 18446744073709551615";

    for (int id = 0; id < WIRE_VOLUMES; id++)
        strcat(line, " 16384");
    strcat(line, "\n");
    const struct life life = found(line);
    CU_ASSERT_EQUAL(life.limits.threads, 16);
    CU_ASSERT_EQUAL(life.limits.memory, UINT64_MAX);
    CU_ASSERT_EQUAL(life.limits.volumes, WIRE_VOLUMES * STORE_MOST);
}

static void test_unusable(void)
{
    static const char *const bad[] = {
        NULL,
        "",
        "\n",
        "2 5",
        "2 5\n",
        "2 5 0\n",
        "2 5 0" ZEROS "\n",     /* one too few */
        "2 5 0 0 0" ZEROS "\n", /* one too many */
        "2 5 0 0" ZEROS,        /* cut off */
        "2 5 0 0" ZEROS " \n",
        " 2 5 0 0" ZEROS "\n",
        "2  5 0 0" ZEROS "\n",
        "-1 5 0 0" ZEROS "\n",
        "2 -1 0 0" ZEROS "\n",
        "2 5 -1 0" ZEROS "\n",
        "2 5 0x1 0" ZEROS "\n",
        "0 5 0 0" ZEROS "\n",
        "17 5 0 0" ZEROS "\n",
        "4294967298 5 0 0" ZEROS "\n",
        "2 18446744073709551616 0 0" ZEROS "\n",
        "2 5 16385 0" ZEROS "\n",
    };

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct life life = found(bad[i]);

        notes = 0;
        life_allow(&life, 0, 5 * GIB);
        CU_ASSERT_EQUAL(notes, 0);
        CU_ASSERT_EQUAL(life.limits.threads, 0);
        CU_ASSERT_EQUAL(life.limits.memory, 0);
        CU_ASSERT_EQUAL(life.limits.volumes, 0);
    }
    CU_ASSERT_EQUAL(found("2 5 0 0" ZEROS "\n").limits.threads, 2);
}

static uint64_t allowed(struct vbd *vbd)
{
    life_allow_growth(vbd);
    return vbd->life->limits.volumes;
}

static void test_growth(void)
{
    struct life life = confined();
    struct vbd vbd = {.life = &life, .volume_id = 3, .volume = VBD_READY, .bytes = 9 * GIB};
    char base[] = "/tmp/life_limits.XXXXXX";

    int fd = mkstemp(base);
    CU_ASSERT_FATAL(fd >= 0);
    snprintf(vbd.params, sizeof(vbd.params), "aio:%s", base);
    CU_ASSERT_EQUAL(allowed(&vbd), 0);
    CU_ASSERT_EQUAL(ftruncate(fd, 2 * GIB), 0);
    CU_ASSERT_EQUAL(allowed(&vbd), 2 * GIB);
    CU_ASSERT_EQUAL(ftruncate(fd, 12 * GIB), 0);
    CU_ASSERT_EQUAL(allowed(&vbd), 9 * GIB);
    /* What it names is not compared with xenstore yet; or there is no volume. */
    vbd.bytes = 11 * GIB;
    vbd.adopted = true;
    CU_ASSERT_EQUAL(allowed(&vbd), 9 * GIB);
    vbd.adopted = false;
    vbd.volume = VBD_NO_VOLUME;
    vbd.volume_id = -1;
    CU_ASSERT_EQUAL(allowed(&vbd), 9 * GIB);
    vbd.volume = VBD_READY;
    /* A second door onto a volume that counts. */
    vbd.volume_id = 4;
    first = false;
    CU_ASSERT_EQUAL(allowed(&vbd), 9 * GIB);
    first = true;
    /* Volumes with a size of their own, and bases that are gone. */
    vbd.volume_id = 4;
    snprintf(vbd.params, sizeof(vbd.params), "aio:%s,size=1G", base);
    CU_ASSERT_EQUAL(allowed(&vbd), 10 * GIB);
    vbd.volume_id = 5;
    snprintf(vbd.params, sizeof(vbd.params), "blank:1G");
    CU_ASSERT_EQUAL(allowed(&vbd), 11 * GIB);
    snprintf(vbd.params, sizeof(vbd.params), "%s", base);
    CU_ASSERT_EQUAL(unlink(base), 0);
    CU_ASSERT_EQUAL(allowed(&vbd), 11 * GIB);
    snprintf(vbd.params, sizeof(vbd.params), "nonsense");
    CU_ASSERT_EQUAL(allowed(&vbd), 11 * GIB);
    close(fd);
}

static const struct unit_case cases[] = {
    {"limits that rise are noted and found again", test_note},
    {"the longest note", test_longest},
    {"a note that is none says nothing", test_unusable},
    {"a volume counts as far as its base has grown", test_growth},
};

int suite_life_limits(void)
{
    return UNIT_SUITE("life_limits", cases);
}
