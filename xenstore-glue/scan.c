// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * scan: list, mark, sweep.  When xenstored's connection breaks nothing is swept: workers go on
 * serving, and the daemon tries to connect again every second.
 */
#include "scan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "control.h"
#include "life.h"
#include "log.h"
#include "paths.h"
#include "vbd.h"

#define SCAN_IDLE   10000 /* ms between scans that nothing asked for */
#define SCAN_BURST  200   /* events a guest may cause at once */
#define SCAN_RATE   50    /* a second */
#define SCAN_SECOND 1000

/* How busy one frontend domain has been; lives while it has vbds. */
struct scan_domain {
    struct list link;
    uint32_t domid;
    uint32_t tokens;
    uint64_t filled; /* ms */
    bool throttled, warned;
};

struct scan {
    struct glue *glue;
    struct loop_source source; /* watches */
    struct loop_timer soon;
    struct loop_timer second; /* throttled domains; xenstored gone */
    struct list domains;
    uint64_t last;
    uint64_t count;
    bool wanted;
};

void glue_changed(struct glue *glue)
{
    struct scan *scan = glue->scan;
    uint64_t now = loop_now();

    if (!scan || !glue->xs || scan->wanted)
        return;
    scan->wanted = true;
    loop_timer_set(glue->loop, &scan->soon,
                   now - scan->last >= SCAN_GAP ? 0 : (uint32_t)(scan->last + SCAN_GAP - now));
}

static struct scan_domain *scan_domain(struct scan *scan, uint32_t domid, bool make)
{
    list_for_each(it, &scan->domains)
    {
        struct scan_domain *domain = container_of(it, struct scan_domain, link);

        if (domain->domid == domid)
            return domain;
    }
    struct scan_domain *domain = make ? calloc(1, sizeof(*domain)) : NULL;
    if (!domain)
        return NULL;
    domain->domid = domid;
    domain->tokens = SCAN_BURST;
    domain->filled = loop_now();
    list_append(&scan->domains, &domain->link);
    return domain;
}

static void scan_watch_domain(struct scan *scan, uint32_t domid, bool on)
{
    list_for_each(it, &scan->glue->vbds)
    {
        struct vbd *vbd = container_of(it, struct vbd, link);

        if (vbd->id.domid == domid)
            vbd_watch(vbd, on);
    }
}

/* A frontend's state was written; true when that may cause a scan now. */
static bool scan_charge(struct scan *scan, uint32_t domid)
{
    struct scan_domain *domain = scan_domain(scan, domid, true);
    uint64_t now = loop_now();

    if (!domain)
        return true;
    if (domain->throttled)
        return false;
    uint64_t earned = (now - domain->filled) * SCAN_RATE / 1000;
    if (earned) {
        domain->tokens = (uint32_t)min_u64(domain->tokens + earned, SCAN_BURST);
        domain->filled = now;
    }
    if (domain->tokens) {
        domain->tokens--;
        return true;
    }
    if (!domain->warned)
        log_warn("guest %u keeps rewriting its disks' states: looking once a second", domid);
    domain->warned = domain->throttled = true;
    scan_watch_domain(scan, domid, false);
    if (!scan->second.link.next || list_empty(&scan->second.link))
        loop_timer_set(scan->glue->loop, &scan->second, SCAN_SECOND);
    return false;
}

static int scan_connect(struct scan *scan);

static void scan_second(struct loop_timer *timer)
{
    struct scan *scan = container_of(timer, struct scan, second);

    if (!scan->glue->xs) {
        if (scan_connect(scan))
            loop_timer_set(scan->glue->loop, timer, SCAN_SECOND);
        else
            log_info("xenstored is back");
        return;
    }
    list_for_each(it, &scan->domains)
    {
        struct scan_domain *domain = container_of(it, struct scan_domain, link);

        if (!domain->throttled)
            continue;
        /* Setting a watch fires it once: those events are ours, not the guest's. */
        domain->throttled = false;
        domain->tokens = SCAN_RATE;
        domain->filled = loop_now();
    }
    glue_changed(scan->glue);
}

static void scan_lost(struct scan *scan)
{
    log_error("xenstored's connection broke: guests are served on, nothing can be attached");
    loop_remove(&scan->source);
    loop_timer_stop(&scan->soon);
    scan->wanted = false;
    xenstore_close(scan->glue->xs);
    scan->glue->xs = NULL;
    list_for_each(it, &scan->glue->vbds) container_of(it, struct vbd, link)->watched = false;
    loop_timer_set(scan->glue->loop, &scan->second, SCAN_SECOND);
}

static void scan_ready(struct loop_source *source, uint32_t events)
{
    struct scan *scan = container_of(source, struct scan, source);
    char token[PATH_ROOM];
    bool want = false;
    uint32_t domid;

    (void)events;
    for (int i = 0; i < 256 && xenstore_event(scan->glue->xs, token, sizeof(token)); i++)
        if (sscanf(token, "/local/domain/%u/", &domid) != 1 || scan_charge(scan, domid))
            want = true;
    if (xenstore_lost(scan->glue->xs))
        scan_lost(scan);
    else if (want)
        glue_changed(scan->glue);
}

/* Hands off: a throttled domain, or one whose worker has not said yet what it holds. */
static bool scan_skips(struct scan *scan, uint32_t domid)
{
    const struct scan_domain *domain = scan_domain(scan, domid, false);
    const struct life *life = life_find(scan->glue, life_guest_of(scan->glue, domid));

    return (domain && domain->throttled) || (life && life->phase == LIFE_RESUMING);
}

static bool scan_is_ours(struct glue *glue, const struct path_vbd *id)
{
    static const char ending[] = "/block-ephem";
    char path[PATH_ROOM], script[XENSTORE_VALUE];

    path_backend(path, id, "script");
    if (xenstore_read(glue->xs, path, script, sizeof(script)))
        return false;
    size_t len = strlen(script);
    return len >= sizeof(ending) - 1 && !strcmp(script + len - (sizeof(ending) - 1), ending);
}

/* The domid was given to another guest while we still hold the earlier one's life. */
static bool scan_is_reused(struct glue *glue, uint32_t domid)
{
    uint32_t guest = life_guest_of(glue, domid);
    const struct life *life = life_find(glue, guest);
    char uuid[LIFE_UUID];

    if (!life || life_identify(glue, guest, uuid) || !strcmp(uuid, "none"))
        return false;
    return strcmp(uuid, life->uuid) != 0;
}

static void scan_mark_domain(struct glue *glue, uint32_t domid)
{
    char path[PATH_ROOM];
    char **names;
    unsigned int count;

    snprintf(path, sizeof(path), PATH_BACKEND "/%u", domid);
    if (xenstore_list(glue->xs, path, &names, &count))
        return;
    for (unsigned int i = 0; i < count; i++) {
        struct path_vbd id = {.domid = domid};

        if (path_parse_id(names[i], UINT32_MAX, &id.devid) || !scan_is_ours(glue, &id))
            continue;
        struct vbd *vbd = vbd_find(glue, &id);
        if (!vbd)
            vbd = vbd_new(glue, &id);
        if (!vbd)
            continue;
        vbd->seen = true;
        vbd_watch(vbd, true);
    }
    free(names);
}

/* False when the listing cannot be trusted: then nothing may be swept. */
static bool scan_mark(struct scan *scan)
{
    struct glue *glue = scan->glue;
    char **names;
    unsigned int count;

    list_for_each(it, &glue->vbds) container_of(it, struct vbd, link)->seen = false;
    int err = xenstore_list(glue->xs, PATH_BACKEND, &names, &count);
    if (err)
        return err == -ENOENT;
    for (unsigned int i = 0; i < count; i++) {
        uint32_t domid;

        if (!path_parse_id(names[i], PATH_DOMIDS - 1, &domid) && !scan_skips(scan, domid) &&
            !scan_is_reused(glue, domid))
            scan_mark_domain(glue, domid);
    }
    free(names);
    return !xenstore_lost(glue->xs);
}

static void scan_sweep_domains(struct scan *scan)
{
    list_for_each_safe(it, tmp, &scan->domains)
    {
        struct scan_domain *domain = container_of(it, struct scan_domain, link);
        bool used = false;

        list_for_each(at, &scan->glue->vbds) if (container_of(at, struct vbd, link)->id.domid ==
                                                 domain->domid) used = true;
        if (used)
            continue;
        list_remove(&domain->link);
        free(domain);
    }
}

static void scan_run(struct loop_timer *timer)
{
    struct scan *scan = container_of(timer, struct scan, soon);
    struct glue *glue = scan->glue;

    scan->wanted = false;
    if (scan_mark(scan)) {
        list_for_each_safe(it, tmp, &glue->vbds)
        {
            struct vbd *vbd = container_of(it, struct vbd, link);

            if (!scan_skips(scan, vbd->id.domid) && !xenstore_lost(glue->xs))
                vbd_step(vbd, vbd->seen);
        }
        scan_sweep_domains(scan);
        scan->count++;
    }
    scan->last = loop_now();
    if (xenstore_lost(glue->xs)) {
        scan_lost(scan);
        return;
    }
    control_scanned(glue->control);
    if (!scan->wanted)
        loop_timer_set(glue->loop, timer, SCAN_IDLE);
}

static int scan_connect(struct scan *scan)
{
    struct glue *glue = scan->glue;
    int err = xenstore_open(&glue->xs);

    if (err)
        return err;
    err = xenstore_watch(glue->xs, PATH_BACKEND, "backend");
    if (!err) {
        int refused = xenstore_watch(glue->xs, "@releaseDomain", "release");
        if (refused)
            log_info("no notice of dying domains (%s): relying on the toolstack",
                     strerror(-refused));
        scan->source.fd = xenstore_fd(glue->xs);
        err = loop_add(glue->loop, &scan->source, EPOLLIN);
    }
    if (err) {
        xenstore_close(glue->xs);
        glue->xs = NULL;
        return err;
    }
    glue_changed(glue);
    return 0;
}

int scan_open(struct glue *glue)
{
    struct scan *scan = calloc(1, sizeof(*scan));

    if (!scan)
        return -ENOMEM;
    scan->glue = glue;
    scan->source.ready = scan_ready;
    scan->soon.fire = scan_run;
    scan->second.fire = scan_second;
    list_init(&scan->domains);
    glue->scan = scan;
    int err = scan_connect(scan);
    if (err)
        scan_close(glue);
    return err;
}

void scan_close(struct glue *glue)
{
    struct scan *scan = glue->scan;

    if (!scan)
        return;
    loop_remove(&scan->source);
    loop_timer_stop(&scan->soon);
    loop_timer_stop(&scan->second);
    list_for_each_safe(it, tmp, &scan->domains) free(container_of(it, struct scan_domain, link));
    xenstore_close(glue->xs);
    glue->xs = NULL;
    glue->scan = NULL;
    free(scan);
}

uint64_t scan_count(const struct scan *scan)
{
    return scan->count;
}
