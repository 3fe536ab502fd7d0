// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * guard_domain: the toolstack makes a domain with one pause, introduces it to xenstore, writes its
 * disks, and gives its pause up when all is done.  We see the introduction and take a pause of our
 * own, so it does not run when the toolstack is done but when we are, too.
 *
 * Nothing tells when a toolstack is done: Xen counts pauses and does not tell the count.  So we try:
 * all disks are right, our pause is given up, and if the domain is paused still, then its toolstack
 * has not done yet; we take the pause back and look again later.  Whatever it attaches until it is
 * done, hours later with `xl create -p`, was looked at before the domain runs.  If between a look and
 * the try that follows it both a disk comes and the toolstack ends, the domain runs until the watch
 * tells us: the guard would have to be stopped by the scheduler just there, for as long as libxl
 * needs to bring up a disk.
 *
 * What is uncertain keeps the domain paused: xenstore that cannot be read, files that cannot, a pause
 * that cannot be recorded.  An operator's unpause of a refused domain gives up our pause instead of
 * his own; the next look takes it back.
 */
#include "guard_domain.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guard_look.h"
#include "guard_record.h"
#include "log.h"
#include "paths.h"
#include "xs.h"

#define DOMAIN_EARLY 40  /* looks at a held domain before they become rare */
#define DOMAIN_SOON  50  /* ms between them */
#define DOMAIN_LATER 250 /* ms between all others */

/* A look as it goes on. */
struct domain_look {
    struct guard_info info;
    struct guard_mark mark;
    struct guard_sight sight;
    char who[96]; /* "guest 5 (web)", for humans */
};

static void domain_fire(struct loop_timer *timer)
{
    struct guard_domain *d = container_of(timer, struct guard_domain, timer);

    d->dirty = true;
}

static void domain_again(struct guard_domain *d)
{
    bool soon = d->phase == GUARD_HELD && d->looks < DOMAIN_EARLY;

    loop_timer_set(d->guard->loop, &d->timer, soon ? DOMAIN_SOON : DOMAIN_LATER);
}

static void domain_token(const struct guard_domain *d, char out[16])
{
    snprintf(out, 16, "d%u", d->domid);
}

struct guard_domain *guard_domain_new(struct guard *guard, const struct guard_info *info)
{
    struct guard_domain *d = calloc(1, sizeof(*d));
    char path[PATH_ROOM], token[16];

    if (!d)
        return NULL;
    *d = (struct guard_domain){
        .guard = guard, .domid = info->domid, .ran = info->ran, .dirty = true};
    snprintf(d->uuid, sizeof(d->uuid), "%s", info->uuid);
    d->timer.fire = domain_fire;
    list_append(&guard->domains, &d->link);
    enum guard_record record = guard_record_get(guard->records, d->domid, d->uuid);
    if (record == GUARD_RECORD_HELD)
        d->phase = GUARD_HELD;
    if (record == GUARD_RECORD_REFUSED)
        d->phase = GUARD_REFUSED;
    if (record == GUARD_RECORD_UNSURE)
        log_warn("guest %u may have been left paused by a guard that was killed: if it does not "
                 "run, xl unpause %u",
                 d->domid, d->domid);
    /* Who is renamed, or becomes a stub domain, may be marked from then on. */
    domain_token(d, token);
    path_domain(path, d->domid, "name");
    xenstore_watch(guard->xs, path, token);
    path_domain(path, d->domid, "target");
    xenstore_watch(guard->xs, path, token);
    return d;
}

void guard_domain_leave(struct guard_domain *d)
{
    char path[PATH_ROOM], token[16];

    domain_token(d, token);
    path_domain(path, d->domid, "name");
    xenstore_unwatch(d->guard->xs, path, token);
    path_domain(path, d->domid, "target");
    xenstore_unwatch(d->guard->xs, path, token);
    if (d->watched)
        guard_look_unwatch(d->guard->xs, d->domid, token);
    loop_timer_stop(&d->timer);
    list_remove(&d->link);
    free(d);
}

void guard_domain_gone(struct guard_domain *d)
{
    guard_record_put(d->guard->records, d->domid, d->uuid, GUARD_RECORD_NONE);
    guard_domain_leave(d);
}

void guard_domain_stir(struct guard_domain *d)
{
    if (!d->ran)
        d->dirty = true;
    else
        loop_timer_set(d->guard->loop, &d->timer, DOMAIN_SOON);
}

static int domain_record(struct guard_domain *d, enum guard_record what)
{
    int err = guard_record_put(d->guard->records, d->domid, d->uuid, what);

    if (err)
        log_error("guest %u: its pause cannot be recorded: %s", d->domid, strerror(-err));
    return err;
}

/* Takes a pause, recorded or not: a domain that stays paused is the lesser harm. */
static bool domain_pause(struct guard_domain *d, enum guard_phase phase)
{
    domain_record(d, GUARD_RECORD_UNSURE);
    int err = guard_xen_pause(d->guard->xen, d->domid);
    if (err)
        log_error("guest %u cannot be paused: %s", d->domid, strerror(-err));
    else
        d->phase = phase;
    domain_record(d, err                   ? GUARD_RECORD_NONE
                     : phase == GUARD_HELD ? GUARD_RECORD_HELD
                                           : GUARD_RECORD_REFUSED);
    return !err;
}

static bool domain_unpause(struct guard_domain *d)
{
    if (domain_record(d, GUARD_RECORD_UNSURE))
        return false;
    int err = guard_xen_unpause(d->guard->xen, d->domid);
    if (err)
        log_error("guest %u cannot be unpaused: %s", d->domid, strerror(-err));
    else
        d->phase = GUARD_LOOSE;
    return !err;
}

/* Says what was not the last thing said. */
__attribute__((format(printf, 3, 4))) static void
domain_tell(struct guard_domain *d, enum log_level level, const char *fmt, ...)
{
    char line[sizeof(d->told)];
    va_list args;

    va_start(args, fmt);
    vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    if (strcmp(line, d->told))
        log_line(level, "%s", line);
    memcpy(d->told, line, sizeof(line));
}

static void domain_try(struct guard_domain *d, struct domain_look *look)
{
    if (!domain_unpause(d))
        return;
    int err = guard_xen_ask(d->guard->xen, d->domid, &look->info);
    if (!err && look->info.paused) {
        domain_pause(d, GUARD_HELD);
        return;
    }
    d->ran = true;
    d->told[0] = '\0';
    domain_record(d, GUARD_RECORD_NONE);
    log_info("%s has no writable disk but ephemeral ones: it may run", look->who);
}

static void domain_free(struct guard_domain *d, const struct domain_look *look)
{
    if (!domain_unpause(d))
        return;
    domain_record(d, GUARD_RECORD_NONE);
    d->told[0] = '\0';
    log_info("%s is paused no longer by the guard: %s", look->who,
             look->mark.guarded ? "its disks are ephemeral now" : "nothing marks it as ephemeral");
}

static void domain_refuse(struct guard_domain *d, const struct domain_look *look)
{
    const char *names = look->sight.names;

    if (d->phase == GUARD_LOOSE && !domain_pause(d, GUARD_REFUSED))
        return;
    d->phase = GUARD_REFUSED;
    domain_record(d, GUARD_RECORD_REFUSED);
    if (look->mark.broken)
        domain_tell(d, LOG_LEVEL_ERROR,
                    "%s is paused, for it may be marked as ephemeral and has %s: %s", look->who,
                    names, look->mark.text);
    else if (!d->ran)
        domain_tell(d, LOG_LEVEL_ERROR,
                    "%s is marked as ephemeral and has writable disks that are not: %s: paused "
                    "before it ran: destroy it and give it ephemeral disks, or take the mark away",
                    look->who, names);
    else
        domain_tell(d, LOG_LEVEL_ERROR,
                    "%s is marked as ephemeral and has writable disks that are not: %s: paused: "
                    "detach them or destroy it",
                    look->who, names);
}

static void domain_warn(struct guard_domain *d, const struct domain_look *look)
{
    domain_tell(d, LOG_LEVEL_WARN,
                "%s is marked as ephemeral, runs, and has writable disks that are not: %s: detach "
                "them; strict=on would pause it",
                look->who, look->sight.names);
}

/* Who counts on our pause has it: somebody may have given it up by hand. */
static void domain_repause(struct guard_domain *d, const struct domain_look *look)
{
    if (d->phase == GUARD_LOOSE || look->info.paused)
        return;
    log_warn("%s was unpaused by hand: paused again; enforce=off in its file lets it run",
             look->who);
    domain_pause(d, d->phase);
}

static void domain_act(struct guard_domain *d, enum guard_act act, struct domain_look *look)
{
    switch (act) {
    case GUARD_LEAVE:
        if (look->mark.guarded && d->phase == GUARD_LOOSE)
            d->told[0] = '\0';
        break;
    case GUARD_HOLD: /* it could not be paused: again */
        break;
    case GUARD_TRY:
        if (d->phase == GUARD_REFUSED)
            d->told[0] = '\0';
        d->phase = GUARD_HELD;
        domain_try(d, look);
        break;
    case GUARD_FREE:
        domain_free(d, look);
        break;
    case GUARD_REFUSE:
        domain_refuse(d, look);
        break;
    case GUARD_WARN:
        domain_warn(d, look);
        break;
    }
}

/* Before its disks are looked at, so that none comes unseen; and when it cannot be told whether it is
 * marked. */
static void domain_hold(struct guard_domain *d)
{
    if (d->phase != GUARD_LOOSE || d->ran)
        return;
    d->looks = 0;
    domain_pause(d, GUARD_HELD);
}

static int domain_watch(struct guard_domain *d, const struct domain_look *look)
{
    char token[16];
    int err = 0;

    if (look->mark.guarded && !d->watched) {
        domain_token(d, token);
        err = guard_look_watch(d->guard->xs, d->domid, token);
        d->watched = !err;
    }
    return err;
}

/* 0, or negative errno: nothing is known. */
static int domain_see(struct guard_domain *d, struct domain_look *look)
{
    char name[64];
    int err = guard_mark_read(d->guard->xs, d->guard->config_dir, d->domid, d->marked_as,
                              &look->mark);

    guard_mark_show(&look->mark, name);
    snprintf(look->who, sizeof(look->who), "%s %u%s%s%s",
             look->mark.guest == d->domid ? "guest" : "stub domain", d->domid, name[0] ? " (" : "",
             name, name[0] ? ")" : "");
    domain_repause(d, look);
    if (err || look->mark.guarded)
        domain_hold(d);
    if (!err)
        err = domain_watch(d, look);
    if (!err && look->mark.guarded)
        err = guard_look(d->guard->xs, d->domid, !d->ran, &look->sight);
    if (err && !xenstore_lost(d->guard->xs))
        domain_tell(d, LOG_LEVEL_WARN, "%s: its disks cannot be looked at: %s", look->who,
                    strerror(-err));
    return err;
}

bool guard_domain_look(struct guard_domain *d)
{
    struct domain_look look = {.mark.guest = d->domid};

    d->dirty = false;
    d->looks += d->looks < DOMAIN_EARLY;
    int err = guard_xen_ask(d->guard->xen, d->domid, &look.info);
    if (err == -ESRCH || (!err && (look.info.dying || strcmp(look.info.uuid, d->uuid))))
        return false;
    d->ran = d->ran || look.info.ran;
    if (!err)
        err = domain_see(d, &look);
    enum guard_act act = GUARD_LEAVE;
    if (!err) {
        const struct guard_case c = {.phase = d->phase,
                                     .guarded = look.mark.guarded,
                                     .strict = look.mark.strict,
                                     .ran = d->ran,
                                     .foreign = look.sight.foreign,
                                     .empty = !look.sight.disks};
        act = guard_decide(&c);
        if (look.mark.excepted && !d->ran)
            domain_tell(d, LOG_LEVEL_INFO,
                        "%s is marked as ephemeral, but enforce=off: not guarded", look.who);
        domain_act(d, act, &look);
    }
    if (err || d->phase != GUARD_LOOSE || act == GUARD_HOLD)
        domain_again(d);
    return true;
}
