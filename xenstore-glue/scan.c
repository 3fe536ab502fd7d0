// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * scan: list, mark, sweep.  When xenstored's connection breaks nothing is swept: workers go on
 * serving, and the daemon tries to connect again every second.  A xenstored that comes back without
 * our claim has forgotten everything: what a worker serves is not swept for being missing there.
 */
#include "scan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "claim.h"
#include "control.h"
#include "domains.h"
#include "driver.h"
#include "life.h"
#include "log.h"
#include "mark.h"
#include "paths.h"
#include "suspend.h"
#include "vbd.h"

#define SCAN_IDLE   10000 /* ms between scans that nothing asked for */
#define SCAN_SECOND 1000

struct scan {
    struct glue *glue;
    struct loop_source source; /* watches */
    struct loop_timer soon;
    struct loop_timer second; /* throttled domains; xenstored gone */
    struct list domains;
    uint64_t last, last_whole; /* ms */
    uint64_t count;
    bool wanted; /* a scan, */
    bool whole;  /* of everything */
    bool told;   /* why xenstored cannot be used again */
};

static void scan_want(struct scan *scan)
{
    uint64_t now = loop_now();

    if (scan->wanted)
        return;
    scan->wanted = true;
    loop_timer_set(scan->glue->loop, &scan->soon,
                   now - scan->last >= SCAN_GAP ? 0 : (uint32_t)(scan->last + SCAN_GAP - now));
}

void glue_changed(struct glue *glue)
{
    if (!glue->scan || !glue->xs)
        return;
    glue->scan->whole = true;
    scan_want(glue->scan);
}

void glue_touched(struct glue *glue, uint32_t domid)
{
    if (!glue->scan || !glue->xs)
        return;
    struct domain *domain = domain_find(&glue->scan->domains, domid, true);
    if (domain)
        domain->dirty = true;
    else
        glue->scan->whole = true;
    scan_want(glue->scan);
}

static void scan_unwatch_domain(struct scan *scan, uint32_t domid)
{
    struct life *life;

    list_for_each(it, &scan->glue->vbds)
    {
        struct vbd *vbd = container_of(it, struct vbd, link);

        if (vbd->id.domid == domid)
            vbd_watch(vbd, false);
    }
    life = life_find(scan->glue, domid);
    if (life)
        suspend_stop(life);
}

/* The guest has written, or may have.  False: too often. */
static bool scan_charge(struct scan *scan, uint32_t domid)
{
    struct domain *domain = domain_find(&scan->domains, domid, true);
    bool throttled = domain && domain->throttled;

    if (!domain || domain_charge(domain)) {
        glue_touched(scan->glue, domid);
        return true;
    }
    if (throttled)
        return false;
    scan_unwatch_domain(scan, domid);
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
    domains_release(&scan->domains);
    scan->whole |= scan->told;
    scan_want(scan);
}

static void scan_lost(struct scan *scan)
{
    log_error("xenstored's connection broke: guests are served on, nothing can be attached");
    loop_remove(&scan->source);
    loop_timer_stop(&scan->soon);
    scan->wanted = false;
    domains_release(&scan->domains);
    xenstore_close(scan->glue->xs);
    scan->glue->xs = NULL;
    list_for_each(it, &scan->glue->vbds) container_of(it, struct vbd, link)->watched = false;
    suspend_lost(scan->glue);
    loop_timer_set(scan->glue->loop, &scan->second, SCAN_SECOND);
}

static void scan_event(struct scan *scan, const char *token, const char *path)
{
    uint32_t domid;

    if (sscanf(token, "/local/domain/%u/", &domid) == 1) {
        if (scan_charge(scan, domid) && suspend_is_ours(token))
            suspend_event(scan->glue, domid);
    } else if (!path_parse_owner(path, &domid)) {
        glue_touched(scan->glue, domid);
    } else {
        glue_changed(scan->glue);
    }
}

static void scan_ready(struct loop_source *source, uint32_t events)
{
    struct scan *scan = container_of(source, struct scan, source);
    char token[PATH_ROOM], path[PATH_ROOM];

    (void)events;
    for (int i = 0; i < 256 && xenstore_event(scan->glue->xs, token, path, sizeof(token)); i++)
        scan_event(scan, token, path);
    if (xenstore_lost(scan->glue->xs))
        scan_lost(scan);
}

/* Hands off: a throttled domain, or one whose worker has not said yet what it holds. */
static bool scan_skips(struct scan *scan, uint32_t domid)
{
    const struct domain *domain = domain_find(&scan->domains, domid, false);
    uint32_t guest = life_guest_of(scan->glue, domid);

    list_for_each(it, &scan->glue->lives)
    {
        const struct life *life = container_of(it, struct life, link);

        if (life->domid == guest && life->phase == LIFE_RESUMING)
            return true;
    }
    return domain && domain->throttled;
}

/* As mark_domain(), for all of them. */
static bool scan_mark(struct scan *scan)
{
    struct glue *glue = scan->glue;
    bool trusted = true;
    unsigned int count;
    char **names;

    list_for_each(it, &glue->vbds) container_of(it, struct vbd, link)->seen = false;
    int err = xenstore_list(glue->xs, path_backends(), &names, &count);
    if (err)
        return err == -ENOENT;
    for (unsigned int i = 0; i < count && trusted; i++) {
        uint32_t domid;

        if (!path_parse_id(names[i], PATH_DOMIDS - 1, &domid) && !scan_skips(scan, domid))
            trusted = mark_domain(glue, domid);
    }
    free(names);
    return trusted && !xenstore_lost(glue->xs);
}

/* Steps the vbds of one domain, or of all when `domid` is NULL. */
static void scan_step(struct scan *scan, const uint32_t *domid)
{
    struct glue *glue = scan->glue;

    list_for_each_safe(it, tmp, &glue->vbds)
    {
        struct vbd *vbd = container_of(it, struct vbd, link);

        if ((!domid || vbd->id.domid == *domid) && !(vbd->life && vbd->life->stray) &&
            !scan_skips(scan, vbd->id.domid) && !xenstore_lost(glue->xs))
            vbd_step(vbd, vbd->seen);
    }
}

/* Lives that a forgetful xenstore does not know, until it shows that it does after all. */
static void scan_strays(struct glue *glue)
{
    list_for_each(it, &glue->lives)
    {
        struct life *life = container_of(it, struct life, link);
        char uuid[LIFE_UUID];
        bool seen = false;

        if (!life->stray || life->phase == LIFE_RESUMING)
            continue;
        list_for_each(at, &glue->vbds)
        {
            const struct vbd *vbd = container_of(at, struct vbd, link);

            seen = seen || (vbd->life == life && vbd->seen);
        }
        if (!seen || life_identify(glue, life->domid, uuid) || !strcmp(uuid, "none") ||
            strcmp(uuid, life->uuid))
            continue;
        life->stray = false;
        log_info("guest %u: xenstore knows it after all", life->domid);
        glue_changed(glue);
    }
}

/* Before anything is concluded from what xenstore does not have.  False: nothing may be. */
static bool scan_claim(struct scan *scan)
{
    struct glue *glue = scan->glue;
    char text[CLAIM_TEXT];
    bool forgot = false;

    int err = claim_take(glue->xs, glue->policy->run_dir, life_number(), &glue->known_since, text);
    if (err) {
        if (!scan->told)
            log_error("%s", text[0] ? text : "xenstore cannot be written");
        scan->told = true;
        return false;
    }
    scan->told = false;
    list_for_each(it, &glue->lives)
    {
        struct life *life = container_of(it, struct life, link);

        life->stray = life->phase != LIFE_DEAD && life->number < glue->known_since;
        forgot = forgot || life->stray;
    }
    if (forgot)
        log_error(GLUE_FORGOT);
    return true;
}

bool scan_passes_over(struct scan *scan, uint32_t domid)
{
    return scan_skips(scan, domid);
}

bool scan_throttles(struct scan *scan, uint32_t domid)
{
    const struct domain *domain = domain_find(&scan->domains, domid, false);

    return domain && domain->throttled;
}

static void scan_run_whole(struct scan *scan)
{
    struct glue *glue = scan->glue;

    scan->last_whole = loop_now();
    list_for_each(it, &scan->domains) container_of(it, struct domain, link)->dirty = false;
    if (!claim_stands(glue->xs) && !scan_claim(scan)) {
        loop_timer_set(glue->loop, &scan->second, SCAN_SECOND);
        return;
    }
    if (!scan_mark(scan))
        return;
    scan_strays(glue);
    scan_step(scan, NULL);
    domains_sweep(&scan->domains, glue);
    scan->count++;
}

static void scan_run_dirty(struct scan *scan)
{
    list_for_each(it, &scan->domains)
    {
        struct domain *domain = container_of(it, struct domain, link);

        if (!domain->dirty)
            continue;
        domain->dirty = false;
        if (!scan_skips(scan, domain->domid) && mark_domain(scan->glue, domain->domid))
            scan_step(scan, &domain->domid);
    }
}

static void scan_run(struct loop_timer *timer)
{
    struct scan *scan = container_of(timer, struct scan, soon);
    struct glue *glue = scan->glue;
    bool whole = scan->whole || loop_now() - scan->last_whole >= SCAN_IDLE;

    scan->wanted = scan->whole = false;
    if (whole)
        scan_run_whole(scan);
    else
        scan_run_dirty(scan);
    suspend_watch_all(glue);
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

    if (!err)
        err = scan_claim(scan) ? 0 : -EBUSY;
    if (!err)
        err = xenstore_watch(glue->xs, path_backends(), "backend");
    if (!err && glue->policy->driver)
        err = xenstore_watch(glue->xs, PATH_PAIRS, "pairs");
    if (!err) {
        if (xenstore_watch(glue->xs, "@releaseDomain", "release"))
            log_info("no notice of dying domains: relying on the toolstack");
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
    domains_free(&scan->domains);
    xenstore_close(glue->xs);
    glue->xs = NULL;
    glue->scan = NULL;
    free(scan);
}

uint64_t scan_count(const struct scan *scan)
{
    return scan->count;
}
