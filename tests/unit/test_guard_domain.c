// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * guard_domain with a xenstore and a hypervisor that can fail (guardkit): whatever fails, a marked
 * domain with a plain disk never runs, no pause is given up that is not ours, and what is recorded is
 * true or unsure.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "guard_domain.h"
#include "guard_record.h"
#include "guardkit.h"
#include "util.h"

static struct guard guard;
static struct guard_domain *domain;
static char etc[] = "/var/tmp/ephem-unit-XXXXXX", run[64];

static void rules(const char *content)
{
    char path[96];

    snprintf(path, sizeof(path), "%s/blkback-ephem.conf", etc);
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_EQUAL(write(fd, content, strlen(content)), (ssize_t)strlen(content));
    close(fd);
}

static void disk(const char *kind, const char *script)
{
    char path[80];

    snprintf(path, sizeof(path), "/local/domain/0/backend/%s/5/51712", kind);
    store_put("/libxl/5/device/vbd/51712/backend", path);
    store_put("/libxl/5/device/vbd/51712/frontend", "/local/domain/5/device/vbd/51712");
    store_put("/libxl/5/device/vbd/51712/script", script);
    store_put("/libxl/5/device/vbd/51712/mode", "w");
    store_put(strcat(path, "/frontend"), "/local/domain/5/device/vbd/51712");
    *strrchr(path, '/') = '\0';
    store_put(strcat(path, "/script"), script);
    *strrchr(path, '/') = '\0';
    store_put(strcat(path, "/mode"), "w");
}

static void ours(void)
{
    disk("vbd3", "/etc/xen/scripts/block-ephem");
}

static void plain(void)
{
    disk("vbd", "/etc/xen/scripts/block");
}

static void unplug(void)
{
    store_drop("/libxl/5");
    store_drop("/local/domain/0/backend");
}

static void meet(void)
{
    struct guard_info info = {.domid = GUARDKIT_DOMID, .uuid = GUARDKIT_UUID, .ran = xen.ran};

    domain = guard_domain_new(&guard, &info);
    CU_ASSERT_PTR_NOT_NULL_FATAL(domain);
}

static void begin(const char *content)
{
    unit_capture_start();
    strcpy(etc, "/var/tmp/ephem-unit-XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(etc));
    snprintf(run, sizeof(run), "%s/run", etc);
    memset(&store, 0, sizeof(store));
    memset(&xen, 0, sizeof(xen));
    xen.toolstack = 1;
    guard = (struct guard){.config_dir = etc, .records = guard_record_open(run)};
    list_init(&guard.domains);
    CU_ASSERT_EQUAL_FATAL(loop_open(&guard.loop), 0);
    rules(content);
    store_put("/local/domain/5/name", "web");
    meet();
}

static void end(void)
{
    char command[96];

    guard_domain_gone(domain);
    CU_ASSERT_EQUAL(guard_record_get(guard.records, GUARDKIT_DOMID, GUARDKIT_UUID),
                    GUARD_RECORD_NONE);
    CU_ASSERT_EQUAL(store.watches, 0);
    CU_ASSERT(list_empty(&guard.domains));
    loop_close(guard.loop);
    close(guard.records);
    snprintf(command, sizeof(command), "rm -r %s", etc);
    CU_ASSERT_EQUAL(system(command), 0);
    unit_capture_end();
}

static bool look(void)
{
    bool there = guard_domain_look(domain);
    enum guard_record record = guard_record_get(guard.records, GUARDKIT_DOMID, GUARDKIT_UUID);

    /* What is recorded is so, unless it says that it may not be. */
    if (record == GUARD_RECORD_NONE)
        CU_ASSERT_EQUAL(xen.ours, 0);
    if (record == GUARD_RECORD_HELD || record == GUARD_RECORD_REFUSED)
        CU_ASSERT_EQUAL(xen.ours, 1);
    CU_ASSERT(xen.ours <= 1);
    return there;
}

/* The toolstack has done. */
static void done(void)
{
    xen.toolstack--;
    xen_runs();
}

#define MARKED "[guard]\nephemeral=on\n"

static void good(void)
{
    begin(MARKED);
    CU_ASSERT(look());
    CU_ASSERT_EQUAL(xen.ours, 1);
    ours();
    CU_ASSERT(look() && look());
    CU_ASSERT(xen.ours == 1 && !xen.ran);
    done();
    CU_ASSERT(!xen.ran);
    CU_ASSERT(look());
    CU_ASSERT(xen.ran && !xen.ours);
    CU_ASSERT(look());
    CU_ASSERT(!xen.ours);
    end();
}

/* Each question to xenstore fails once, in each of three looks: it never runs, and in the end is refused. */
static void store_fails(void)
{
    unsigned int n = 1;
    bool failed = true;

    for (; failed; n++) {
        begin(MARKED);
        plain();
        store.fails = n;
        CU_ASSERT(look());
        done();
        CU_ASSERT(look() && look());
        failed = !store.fails;
        CU_ASSERT_FALSE(xen.ran);
        CU_ASSERT_EQUAL(domain->phase, GUARD_REFUSED);
        end();
    }
    CU_ASSERT(n > 30);
}

static void xen_fails(void)
{
    begin(MARKED);
    plain();
    xen.pause_fails = true;
    CU_ASSERT(look());
    CU_ASSERT_EQUAL(domain->phase, GUARD_LOOSE);
    xen.pause_fails = false;
    CU_ASSERT(look()); /* it tries again */
    CU_ASSERT_EQUAL(domain->phase, GUARD_REFUSED);
    unplug();
    ours();
    xen.unpause_fails = true;
    CU_ASSERT(look());
    CU_ASSERT(xen.ours == 1 && domain->phase == GUARD_HELD);
    xen.unpause_fails = false;
    xen.ask_fails = true;
    CU_ASSERT(look());
    CU_ASSERT_EQUAL(xen.ours, 1);
    xen.ask_fails = false;
    done();
    CU_ASSERT(look());
    CU_ASSERT(xen.ran && !xen.ours);
    end();
}

/* Another look is due by itself, as long as something is uncertain. */
static void is_due(void)
{
    begin(MARKED);
    plain();
    CU_ASSERT(look());
    CU_ASSERT(domain->timer.due > 0);
    domain->dirty = false;
    while (!domain->dirty)
        CU_ASSERT_EQUAL_FATAL(loop_turn(guard.loop, 2000), 0);
    end();
}

static void unrecorded(void)
{
    begin(MARKED);
    CU_ASSERT(look());
    ours();
    done();
    /* The record cannot be written: the pause is kept. */
    close(guard.records);
    guard.records = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CU_ASSERT(guard_domain_look(domain));
    CU_ASSERT(xen.ours == 1 && !xen.ran);
    close(guard.records);
    guard.records = guard_record_open(run);
    CU_ASSERT(look());
    CU_ASSERT(xen.ran);
    end();
}

static void again(void)
{
    begin(MARKED);
    plain();
    CU_ASSERT(look());
    guard_domain_leave(domain);
    meet();
    CU_ASSERT_EQUAL(domain->phase, GUARD_REFUSED);
    CU_ASSERT(look());
    CU_ASSERT_EQUAL(xen.ours, 1);
    unplug();
    ours();
    CU_ASSERT(look());
    CU_ASSERT_EQUAL(domain->phase, GUARD_HELD);
    guard_domain_leave(domain);
    meet();
    CU_ASSERT_EQUAL(domain->phase, GUARD_HELD);
    done();
    CU_ASSERT(look());
    CU_ASSERT(xen.ran);
    end();
}

/* Somebody gave up our pause: the domain is stopped again, at once. */
static void by_hand(void)
{
    begin(MARKED);
    plain();
    CU_ASSERT(look());
    xen.toolstack = xen.ours = 0;
    xen.ran = true;
    CU_ASSERT(look());
    CU_ASSERT_EQUAL(xen.ours, 1);
    CU_ASSERT(look());
    CU_ASSERT_EQUAL(xen.ours, 1);
    rules(MARKED "enforce=off\n");
    CU_ASSERT(look());
    CU_ASSERT_EQUAL(xen.ours, 0);
    end();
}

static void gone(void)
{
    begin(MARKED);
    plain();
    CU_ASSERT(look());
    xen.dying = true;
    CU_ASSERT_FALSE(guard_domain_look(domain));
    xen.gone = true;
    CU_ASSERT_FALSE(guard_domain_look(domain));
    end();
}

/* Lines of the log name a domain only as dom0 does, and in letters. */
static void told(void)
{
    begin(MARKED);
    plain();
    store.count--;
    store_put("/local/domain/0/backend/vbd/5/51712/mode", "w");
    snprintf(store.nodes[0].value, sizeof(store.nodes[0].value), "a\nb");
    CU_ASSERT(look() && look() && look());
    CU_ASSERT_EQUAL(unit_capture_count("guest 5 (a?b) is marked as ephemeral and has writable "
                                       "disks that are not: xvda (vbd): paused before it ran"),
                    1);
    store.nodes[0].theirs = true;
    CU_ASSERT(look());
    CU_ASSERT_EQUAL(unit_capture_count("guest 5 is marked as ephemeral"), 1);
    end();
}

int suite_guard_domain(void)
{
    static const struct unit_case cases[] = {
        {"a good domain", good},
        {"xenstore fails", store_fails},
        {"the hypervisor fails", xen_fails},
        {"looks are due", is_due},
        {"records fail", unrecorded},
        {"another guard", again},
        {"unpaused by hand", by_hand},
        {"gone", gone},
        {"what is told", told},
    };

    return UNIT_SUITE("guard_domain", cases);
}
