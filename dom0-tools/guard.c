// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ephem-guard: keeps domains that are marked as ephemeral from running on any other writable disk.
 * Waits for domains to come and go, for their names and disks to change, and looks at those that did
 * (guard_domain).  It needs xenstore, the hypervisor and the operator's files, and not blkback-ephemd.
 *
 * It ends when xenstore is lost, for it can look at nothing any more; what it has paused stays so, and
 * the next guard knows (guard_record).
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guard_domain.h"
#include "guard_record.h"
#include "log.h"
#include "paths.h"
#include "rules.h"
#include "xs.h"

#ifndef VERSION
#define VERSION "0.1"
#endif

static const char guard_help[] =
    "usage: ephem-guard [OPTION]...\n"
    "Pauses a domain that is marked as ephemeral and has a writable disk that is not.\n"
    "\n"
    "  --config-dir DIR  blkback-ephem.conf and domains/NAME.conf (/etc/blkback-ephem)\n"
    "  --run-dir DIR     which domains it has paused (/run/ephem-guard)\n"
    "  --verbose         log every step\n"
    "  --help            this text\n"
    "  --version         the version\n"
    "\n"
    "Stays in the foreground and logs on stderr.  SIGHUP: looks at all domains anew.  On SIGTERM "
    "it\n"
    "exits, and what it has paused stays paused.\n";

struct guard_main {
    struct guard guard;
    const char *run_dir;
    struct loop_source signals, events;
    bool verbose;
    bool leaving;
    bool list; /* domains came or went */
};

static const struct option guard_options[] = {
    {"config-dir", required_argument, NULL, 'c'}, {"run-dir", required_argument, NULL, 'r'},
    {"verbose", no_argument, NULL, 'v'},          {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},          {NULL, 0, NULL, 0}};

static bool guard_directory(const char *option, const char *path)
{
    if (path[0] == '/' && strlen(path) <= RULES_DIR)
        return true;
    fprintf(stderr, "ephem-guard: --%s takes an absolute path of at most %d characters\n", option,
            RULES_DIR);
    return false;
}

/* 0 to go on, 1 when answered, -EINVAL when wrong, which has been said. */
static int guard_parse(int argc, char **argv, struct guard_main *m)
{
    int option;

    while ((option = getopt_long(argc, argv, "", guard_options, NULL)) != -1) {
        switch (option) {
        case 'c':
            m->guard.config_dir = optarg;
            break;
        case 'r':
            m->run_dir = optarg;
            break;
        case 'v':
            m->verbose = true;
            break;
        case 'h':
            fputs(guard_help, stdout);
            return 1;
        case 'V':
            puts("ephem-guard " VERSION);
            return 1;
        default:
            fputs("Try 'ephem-guard --help'.\n", stderr);
            return -EINVAL;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "ephem-guard: unexpected argument '%s'\n", argv[optind]);
        return -EINVAL;
    }
    bool good = guard_directory("config-dir", m->guard.config_dir) &&
                guard_directory("run-dir", m->run_dir);
    return good ? 0 : -EINVAL;
}

static struct guard_domain *guard_find(const struct guard *guard, uint32_t domid)
{
    list_for_each(it, &guard->domains)
    {
        struct guard_domain *d = container_of(it, struct guard_domain, link);

        if (d->domid == domid)
            return d;
    }
    return NULL;
}

/* A domain that Xen has: known, another one under a known number, or new. */
static int guard_meet(struct guard *guard, const struct guard_info *info)
{
    struct guard_domain *d = guard_find(guard, info->domid);

    if (!info->domid || info->domid >= PATH_DOMIDS || info->dying)
        return 0;
    if (d && strcmp(d->uuid, info->uuid)) {
        guard_domain_gone(d);
        d = NULL;
    }
    if (!d)
        return guard_domain_new(guard, info) ? 0 : -ENOMEM;
    if (!d->ran)
        d->dirty = true; /* it may just have been introduced */
    return 0;
}

/* Those that have gone find that out when they are looked at. */
static int guard_list(struct guard *guard)
{
    struct guard_info infos[32];
    uint32_t first = 0;
    int count, err = 0;

    list_for_each(it, &guard->domains)
        guard_domain_stir(container_of(it, struct guard_domain, link));
    do {
        count = guard_xen_list(guard->xen, first, infos, ARRAY_SIZE(infos));
        for (int i = 0; i < count && !err; i++)
            err = guard_meet(guard, &infos[i]);
        if (count > 0)
            first = infos[count - 1].domid + 1;
    } while (count > 0 && !err);
    if (count < 0 || err)
        log_error("domains cannot be listed: %s", strerror(count < 0 ? -count : -err));
    return count < 0 ? count : err;
}

static void guard_signal(struct loop_source *source, uint32_t events)
{
    struct guard_main *m = container_of(source, struct guard_main, signals);
    struct signalfd_siginfo info;

    (void)events;
    if (read(source->fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return;
    m->leaving = m->leaving || info.ssi_signo != SIGHUP;
    list_for_each(it, &m->guard.domains) container_of(it, struct guard_domain, link)->dirty = true;
}

static void guard_event(struct loop_source *source, uint32_t events)
{
    struct guard_main *m = container_of(source, struct guard_main, events);
    char token[16], path[PATH_ROOM];
    uint32_t domid;

    (void)events;
    while (xenstore_event(m->guard.xs, token, path, sizeof(path))) {
        struct guard_domain *d = NULL;

        if (token[0] != 'd')
            m->list = true;
        else if (!path_parse_id(token + 1, PATH_DOMIDS - 1, &domid))
            d = guard_find(&m->guard, domid);
        if (d)
            guard_domain_stir(d);
    }
}

static int guard_signals(struct guard_main *m)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    /* Before libxenstore starts its thread, which then has them blocked too. */
    sigprocmask(SIG_BLOCK, &set, NULL);
    m->signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (m->signals.fd < 0)
        return -errno;
    m->signals.ready = guard_signal;
    return loop_add(m->guard.loop, &m->signals, EPOLLIN);
}

static int guard_records(struct guard_main *m)
{
    m->guard.records = guard_record_open(m->run_dir);
    if (m->guard.records >= 0)
        return 0;
    if (m->guard.records == -EBUSY)
        log_error("another ephem-guard has %s: end it first", m->run_dir);
    else if (m->guard.records == -EPERM)
        log_error("%s: others may write it, or have made it: remove it", m->run_dir);
    else
        log_error("%s: %s", m->run_dir, strerror(-m->guard.records));
    return m->guard.records;
}

/* Watches come first: who is created while we list is told of later. */
static int guard_connect(struct guard_main *m)
{
    struct guard *guard = &m->guard;
    int err = guard_xen_open(&guard->xen);

    if (err) {
        log_error("the hypervisor cannot be reached: %s; is this dom0 of a Xen host, and are we "
                  "root?",
                  strerror(-err));
        return err;
    }
    err = xenstore_open(&guard->xs);
    if (!err)
        err = xenstore_watch(guard->xs, "@introduceDomain", "new");
    if (!err)
        err = xenstore_watch(guard->xs, "@releaseDomain", "gone");
    if (err) {
        log_error("xenstored cannot be reached: %s; is it running?", strerror(-err));
        return err;
    }
    m->events.fd = xenstore_fd(guard->xs);
    m->events.ready = guard_event;
    err = loop_add(guard->loop, &m->events, EPOLLIN);
    return err ? err : guard_list(guard);
}

static int guard_open(struct guard_main *m)
{
    struct rules rules;
    char text[STORE_TEXT];

    list_init(&m->guard.domains);
    int err = guard_records(m);
    if (err)
        return err;
    err = loop_open(&m->guard.loop);
    if (!err)
        err = guard_signals(m);
    if (err) {
        log_error("event loop: %s", strerror(-err));
        return err;
    }
    /* Every domain may be marked then: the operator should know before one is refused. */
    if (rules_look_up(&rules, m->guard.config_dir, NULL, text))
        log_error("%s: until that is mended every domain counts as marked", text);
    return guard_connect(m);
}

static void guard_close(struct guard_main *m)
{
    struct guard *guard = &m->guard;

    list_for_each_safe(it, tmp, &guard->domains)
    {
        struct guard_domain *d = container_of(it, struct guard_domain, link);

        if (d->phase != GUARD_LOOSE)
            log_warn("guest %u stays paused: the next ephem-guard sees to it, or xl unpause %u",
                     d->domid, d->domid);
        guard_domain_leave(d);
    }
    loop_remove(&m->events);
    xenstore_close(guard->xs);
    guard_xen_close(guard->xen);
    loop_remove(&m->signals);
    if (m->signals.fd >= 0)
        close(m->signals.fd);
    loop_close(guard->loop);
    if (guard->records >= 0)
        close(guard->records);
}

/* One turn: waits, then looks at whoever needs it.  0, or negative errno to end. */
static int guard_turn(struct guard_main *m)
{
    int err = loop_turn(m->guard.loop, -1);

    if (!err && m->list) {
        m->list = false;
        err = guard_list(&m->guard);
    }
    list_for_each_safe(it, tmp, &m->guard.domains)
    {
        struct guard_domain *d = container_of(it, struct guard_domain, link);

        if (!err && d->dirty && !guard_domain_look(d))
            guard_domain_gone(d);
        if (!err && xenstore_lost(m->guard.xs)) {
            log_error("xenstored is gone: nothing can be looked at");
            err = -EIO;
        }
    }
    return err;
}

int main(int argc, char **argv)
{
    static struct guard_main m = {.guard = {.config_dir = "/etc/blkback-ephem", .records = -1},
                                  .run_dir = "/run/ephem-guard",
                                  .signals.fd = -1};
    int err = guard_parse(argc, argv, &m);

    if (err)
        return err > 0 ? EXIT_SUCCESS : 2;
    umask(0077);
    log_open("ephem-guard", m.verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
    err = guard_open(&m);
    if (!err)
        log_info("watching over domains marked in %s", m.guard.config_dir);
    while (!err && !m.leaving)
        err = guard_turn(&m);
    guard_close(&m);
    return err ? EXIT_FAILURE : EXIT_SUCCESS;
}
