// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * life_start: a life's first steps: pool, listening socket, process, HELLO.
 * Two files stand for a life in <run-dir>/workers: a socket the worker listens on, and its pid with
 * its start time, written by us alone, so that a worker cannot point the next daemon's SIGKILL at
 * somebody else.
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
#include "log.h"
#include "process.h"
#include "store.h"

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

static int life_note_pid(const struct life *life)
{
    char path[LIFE_PATH];
    pid_t pid = worker_pid(life->worker);

    life_path(life, "pid", path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    int err = dprintf(fd, "%d %llu\n", (int)pid, process_started(pid)) < 0 ? -errno : 0;
    if (close(fd) && !err)
        err = -errno;
    return err;
}

/* The pool, by the policy: its descriptor is the caller's.  As extents_attach(). */
static int life_open_pool(struct life *life, struct wire_pool *pool, int *fd, char text[WIRE_TEXT])
{
    const char *spec = life->glue->policy->pool;
    char device[PATH_MAX];

    if (strncmp(spec, "block:", 6)) {
        *fd = store_open_pool(spec, text);
        return *fd < 0 ? *fd : 0;
    }
    if (copy_string(device, sizeof(device), spec + 6))
        return -ENAMETOOLONG;
    char *flag = device;
    uint64_t quota = 0;
    strsep(&flag, ",");
    pool->kind = flag && !strncmp(flag, "shared", 6) ? WIRE_POOL_SHARED : WIRE_POOL_BLOCK;
    if (flag && !strncmp(flag, "shared,quota=", 13) && parse_size(flag + 13, &quota))
        return -EINVAL;
    int err = extents_attach(life->glue, device, pool->kind == WIRE_POOL_SHARED, quota, false, life,
                             fd, &pool->bytes, text);
    if (!err && quota)
        pool->bytes = quota;
    return err;
}

int life_start(struct life *life, char text[WIRE_TEXT])
{
    const struct policy *policy = life->glue->policy;
    struct wire_pool pool = {.kind = WIRE_POOL_DIR};
    struct wire_msg msg;
    int fds[2];

    int err = life_open_pool(life, &pool, &fds[1], text);
    if (err)
        return err;
    fds[0] = life_listen(life, text);
    err = fds[0] < 0 ? fds[0] : 0;
    if (!err)
        err = worker_spawn(life->glue->loop, policy->worker, &life_ops, life, &life->worker, text);
    if (err) {
        close(fds[1]);
        if (fds[0] >= 0)
            close(fds[0]);
        return err;
    }
    wire_start(&msg, WIRE_HELLO, 0);
    msg.u.hello.version = WIRE_VERSION;
    msg.u.hello.threads = life->threads;
    msg.u.hello.pool = pool;
    snprintf(msg.u.hello.note, sizeof(msg.u.hello.note), "uuid=%s pool=%.900s", life->uuid,
             policy->pool);
    err = life_note_pid(life);
    if (err) {
        /* The next daemon could not take it over. */
        snprintf(life->error, sizeof(life->error), "the worker's pid cannot be noted in %.100s: %s",
                 policy->run_dir, strerror(-err));
        life->hushed = true;
        close(fds[0]);
        close(fds[1]);
        worker_kill(life->worker);
        return err;
    }
    return worker_call(life->worker, &msg, fds, 2, LIFE_HELLO, life_helloed, life);
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
