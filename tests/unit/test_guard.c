// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * guard: which disks are ours, from facts that are right, odd and forged; what becomes of a domain,
 * over all states it can be in; and what is recorded of it.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "guard_judge.h"
#include "guard_record.h"
#include "util.h"

#define HOME   "/local/domain/"
#define OURS   HOME "0/backend/vbd3/5/51712"
#define PLAIN  HOME "0/backend/vbd/5/51712"
#define THERE  HOME "3/backend/vbd/5/51712"
#define FRONT  HOME "5/device/vbd/51712"
#define SCRIPT "/etc/xen/scripts/block-ephem"

static const char *const no_backends[] = {
    "",
    "/",
    "0",
    "backend/vbd3/5/51712",
    OURS "/",
    OURS "/state",
    " " OURS,
    OURS " ",
    "/" OURS,
    HOME,
    HOME "/backend/vbd/5/51712",
    HOME "0/backend/vbd/5",
    HOME "0/backend/vbd/5/",
    HOME "0/backend//5/51712",
    HOME "0/backend/vbd//51712",
    HOME "00/backend/vbd/5/51712",
    HOME "0/backend/vbd/05/51712",
    HOME "0/backend/vbd/5/051712",
    HOME "-1/backend/vbd/5/51712",
    HOME "32752/backend/vbd/5/51712",
    HOME "0/backend/vbd/32752/51712",
    HOME "0/backend/vbd/5/4294967296",
    HOME "0/backend/vbd/5/51712x",
    HOME "0/Backend/vbd/5/51712",
    HOME "0/backend/../vbd/5/51712",
    HOME "0/device/vbd/5/51712",
    "/Local/domain/0/backend/vbd/5/1",
    HOME "0/backend/a-kind-that-is-too-long/5/51712",
    HOME "4294967296/backend/vbd/5/51712",
};

static void backends(void)
{
    struct guard_backend b;

    CU_ASSERT_EQUAL(guard_parse_backend(OURS, &b), 0);
    CU_ASSERT(!b.host && b.domid == 5 && b.devid == 51712 && !strcmp(b.kind, "vbd3"));
    CU_ASSERT_EQUAL(guard_parse_backend(HOME "32751/backend/virtio_disk/32751/4294967295", &b), 0);
    CU_ASSERT(b.host == 32751 && b.domid == 32751 && b.devid == UINT32_MAX);
    for (size_t i = 0; i < ARRAY_SIZE(no_backends); i++) {
        if (guard_parse_backend(no_backends[i], &b) == -EINVAL)
            continue;
        printf("'%s' is taken for a backend\n", no_backends[i]);
        CU_FAIL("no backend");
    }
}

#define OURS_LIBXL                                                                                 \
    .source = GUARD_LIBXL, .domid = 5, .device = "51712", .backend = OURS, .frontend = FRONT,      \
    .script = SCRIPT, .mode = "w"
#define OURS_BACKEND                                                                               \
    .source = GUARD_BACKEND, .domid = 5, .device = "51712", .backend = OURS, .frontend = FRONT,    \
    .script = SCRIPT, .mode = "w", .from_dom0 = true
#define OURS_FRONTEND .source = GUARD_FRONTEND, .domid = 5, .device = "51712", .backend = OURS

static const struct {
    enum guard_verdict verdict;
    struct guard_fact fact;
} disks[] = {
    {GUARD_OURS, {OURS_LIBXL}},
    {GUARD_OURS, {OURS_BACKEND}},
    {GUARD_OURS, {OURS_FRONTEND}},
    {GUARD_OURS, {OURS_FRONTEND, .in_libxl = true}},
};

/* Each of these differs from ours in what it names, and in nothing else. */
static const struct {
    enum guard_verdict verdict;
    enum guard_source source;
    const char *backend, *frontend, *script, *mode, *device;
} others[] = {
    {GUARD_FOREIGN, GUARD_LIBXL, PLAIN, FRONT, SCRIPT, "w", "51712"},
    {GUARD_READ_ONLY, GUARD_LIBXL, PLAIN, FRONT, SCRIPT, "r", "51712"},
    {GUARD_READ_ONLY, GUARD_LIBXL, THERE, FRONT, "", "r", "51712"},
    {GUARD_FOREIGN, GUARD_LIBXL, THERE, FRONT, SCRIPT, "w", "51712"},
    {GUARD_FOREIGN, GUARD_LIBXL, HOME "3/backend/vbd3/5/51712", FRONT, SCRIPT, "w", "51712"},
    {GUARD_FOREIGN, GUARD_LIBXL, "", FRONT, SCRIPT, "w", "51712"},
    {GUARD_READ_ONLY, GUARD_LIBXL, "", "", "", "r", "51712"},
    {GUARD_FOREIGN, GUARD_LIBXL, OURS, FRONT, "", "w", "51712"},
    {GUARD_FOREIGN, GUARD_LIBXL, OURS, FRONT, "block-ephem", "w", "51712"},
    {GUARD_FOREIGN, GUARD_LIBXL, OURS, FRONT, "/etc/xen/scripts/block", "w", "51712"},
    {GUARD_FOREIGN, GUARD_LIBXL, OURS, FRONT, "/x/not-block-ephem", "w", "51712"},
    {GUARD_FOREIGN, GUARD_LIBXL, OURS, FRONT, SCRIPT "/", "w", "51712"},
    {GUARD_FOREIGN, GUARD_LIBXL, OURS, FRONT, SCRIPT " ", "w", "51712"},
    {GUARD_OURS, GUARD_LIBXL, OURS, FRONT, "/block-ephem", "w", "51712"},
    {GUARD_OURS, GUARD_LIBXL, OURS, FRONT, SCRIPT, "", "51712"},
    {GUARD_FOREIGN, GUARD_LIBXL, OURS, "", SCRIPT, "w", "51712"},
    {GUARD_FOREIGN, GUARD_LIBXL, OURS, HOME "6/device/vbd/51712", SCRIPT, "w", "51712"},
    {GUARD_FOREIGN, GUARD_LIBXL, OURS, HOME "5/device/vbd/51728", SCRIPT, "w", "51712"},
    {GUARD_FOREIGN, GUARD_LIBXL, OURS, FRONT "/", SCRIPT, "w", "51712"},
    {GUARD_FOREIGN, GUARD_LIBXL, OURS, FRONT, SCRIPT, "w", "51728"},
    {GUARD_FOREIGN, GUARD_LIBXL, OURS, FRONT, SCRIPT, "w", "051712"},
    {GUARD_FOREIGN, GUARD_LIBXL, HOME "0/backend/vbd3/6/51712", FRONT, SCRIPT, "w", "51712"},
    {GUARD_FOREIGN, GUARD_LIBXL, PLAIN, FRONT, "", "", "51712"},
    {GUARD_FOREIGN, GUARD_LIBXL, PLAIN, FRONT, "", "rw", "51712"},
    {GUARD_FOREIGN, GUARD_LIBXL, PLAIN, FRONT, "", "r ", "51712"},
    {GUARD_FOREIGN, GUARD_LIBXL, PLAIN, FRONT, "", "R", "51712"},
    {GUARD_FOREIGN, GUARD_LIBXL, PLAIN, FRONT, "", "!", "51712"},
    {GUARD_FOREIGN, GUARD_FRONTEND, THERE, "", "", "r", "51712"},
    {GUARD_FOREIGN, GUARD_FRONTEND, "", "", "", "r", "51712"},
    {GUARD_FOREIGN, GUARD_FRONTEND, HOME "0/backend/floppy/5/51712", "", "", "r", "51712"},
    {GUARD_FOREIGN, GUARD_FRONTEND, HOME "0/backend/vbd/6/51712", "", "", "", "51712"},
    {GUARD_FOREIGN, GUARD_FRONTEND, HOME "0/backend/vbd/5/51728", "", "", "", "51712"},
    {GUARD_OURS, GUARD_FRONTEND, PLAIN, "", "", "", "51712"}, /* judged where it is served */
    {GUARD_OURS, GUARD_FRONTEND, HOME "0/backend/qdisk/5/51712", "", "", "", "51712"},
};

static void fact_of(size_t i, struct guard_fact *fact)
{
    *fact = (struct guard_fact){.source = others[i].source, .domid = 5, .from_dom0 = true};
    snprintf(fact->backend, sizeof(fact->backend), "%s", others[i].backend);
    snprintf(fact->frontend, sizeof(fact->frontend), "%s", others[i].frontend);
    snprintf(fact->script, sizeof(fact->script), "%s", others[i].script);
    snprintf(fact->mode, sizeof(fact->mode), "%s", others[i].mode);
    snprintf(fact->device, sizeof(fact->device), "%s", others[i].device);
}

static void judged(void)
{
    struct guard_fact fact;

    for (size_t i = 0; i < ARRAY_SIZE(disks); i++)
        CU_ASSERT_EQUAL(guard_judge(&disks[i].fact), disks[i].verdict);
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        fact_of(i, &fact);
        if (guard_judge(&fact) != others[i].verdict)
            printf("row %zu is judged as %d\n", i, guard_judge(&fact));
        CU_ASSERT_EQUAL(guard_judge(&fact), others[i].verdict);
        /* A backend directory is judged as libxl's copy of it, */
        if (fact.source != GUARD_LIBXL)
            continue;
        fact.source = GUARD_BACKEND;
        CU_ASSERT_EQUAL(guard_judge(&fact), others[i].verdict);
        /* but is nothing where others than dom0 may write. */
        fact.from_dom0 = false;
        CU_ASSERT_EQUAL(guard_judge(&fact), GUARD_FOREIGN);
    }
    fact = (struct guard_fact){OURS_FRONTEND, .in_libxl = true};
    strcpy(fact.backend, THERE);
    CU_ASSERT_EQUAL(guard_judge(&fact), GUARD_OURS);
}

/* What a storage domain of ours serves; and what says so without being libxl's copy. */
static void stored(void)
{
    struct guard_fact fact = {OURS_LIBXL, .storage = true};

    fact.script[0] = '\0';
    CU_ASSERT_EQUAL(guard_judge(&fact), GUARD_FOREIGN);
    strcpy(fact.backend, THERE);
    CU_ASSERT_EQUAL(guard_judge(&fact), GUARD_OURS);
    strcpy(fact.backend, HOME "3/backend/qdisk/5/51712");
    CU_ASSERT_EQUAL(guard_judge(&fact), GUARD_FOREIGN);
    strcpy(fact.backend, HOME "3/backend/vbd/6/51712");
    CU_ASSERT_EQUAL(guard_judge(&fact), GUARD_FOREIGN);
    strcpy(fact.backend, THERE);
    fact.storage = false;
    CU_ASSERT_EQUAL(guard_judge(&fact), GUARD_FOREIGN);
    fact = (struct guard_fact){OURS_FRONTEND, .storage = true};
    strcpy(fact.backend, THERE);
    CU_ASSERT_EQUAL(guard_judge(&fact), GUARD_FOREIGN);
}

/* No bytes of a script or a path make a disk ours but those that do. */
static void noise(void)
{
    static const char letters[] = "/0123456789abcdehijklmnoprtv-";
    const struct guard_fact right = {OURS_BACKEND};
    uint64_t seed = 7;

    for (unsigned int i = 0; i < 200000; i++) {
        struct guard_fact fact = right;
        char *field = unit_below(&seed, 3) == 0   ? fact.backend
                      : unit_below(&seed, 2) == 0 ? fact.frontend
                                                  : fact.script + strlen(SCRIPT) - 12;
        char *at = field + unit_below(&seed, strlen(field) + 1);
        char old = *at;

        *at = unit_below(&seed, 20) ? letters[unit_below(&seed, sizeof(letters) - 1)] : '\0';
        bool same = *at == old;
        if (same != (guard_judge(&fact) == GUARD_OURS)) {
            printf("'%s' '%s' '%s'\n", fact.backend, fact.frontend, fact.script);
            CU_FAIL("judged wrongly");
            return;
        }
    }
}

static void case_of(unsigned int n, struct guard_case *c)
{
    *c = (struct guard_case){.phase = (enum guard_phase)(n / 32),
                             .guarded = n & 1,
                             .strict = n & 2,
                             .ran = n & 4,
                             .foreign = n & 8,
                             .empty = (n & 24) == 16};
}

/* What must hold whatever the rest is. */
static void decided(void)
{
    struct guard_case c;

    for (unsigned int n = 0; n < 96; n++) {
        case_of(n, &c);
        enum guard_act act = guard_decide(&c);
        bool may_run = act == GUARD_TRY || act == GUARD_FREE ||
                       (c.phase == GUARD_LOOSE && act != GUARD_REFUSE && act != GUARD_HOLD);

        if (!c.guarded)
            CU_ASSERT_EQUAL(act, c.phase == GUARD_LOOSE ? GUARD_LEAVE : GUARD_FREE);
        if (c.guarded && c.foreign && !c.ran)
            CU_ASSERT_FALSE(may_run);
        if (c.guarded && c.foreign && c.strict)
            CU_ASSERT_FALSE(may_run);
        if (c.guarded && c.foreign && c.phase != GUARD_LOOSE)
            CU_ASSERT_EQUAL(act, GUARD_REFUSE);
        if (c.guarded && c.foreign && c.ran && !c.strict && c.phase == GUARD_LOOSE)
            CU_ASSERT_EQUAL(act, GUARD_WARN);
        if (c.guarded && c.phase == GUARD_REFUSED && c.empty)
            CU_ASSERT_FALSE(may_run);
        if (c.guarded && c.phase == GUARD_LOOSE && !c.ran)
            CU_ASSERT_EQUAL(act, GUARD_HOLD);
        if (c.guarded && c.phase == GUARD_HELD && !c.foreign)
            CU_ASSERT_EQUAL(act, GUARD_TRY);
        /* Only who never ran may have a toolstack that is still at it. */
        if (c.guarded && c.phase == GUARD_REFUSED && !c.foreign && !c.empty)
            CU_ASSERT_EQUAL(act, c.ran ? GUARD_FREE : GUARD_TRY);
    }
}

#define LIFE  "12345678-9abc-def0-1234-56789abcdef0"
#define LIFE2 "12345678-9abc-def0-1234-56789abcdef1"

static void recorded(void)
{
    char dir[] = "/var/tmp/ephem-unit-XXXXXX", path[64];

    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
    unsigned int before = unit_fds();
    int fd = guard_record_open(dir);
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_EQUAL(guard_record_open(dir), -EBUSY);
    CU_ASSERT_EQUAL(guard_record_get(fd, 5, LIFE), GUARD_RECORD_NONE);
    for (enum guard_record what = GUARD_RECORD_UNSURE; what > GUARD_RECORD_NONE; what--) {
        CU_ASSERT_EQUAL(guard_record_put(fd, 5, LIFE, what), 0);
        CU_ASSERT_EQUAL(guard_record_get(fd, 5, LIFE), what);
        CU_ASSERT_EQUAL(guard_record_get(fd, 5, LIFE2), GUARD_RECORD_NONE);
        CU_ASSERT_EQUAL(guard_record_get(fd, 6, LIFE), GUARD_RECORD_NONE);
    }
    CU_ASSERT_EQUAL(guard_record_put(fd, 5, LIFE, GUARD_RECORD_NONE), 0);
    CU_ASSERT_EQUAL(guard_record_put(fd, 5, LIFE, GUARD_RECORD_NONE), 0);
    CU_ASSERT_EQUAL(guard_record_get(fd, 5, LIFE), GUARD_RECORD_NONE);
    /* A link is not followed, a cut line says nothing. */
    snprintf(path, sizeof(path), "%s/7", dir);
    CU_ASSERT_EQUAL(symlink("/nonexistent", path), 0);
    CU_ASSERT_EQUAL(guard_record_put(fd, 7, LIFE, GUARD_RECORD_HELD), -ELOOP);
    CU_ASSERT_EQUAL(unlink(path), 0);
    CU_ASSERT_EQUAL(guard_record_put(fd, 7, LIFE, GUARD_RECORD_HELD), 0);
    CU_ASSERT_EQUAL(truncate(path, 20), 0);
    CU_ASSERT_EQUAL(guard_record_get(fd, 7, LIFE), GUARD_RECORD_NONE);
    CU_ASSERT_EQUAL(unlink(path), 0);
    close(fd);
    CU_ASSERT_EQUAL(chmod(dir, 0770), 0);
    CU_ASSERT_EQUAL(guard_record_open(dir), -EPERM);
    CU_ASSERT_EQUAL(rmdir(dir), 0);
    fd = guard_record_open(dir); /* made anew */
    CU_ASSERT(fd >= 0);
    close(fd);
    CU_ASSERT_EQUAL(rmdir(dir), 0);
    CU_ASSERT_EQUAL(symlink("/var/tmp", dir), 0);
    CU_ASSERT(guard_record_open(dir) < 0);
    CU_ASSERT_EQUAL(unlink(dir), 0);
    CU_ASSERT_EQUAL(unit_fds(), before);
}

int suite_guard(void)
{
    static const struct unit_case cases[] = {
        {"backends' paths", backends}, {"disks", judged},
        {"storage domains", stored},   {"noise", noise},
        {"decisions", decided},        {"records", recorded},
    };

    return UNIT_SUITE("guard", cases);
}
