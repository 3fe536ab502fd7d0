// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * blkback-ephemd: the control plane.  Opens what it needs, takes over workers an earlier daemon
 * left, and turns the loop until a signal says to leave; the workers stay.  No key and no guest
 * data ever come here.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroup.h"
#include "control.h"
#include "driver.h"
#include "emulated.h"
#include "extents.h"
#include "glue.h"
#include "kernel.h"
#include "life.h"
#include "log.h"
#include "paths.h"
#include "rules.h"
#include "scan.h"
#include "store.h"
#include "takeover.h"
#include "tombstone.h"
#include "vbd.h"

struct daemon {
    struct glue glue;
    struct policy policy;
    struct rules defaults;
    struct loop_source signals;
    int lock;
    bool leaving;
};

static void daemon_signal(struct loop_source *source, uint32_t events)
{
    struct daemon *d = container_of(source, struct daemon, signals);
    struct signalfd_siginfo info;

    (void)events;
    if (read(source->fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
        d->leaving = true;
}

static int daemon_signals(struct daemon *d)
{
    sigset_t set;

    signal(SIGPIPE, SIG_IGN);
    signal(SIGIO, SIG_IGN); /* somebody opens a base for writing while store looks for that */
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    /* Before libxenstore starts its thread, which then has them blocked too. */
    sigprocmask(SIG_BLOCK, &set, NULL);
    d->signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (d->signals.fd < 0)
        return -errno;
    d->signals.ready = daemon_signal;
    return loop_add(d->glue.loop, &d->signals, EPOLLIN);
}

static int daemon_directory(const char *run_dir, const char *below)
{
    char path[128];

    struct stat st;

    snprintf(path, sizeof(path), "%s%s", run_dir, below);
    if ((mkdir(path, 0700) && errno != EEXIST) || stat(path, &st)) {
        int err = -errno;
        log_error("%s: %s", path, strerror(-err));
        return err;
    }
    /* What stands in it decides which process is killed, who may ask and who may start. */
    if (S_ISDIR(st.st_mode) && st.st_uid == geteuid() && !(st.st_mode & 022))
        return 0;
    log_error("%s: not a directory that we own and nobody else may write: remove it", path);
    return -EPERM;
}

/* One daemon a run-dir: the lock lives as long as the descriptor, and so as the process. */
static int daemon_lock(struct daemon *d)
{
    const char *run_dir = d->policy.run_dir;
    char path[128];

    if (daemon_directory(run_dir, "") || daemon_directory(run_dir, "/workers"))
        return -EIO;
    snprintf(path, sizeof(path), "%s/blkback-ephemd.pid", run_dir);
    d->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (d->lock < 0) {
        log_error("%s: %s", path, strerror(errno));
        return -EIO;
    }
    if (flock(d->lock, LOCK_EX | LOCK_NB)) {
        log_error("another blkback-ephemd serves %s: end it first", run_dir);
        return -EBUSY;
    }
    if (ftruncate(d->lock, 0) || dprintf(d->lock, "%d\n", (int)getpid()) < 0)
        log_warn("%s: %s", path, strerror(errno));
    return 0;
}

/* Without what stands there a guest whose memory does not fit could be given a disk. */
static int daemon_state(struct daemon *d)
{
    const char *dir = d->policy.state_dir;

    if (daemon_directory(dir, "") || daemon_directory(dir, TOMBSTONE_DIR))
        return -EIO;
    return tombstones_open(dir, &d->glue.tombstones);
}

/* Inherited by the workers: locked memory without limit where we may, no core dumps, many fds. */
static void daemon_limits(void)
{
    struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};

    if (setrlimit(RLIMIT_MEMLOCK, &limit))
        log_debug("locked memory stays limited: %s", strerror(errno));
    limit = (struct rlimit){0, 0};
    setrlimit(RLIMIT_CORE, &limit);
    if (!getrlimit(RLIMIT_NOFILE, &limit)) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int daemon_rules(struct daemon *d)
{
    char text[STORE_TEXT];
    int err = rules_read(&d->defaults, d->policy.config_dir, d->policy.pool, NULL, text);

    if (err)
        log_error("%s", text);
    d->glue.defaults = &d->defaults;
    return err;
}

/* A guest's start would tell; the operator may want to know before.  A device may be in use by a
 * worker of ours: it is not touched. */
static void daemon_try_pool(const struct daemon *d)
{
    struct store_pool pool;
    char text[STORE_TEXT];
    int err;

    if (d->defaults.spec.kind == WIRE_POOL_BLOCK || d->defaults.spec.kind == WIRE_POOL_SHARED)
        return;
    err = store_open_pool(&d->defaults.spec, &pool, text);
    if (err)
        log_warn("%s", text);
    if (!err && pool.fd >= 0)
        close(pool.fd);
}

static int daemon_cgroup(struct daemon *d)
{
    char text[WIRE_TEXT];

    if (d->policy.cgroup == CGROUP_OFF)
        return 0;
    int err = cgroup_open(&d->glue.cgroup, d->glue.loop, text);
    if (err && d->policy.cgroup == CGROUP_ON)
        log_error("--cgroup on: %s", text);
    else if (err)
        log_info("workers have no control groups of their own: %s", text);
    return d->policy.cgroup == CGROUP_ON ? err : 0;
}

static int daemon_open(struct daemon *d)
{
    struct glue *glue = &d->glue;

    glue->policy = &d->policy;
    list_init(&glue->lives);
    list_init(&glue->vbds);
    daemon_limits();
    int err = daemon_rules(d);
    if (!err)
        err = daemon_lock(d);
    if (err)
        return err;
    err = daemon_state(d);
    if (err)
        return err;
    err = loop_open(&glue->loop);
    if (!err)
        err = daemon_signals(d);
    if (err) {
        log_error("event loop: %s", strerror(-err));
        return err;
    }
    err = scan_open(glue);
    if (err) {
        if (err != -EBUSY)
            log_error("xenstored cannot be reached: %s; is this a Xen host, and is xenstored "
                      "running?",
                      strerror(-err));
        return err;
    }
    /* Nobody else serves this host: what is told from here on is told once. */
    err = daemon_cgroup(d);
    if (err)
        return err;
    emulated_sweep(d->policy.run_dir);
    err = extents_open(glue);
    if (!err)
        err = takeover_start(glue);
    if (err) {
        log_error("%s/workers: %s", d->policy.run_dir, strerror(-err));
        return err;
    }
    extents_start(glue);
    daemon_try_pool(d);
    err = control_open(glue);
    if (err)
        log_error("%s/control.sock: %s", d->policy.run_dir, strerror(-err));
    return err;
}

static void daemon_close(struct daemon *d)
{
    struct glue *glue = &d->glue;

    control_close(glue->control);
    scan_close(glue);
    list_for_each_safe(it, tmp, &glue->vbds) vbd_free(container_of(it, struct vbd, link));
    life_leave_all(glue);
    extents_close(glue);
    tombstones_close(glue->tombstones);
    cgroup_close(glue->cgroup);
    loop_remove(&d->signals);
    if (d->signals.fd >= 0)
        close(d->signals.fd);
    loop_close(glue->loop);
    if (d->lock >= 0)
        close(d->lock);
}

/* Our part needs no help of it; what the kernel keeps of data on its way does. */
static void daemon_tell_freed(void)
{
    int is = kernel_zeroes_freed(KERNEL_CMDLINE, NULL);

    if (!is)
        log_warn(
            "the kernel does not zero pages that it frees: what it keeps of guests' data on its "
            "way (socket buffers, stacks) stays in free memory: boot dom0 with init_on_free=1");
    else if (is < 0)
        log_warn(
            "not known whether the kernel zeroes pages that it frees: neither its command line "
            "nor /boot/config-* says: boot dom0 with init_on_free=1");
}

/* What `ephemctl stubdom create` waits for. */
static int daemon_tell_dom0(const struct daemon *d)
{
    if (!d->policy.driver)
        return 0;
    log_warn("a driver domain is not told of guests that are saved or migrated: do not restore one "
             "whose disks were served here");
    int err = d->glue.xs ? xenstore_write(d->glue.xs, PATH_SERVING, PATH_SERVES) : -EIO;
    if (err)
        log_error(PATH_SERVING " in xenstore: %s: is this a domain that libxl made?",
                  strerror(-err));
    return err;
}

int main(int argc, char **argv)
{
    static struct daemon d = {.lock = -1, .signals.fd = -1};
    int err = policy_parse(argc, argv, &d.policy);

    if (err)
        return err > 0 ? EXIT_SUCCESS : 2;
    umask(0077);
    path_serve_driver(d.policy.driver);
    log_open("blkback-ephemd", d.policy.verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
    err = daemon_open(&d);
    if (!err) {
        log_info("serving %s, pool %s", path_backends(), d.defaults.pool);
        daemon_tell_freed();
        err = daemon_tell_dom0(&d);
    }
    while (!err && !d.leaving)
        err = loop_turn(d.glue.loop, -1);
    if (d.leaving)
        log_info("leaving; workers go on serving");
    daemon_close(&d);
    return err ? EXIT_FAILURE : EXIT_SUCCESS;
}
