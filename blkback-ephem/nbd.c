// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * nbd: the door: accepts on the main loop, or is given connections that somebody else has accepted,
 * hands each to the next lane, and closes in order: no new connection, then hang up in every lane,
 * then wait for the last to end.
 * Below it: nbd_conn (input and life), nbd_handshake, nbd_request, nbd_reply.
 * Deliberately absent: who may connect.  That is the permissions of the socket, or the business of who
 * accepts.
 */
#include "nbd.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "log.h"
#include "mailbox.h"
#include "nbd_conn.h"

#define NBD_CONNECTIONS 16u
#define ACCEPT_BATCH    16
#define ACCEPT_PAUSE_MS 1000u

struct nbd {
    struct loop *loop;
    struct loop_source listener;
    struct loop_timer pause;
    struct log_limit limit;
    struct nbd_export *exports;
    size_t nexports;
    struct nbd_home *homes;
    size_t nhomes, next;
    pthread_mutex_t lock;
    pthread_cond_t none;
    uint32_t connections; /* under lock, as what follows */
    struct mailbox *mailbox;
    struct work *shut; /* to be posted with the last connection's end */
};

static bool nbd_admit(struct nbd *nbd)
{
    pthread_mutex_lock(&nbd->lock);
    bool room = nbd->connections < NBD_CONNECTIONS;
    if (room)
        nbd->connections++;
    pthread_mutex_unlock(&nbd->lock);
    return room;
}

void nbd_ended(struct nbd *nbd)
{
    pthread_mutex_lock(&nbd->lock);
    if (!--nbd->connections) {
        pthread_cond_signal(&nbd->none);
        if (nbd->shut)
            mailbox_post(nbd->mailbox, nbd->shut);
    }
    pthread_mutex_unlock(&nbd->lock);
}

void nbd_welcome(struct nbd *nbd, int fd)
{
    struct nbd_home *home = &nbd->homes[nbd->next];
    struct nbd_handshake *handshake = NULL;
    struct nbd_conn *conn;

    if (!nbd_admit(nbd)) {
        if (log_allowed(&nbd->limit))
            log_warn("an NBD client was turned away: %u are connected", NBD_CONNECTIONS);
        close(fd);
        return;
    }
    if (nbd_handshake_open(&handshake, nbd->exports, nbd->nexports) ||
        nbd_conn_open(&conn, home, fd, handshake)) {
        free(handshake);
        close(fd);
        nbd_ended(nbd);
        return;
    }
    nbd->next = (nbd->next + 1) % nbd->nhomes;
    iothread_post(lane_thread(home->lane), &conn->start);
}

/* Out of descriptors or memory: looking again at once would only spin. */
static void nbd_pause(struct nbd *nbd, int err)
{
    if (log_allowed(&nbd->limit))
        log_warn("cannot accept an NBD client now: %s; trying again", strerror(err));
    loop_remove(&nbd->listener);
    loop_timer_set(nbd->loop, &nbd->pause, ACCEPT_PAUSE_MS);
}

static void nbd_accept(struct loop_source *source, uint32_t events)
{
    struct nbd *nbd = container_of(source, struct nbd, listener);

    (void)events;
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        int fd = accept4(source->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            nbd_welcome(nbd, fd);
        } else if (errno != EINTR && errno != ECONNABORTED) {
            if (errno != EAGAIN)
                nbd_pause(nbd, errno);
            return;
        }
    }
}

static void nbd_resume(struct loop_timer *timer)
{
    struct nbd *nbd = container_of(timer, struct nbd, pause);

    if (loop_add(nbd->loop, &nbd->listener, EPOLLIN))
        loop_timer_set(nbd->loop, &nbd->pause, ACCEPT_PAUSE_MS);
}

static bool home_flush(struct iothread_hook *hook)
{
    struct nbd_home *home = container_of(hook, struct nbd_home, hook);
    struct list now;

    list_init(&now);
    for (struct list *it; (it = list_pop(&home->touched));)
        list_append(&now, it);
    for (struct list *it; (it = list_pop(&now));)
        nbd_conn_turn(container_of(it, struct nbd_conn, touched));
    return !list_empty(&home->touched);
}

static void home_open(void *arg)
{
    struct nbd_home *home = arg;

    home->hook.flush = home_flush;
    list_init(&home->conns);
    list_init(&home->touched);
    iothread_hook_add(lane_thread(home->lane), &home->hook);
}

static void home_hang_up(void *arg)
{
    struct nbd_home *home = arg;

    list_for_each_safe(it, next, &home->conns)
        nbd_conn_hang_up(container_of(it, struct nbd_conn, link));
}

static void home_close(void *arg)
{
    struct nbd_home *home = arg;

    list_remove(&home->hook.link);
}

static void nbd_each_home(struct nbd *nbd, void (*fn)(void *home))
{
    for (size_t i = 0; i < nbd->nhomes; i++)
        iothread_call(lane_thread(nbd->homes[i].lane), fn, &nbd->homes[i]);
}

static void nbd_free(struct nbd *nbd)
{
    pthread_cond_destroy(&nbd->none);
    pthread_mutex_destroy(&nbd->lock);
    free(nbd->homes);
    free(nbd->exports);
    free(nbd);
}

int nbd_open(struct nbd **out, struct loop *loop, int listener, const struct nbd_export *exports,
             size_t nexports, struct lane *const *lanes, size_t nlanes, struct limit *limit)
{
    struct nbd *nbd = calloc(1, sizeof(*nbd));
    int err = -ENOMEM;

    if (!nbd)
        return -ENOMEM;
    pthread_mutex_init(&nbd->lock, NULL);
    pthread_cond_init(&nbd->none, NULL);
    nbd->loop = loop;
    nbd->limit.burst = 5;
    nbd->pause.fire = nbd_resume;
    nbd->listener = (struct loop_source){.fd = listener, .ready = nbd_accept};
    nbd->exports = calloc(nexports, sizeof(*nbd->exports));
    nbd->homes = calloc(nlanes, sizeof(*nbd->homes));
    if (!nbd->exports || !nbd->homes)
        goto out;
    nbd->nexports = nexports;
    nbd->nhomes = nlanes;
    for (size_t i = 0; i < nexports; i++)
        nbd->exports[i] = exports[i];
    for (size_t i = 0; i < nlanes; i++)
        nbd->homes[i] = (struct nbd_home){.nbd = nbd, .lane = lanes[i], .limit = limit};
    nbd_each_home(nbd, home_open);
    err = listener < 0 ? 0 : loop_add(loop, &nbd->listener, EPOLLIN);
    if (err) {
        nbd_each_home(nbd, home_close);
        goto out;
    }
    *out = nbd;
    return 0;
out:
    nbd_free(nbd);
    return err;
}

static void nbd_hang_up(struct nbd *nbd)
{
    loop_remove(&nbd->listener);
    loop_timer_stop(&nbd->pause);
    nbd_each_home(nbd, home_hang_up);
}

void nbd_shut(struct nbd *nbd, struct mailbox *mailbox, struct work *shut)
{
    nbd_hang_up(nbd);
    pthread_mutex_lock(&nbd->lock);
    nbd->mailbox = mailbox;
    nbd->shut = shut;
    bool none = !nbd->connections;
    pthread_mutex_unlock(&nbd->lock);
    if (none)
        mailbox_post(mailbox, shut);
}

void nbd_close(struct nbd *nbd)
{
    if (!nbd)
        return;
    nbd_hang_up(nbd);
    pthread_mutex_lock(&nbd->lock);
    while (nbd->connections)
        pthread_cond_wait(&nbd->none, &nbd->lock);
    pthread_mutex_unlock(&nbd->lock);
    nbd_each_home(nbd, home_close);
    nbd_free(nbd);
}
