// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * worker: a queue of questions.  Those already sent stand before those still to be sent; the
 * socket is non-blocking, so a worker that reads nothing stops nobody.  A worker is over when its
 * process is.
 */
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"
#include "process.h"
#include "util.h"

#define WORKER_LONGER 10000 /* ms more for a question that is borne */

struct worker_question {
    struct list link;
    struct wire_msg msg;
    int fds[WIRE_FDS];
    unsigned int nfds;
    uint64_t deadline; /* ms; 0: none */
    worker_done *done;
    void *arg;
};

enum { WORKER_SENT, WORKER_QUEUED, WORKER_LISTS };

struct worker {
    struct loop *loop;
    const struct worker_ops *ops;
    void *owner;
    pid_t pid;
    struct loop_source sock;    /* fd -1: not connected */
    struct loop_source process; /* pidfd */
    struct loop_timer timer;
    struct list questions[2]; /* sent; still to be sent */
    uint32_t cookie;
};

static void question_free(struct worker_question *q)
{
    for (unsigned int i = 0; i < q->nfds; i++)
        close(q->fds[i]);
    free(q);
}

static void worker_fail_all(struct worker *w)
{
    struct list *it;

    for (int i = 0; i < WORKER_LISTS; i++)
        while ((it = list_pop(&w->questions[i]))) {
            struct worker_question *q = container_of(it, struct worker_question, link);

            q->done(q->arg, -EPIPE, "");
            question_free(q);
        }
}

static uint64_t worker_earliest(struct worker *w)
{
    uint64_t due = UINT64_MAX;

    for (int i = 0; i < WORKER_LISTS; i++)
        list_for_each(it, &w->questions[i])
        {
            uint64_t deadline = container_of(it, struct worker_question, link)->deadline;

            if (deadline && deadline < due)
                due = deadline;
        }
    return due;
}

static void worker_set_timer(struct worker *w)
{
    uint64_t due = worker_earliest(w), now = loop_now();

    if (due == UINT64_MAX)
        loop_timer_stop(&w->timer);
    else
        loop_timer_set(w->loop, &w->timer, due > now ? (uint32_t)min_u64(due - now, 60000) : 1);
}

/* Questions that are due get WORKER_LONGER. */
static void worker_bear(struct worker *w)
{
    for (int i = 0; i < WORKER_LISTS; i++)
        list_for_each(it, &w->questions[i])
        {
            struct worker_question *q = container_of(it, struct worker_question, link);

            if (q->deadline && q->deadline <= loop_now())
                q->deadline = loop_now() + WORKER_LONGER;
        }
}

static void worker_late(struct loop_timer *timer)
{
    struct worker *w = container_of(timer, struct worker, timer);

    if (worker_earliest(w) <= loop_now()) {
        if (!w->ops->late(w->owner)) {
            log_error("worker %d does not answer: killing it", (int)w->pid);
            worker_kill(w);
            return;
        }
        worker_bear(w);
    }
    worker_set_timer(w);
}

void worker_disconnect(struct worker *w)
{
    struct list *it;

    loop_remove(&w->sock);
    if (w->sock.fd >= 0)
        close(w->sock.fd);
    w->sock.fd = -1;
    for (int i = 0; i < WORKER_LISTS; i++)
        while ((it = list_pop(&w->questions[i])))
            question_free(container_of(it, struct worker_question, link));
    loop_timer_stop(&w->timer);
}

static void worker_hung_up(struct worker *w, int error)
{
    loop_remove(&w->sock);
    if (w->ops->hung_up(w->owner, error))
        worker_disconnect(w);
    else
        process_kill(w->process.fd);
}

static void worker_flush(struct worker *w)
{
    while (!list_empty(&w->questions[WORKER_QUEUED])) {
        struct worker_question *q = container_of(w->questions[WORKER_QUEUED].next,
                                                 struct worker_question, link);
        int err = wire_send(w->sock.fd, &q->msg, q->fds, q->nfds);

        if (err == -EAGAIN)
            break;
        if (err) {
            worker_hung_up(w, err);
            return;
        }
        for (unsigned int i = 0; i < q->nfds; i++)
            close(q->fds[i]);
        q->nfds = 0;
        list_remove(&q->link);
        list_append(&w->questions[WORKER_SENT], &q->link);
    }
    if (w->sock.loop)
        loop_change(&w->sock,
                    list_empty(&w->questions[WORKER_QUEUED]) ? EPOLLIN : EPOLLIN | EPOLLOUT);
}

static void worker_answer(struct worker *w, const struct wire_msg *msg)
{
    list_for_each(it, &w->questions[WORKER_SENT])
    {
        struct worker_question *q = container_of(it, struct worker_question, link);

        if (q->msg.cookie != msg->cookie)
            continue;
        list_remove(&q->link);
        worker_set_timer(w);
        q->done(q->arg, msg->u.reply.error > 0 ? -EPROTO : msg->u.reply.error, msg->u.reply.text);
        question_free(q);
        return;
    }
    log_error("worker %d answers what nobody asked", (int)w->pid);
    worker_hung_up(w, -EPROTO);
}

/* A worker's words go into logs and xenstore, and a worker may have been subverted. */
static void worker_clean(char *text)
{
    for (; *text; text++)
        if (*text < ' ' || *text > '~')
            *text = '?';
}

/* 1 when a message was taken, 0 when there is none, negative errno when there will be none. */
static int worker_take(struct worker *w)
{
    struct wire_msg msg;
    int fds[WIRE_FDS];

    if (w->sock.fd < 0)
        return 0;
    int got = wire_receive(w->sock.fd, &msg, fds);
    for (int i = 0; i < WIRE_FDS; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    if (got == -EAGAIN)
        return 0;
    if (got <= 0)
        return got ? got : -EPIPE;
    if (msg.type == WIRE_REPLY)
        worker_clean(msg.u.reply.text);
    else if (msg.type == WIRE_DEAD)
        worker_clean(msg.u.dead.text);
    if (msg.type == WIRE_REPLY)
        worker_answer(w, &msg);
    else
        w->ops->message(w->owner, &msg);
    return 1;
}

static void worker_sock_ready(struct loop_source *source, uint32_t events)
{
    struct worker *w = container_of(source, struct worker, sock);
    int got = 0;

    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        for (int i = 0; i < 64; i++) {
            got = worker_take(w);
            if (got <= 0)
                break;
        }
    if (got < 0)
        worker_hung_up(w, got);
    else if (w->sock.loop)
        worker_flush(w);
}

static void worker_process_ready(struct loop_source *source, uint32_t events)
{
    struct worker *w = container_of(source, struct worker, process);
    char how[160];

    (void)events;
    while (worker_take(w) > 0)
        ;
    loop_remove(&w->sock);
    loop_remove(&w->process);
    loop_timer_stop(&w->timer);
    process_reap(w->process.fd, how, sizeof(how));
    worker_fail_all(w);
    w->ops->exited(w->owner, how);
}

/* Takes `pidfd`, or its negative errno.  *out is untouched on failure. */
static int worker_make(struct loop *loop, pid_t pid, int pidfd, const struct worker_ops *ops,
                       void *owner, struct worker **out)
{
    if (pidfd < 0)
        return pidfd;
    struct worker *w = calloc(1, sizeof(*w));
    if (!w) {
        close(pidfd);
        return -ENOMEM;
    }
    *w = (struct worker){.loop = loop, .ops = ops, .owner = owner, .pid = pid, .cookie = 1};
    w->sock = (struct loop_source){.fd = -1, .ready = worker_sock_ready};
    w->process = (struct loop_source){.fd = pidfd, .ready = worker_process_ready};
    w->timer.fire = worker_late;
    for (int i = 0; i < WORKER_LISTS; i++)
        list_init(&w->questions[i]);
    int err = loop_add(loop, &w->process, EPOLLIN);
    if (err)
        worker_close(w);
    else
        *out = w;
    return err;
}

int worker_connect(struct worker *w, int sock)
{
    worker_disconnect(w);
    w->sock.fd = sock;
    int err = loop_add(w->loop, &w->sock, EPOLLIN);
    if (err)
        worker_disconnect(w);
    return err;
}

bool worker_is_connected(const struct worker *w)
{
    return w->sock.loop != NULL;
}

int worker_spawn(struct loop *loop, const char *path, const struct worker_ops *ops, void *owner,
                 struct worker **out, char text[WIRE_TEXT])
{
    int pair[2];
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair)) {
        int err = -errno;
        snprintf(text, WIRE_TEXT, "socketpair: %s", strerror(-err));
        return err;
    }
    /* Each end has its own flags: the worker's starts out blocking. */
    int err = fcntl(pair[1], F_SETFL, 0) ? -errno : process_spawn(path, pair[1], &pid);
    close(pair[1]);
    if (err) {
        close(pair[0]);
        snprintf(text, WIRE_TEXT, "cannot start the worker %s: %s; install it or pass --worker",
                 path, strerror(-err));
        return err;
    }
    struct worker *w = NULL;
    err = worker_make(loop, pid, process_watch(pid), ops, owner, &w);
    if (err)
        close(pair[0]);
    else
        err = worker_connect(w, pair[0]);
    if (err) {
        worker_close(w);
        kill(pid, SIGKILL); /* our child, not reaped yet: the pid is its */
        waitpid(pid, NULL, 0);
        snprintf(text, WIRE_TEXT, "cannot follow the worker: %s", strerror(-err));
        return err;
    }
    *out = w;
    return 0;
}

int worker_adopt(struct loop *loop, pid_t pid, unsigned long long started,
                 const struct worker_ops *ops, void *owner, struct worker **out)
{
    return worker_make(loop, pid, process_follow(pid, started), ops, owner, out);
}

void worker_close(struct worker *w)
{
    if (!w)
        return;
    loop_remove(&w->process);
    worker_disconnect(w);
    if (w->process.fd >= 0)
        close(w->process.fd);
    free(w);
}

int worker_call(struct worker *w, struct wire_msg *msg, const int *fds, unsigned int nfds,
                uint32_t patience, worker_done *done, void *arg)
{
    struct worker_question *q = calloc(1, sizeof(*q));

    if (!q || !w->sock.loop) {
        for (unsigned int i = 0; i < nfds; i++)
            close(fds[i]);
        free(q);
        return w->sock.loop ? -ENOMEM : -EPIPE;
    }
    msg->cookie = w->cookie++;
    if (!w->cookie)
        w->cookie = 1;
    q->msg = *msg;
    q->nfds = nfds;
    for (unsigned int i = 0; i < nfds; i++)
        q->fds[i] = fds[i];
    q->deadline = patience ? loop_now() + patience : 0;
    q->done = done;
    q->arg = arg;
    list_append(&w->questions[WORKER_QUEUED], &q->link);
    worker_flush(w);
    worker_set_timer(w);
    return 0;
}

void worker_hasten(struct worker *w, const void *arg, uint32_t ms)
{
    uint64_t most = loop_now() + ms;

    for (int i = 0; i < WORKER_LISTS; i++)
        list_for_each(it, &w->questions[i])
        {
            struct worker_question *q = container_of(it, struct worker_question, link);

            if (q->arg == arg && (!q->deadline || q->deadline > most))
                q->deadline = most;
        }
    worker_set_timer(w);
}

void worker_kill(struct worker *w)
{
    process_kill(w->process.fd);
}

pid_t worker_pid(const struct worker *w)
{
    return w->pid;
}
