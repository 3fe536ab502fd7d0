// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * life_start: a life's first steps: the guest's rules, pool, listening socket, process, HELLO.  Rules
 * are read for each life, so a change of files holds for the guests that start after it.
 * Files stand for a life in <run-dir>/workers: a socket the worker listens on; its pid with its start
 * time, its guest's UUID and its stub domain's domid and UUID, written by us alone, so that a worker
 * cannot point the next daemon's SIGKILL, or a tombstone, at somebody else, nor claim another guest's
 * frontends; and its limits (life_limits).
 */
#include "life.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "extents.h"
#include "kin.h"
#include "log.h"
#include "paths.h"
#include "process.h"
#include "store.h"
#include "vbd.h"

#define LIFE_HELLO 20000 /* ms a worker may take to start up */

void life_path(const struct life *life, const char *suffix, char out[LIFE_PATH])
{
    snprintf(out, LIFE_PATH, "%.64s/workers/%u.%" PRIu64 ".%s", life->glue->policy->run_dir,
             life->domid, life->number, suffix);
}

void life_remove_files(const struct life *life)
{
    char path[LIFE_PATH];

    life_path(life, "sock", path);
    unlink(path);
    life_path(life, "pid", path);
    unlink(path);
    life_path(life, "limits", path);
    unlink(path);
    life_path(life, "new", path);
    unlink(path);
}

static void life_helloed(void *arg, int error, const char *text)
{
    struct life *life = arg;

    if (!error) {
        glue_changed(life->glue);
        return;
    }
    if (text[0])
        snprintf(life->error, sizeof(life->error), "%.*s", WIRE_TEXT - 1, text);
    else if (error != -EPIPE)
        snprintf(life->error, sizeof(life->error), "the worker did not start: %s",
                 strerror(-error));
    life->hushed = life->error[0] != '\0';
    if (error != -EPIPE)
        worker_kill(life->worker);
}

static int life_listen(const struct life *life, char text[WIRE_TEXT])
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    life_path(life, "sock", address.sun_path);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* The umask is 0077 from main on; 0600 is what remains. */
    if (fd >= 0 && !bind(fd, (struct sockaddr *)&address, sizeof(address)) &&
        !chmod(address.sun_path, 0600) && !listen(fd, 4))
        return fd;
    int err = -errno;
    snprintf(text, WIRE_TEXT, "%.100s: %s", address.sun_path, strerror(-err));
    if (fd >= 0)
        close(fd);
    return err;
}

int life_note(const struct life *life, const char *suffix, const char *text)
{
    char path[LIFE_PATH], new[LIFE_PATH];

    life_path(life, suffix, path);
    life_path(life, "new", new);
    int fd = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    int err = dprintf(fd, "%s\n", text) < 0 ? -errno : 0;
    if (close(fd) && !err)
        err = -errno;
    if (!err && rename(new, path))
        err = -errno;
    return err;
}

int life_note_worker(const struct life *life)
{
    const struct life_stubdom *stubdom = &life->stubdom;
    char text[2 * LIFE_UUID + 60];

    if (!life->worker)
        return 0;
    pid_t pid = worker_pid(life->worker);
    int at = snprintf(text, sizeof(text), "%d %llu %s", (int)pid, process_started(pid), life->uuid);
    if (stubdom->domid)
        snprintf(text + at, sizeof(text) - (size_t)at, " %u %s", stubdom->domid, stubdom->uuid);
    return life_note(life, "pid", text);
}

/* A guest without a name, or with one longer than a file's, has no file of its own. */
static int life_read_rules(const struct life *life, struct rules *rules, char text[WIRE_TEXT])
{
    const struct policy *policy = life->glue->policy;
    char path[PATH_ROOM], name[256];

    path_domain(path, life->domid, "name");
    int err = xenstore_read(life->glue->xs, path, name, sizeof(name));
    if (xenstore_lost(life->glue->xs)) {
        text[0] = '\0';
        return -EAGAIN;
    }
    if (err == -EACCES && policy->driver)
        err = -ENOENT;
    if (err && err != -ENOENT && err != -E2BIG) {
        snprintf(text, WIRE_TEXT, "%s: cannot be read, so the guest's rules are not known: %s",
                 path, strerror(-err));
        return err;
    }
    return rules_read(rules, policy->config_dir, policy->pool, err ? NULL : name, text);
}

/* A device: who has it the registry knows. */
static int life_open_device(struct life *life, const struct rules *rules, struct store_pool *pool,
                            char text[WIRE_TEXT])
{
    bool shared = rules->spec.kind == WIRE_POOL_SHARED;
    int err = extents_attach(life->glue, rules->spec.path, shared, rules->limits.quota,
                             rules->spec.force, life, &pool->fd, &pool->bytes, text);

    if (!err && shared)
        pool->bytes = 0; /* the most is the quota, if there is one */
    return err;
}

/* The fd (-1 for memory), and in life->pool what the worker has to know of it. */
static int life_open_pool(struct life *life, const struct rules *rules, int *fd,
                          char text[WIRE_TEXT])
{
    bool device = rules->spec.kind == WIRE_POOL_BLOCK || rules->spec.kind == WIRE_POOL_SHARED;
    struct store_pool pool;
    int err = device ? life_open_device(life, rules, &pool, text)
                     : store_open_pool(&rules->spec, &pool, text);

    if (err)
        return err;
    life->pool = (struct wire_pool){.kind = rules->spec.kind,
                                    .flags = (rules->spec.lz4 ? WIRE_POOL_LZ4 : 0) |
                                             (rules->limits.no_integrity ? 0 : WIRE_POOL_INTEGRITY),
                                    .bytes = pool.bytes ? pool.bytes : rules->limits.quota,
                                    .ram = rules->limits.ram_budget,
                                    .low_water = rules->limits.low_water};
    *fd = pool.fd;
    return 0;
}

/* Rules and pool. */
static int life_prepare(struct life *life, int *pool, char text[WIRE_TEXT])
{
    struct rules rules;
    int err = life_read_rules(life, &rules, text);

    if (!err)
        err = life_open_pool(life, &rules, pool, text);
    if (err)
        return err;
    snprintf(life->pool_spec, sizeof(life->pool_spec), "%s", rules.pool);
    life->rates = (struct wire_rates){.iops = rules.limits.iops,
                                      .bandwidth = rules.limits.bandwidth};
    return 0;
}

/* Takes the descriptors; fds[1] is -1 for memory. */
static int life_hello(struct life *life, const int fds[2])
{
    struct wire_msg msg;

    wire_start(&msg, WIRE_HELLO, 0);
    msg.u.hello.version = WIRE_VERSION;
    msg.u.hello.threads = life->threads;
    msg.u.hello.domid = life->domid;
    msg.u.hello.poll = life->glue->policy->poll;
    msg.u.hello.pool = life->pool;
    msg.u.hello.rates = life->rates;
    snprintf(msg.u.hello.note, sizeof(msg.u.hello.note), "uuid=%s pool=%s", life->uuid,
             life->pool_spec);
    return worker_call(life->worker, &msg, fds, fds[1] < 0 ? 1 : 2, LIFE_HELLO, life_helloed, life);
}

static void life_close_fds(const int fds[2])
{
    for (int i = 0; i < 2; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

/* Its worker cannot stay; life->error says why. */
static int life_give_up(struct life *life, int err, const int fds[2])
{
    life->hushed = true;
    life_close_fds(fds);
    worker_kill(life->worker);
    return err;
}

int life_start(struct life *life, char text[WIRE_TEXT])
{
    const struct policy *policy = life->glue->policy;
    int fds[2] = {-1, -1};

    int err = life_prepare(life, &fds[1], text);
    if (err)
        return err;
    fds[0] = life_listen(life, text);
    err = fds[0] < 0 ? fds[0] : 0;
    if (!err)
        err = worker_spawn(life->glue->loop, policy->worker, &life_ops, life, &life->worker, text);
    if (err) {
        life_close_fds(fds);
        return err;
    }
    err = life_note_worker(life);
    if (err) {
        /* The next daemon could not take it over. */
        snprintf(life->error, sizeof(life->error), "the worker's pid cannot be noted in %.100s: %s",
                 policy->run_dir, strerror(-err));
        return life_give_up(life, err, fds);
    }
    err = life_confine(life, fds[1]);
    if (err)
        return life_give_up(life, err, fds);
    return life_hello(life, fds);
}

uint64_t life_number(void)
{
    static uint64_t last;
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now);
    uint64_t number = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    last = number > last ? number : last + 1;
    return last;
}
