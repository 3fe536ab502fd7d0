// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * mailbox: a locked list and an eventfd, rung when the list stops being empty.
 */
#include "mailbox.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "loop.h"

struct mailbox {
    struct loop_source bell;
    pthread_mutex_t lock;
    struct list mail; /* under lock */
};

static void mailbox_deliver(struct loop_source *source, uint32_t events)
{
    struct mailbox *mailbox = container_of(source, struct mailbox, bell);
    struct list mail;
    uint64_t count;

    (void)events;
    if (read(source->fd, &count, sizeof(count)) < 0)
        return;
    list_init(&mail);
    pthread_mutex_lock(&mailbox->lock);
    for (struct list *it; (it = list_pop(&mailbox->mail));)
        list_append(&mail, it);
    pthread_mutex_unlock(&mailbox->lock);
    for (struct list *it; (it = list_pop(&mail));) {
        struct work *work = container_of(it, struct work, link);
        work->run(work);
    }
}

int mailbox_open(struct mailbox **out, struct loop *loop)
{
    struct mailbox *mailbox = calloc(1, sizeof(*mailbox));
    int err;

    if (!mailbox)
        return -ENOMEM;
    mailbox->bell = (struct loop_source){.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
                                         .ready = mailbox_deliver};
    if (mailbox->bell.fd < 0) {
        err = -errno;
        goto out;
    }
    err = loop_add(loop, &mailbox->bell, EPOLLIN);
    if (err) {
        close(mailbox->bell.fd);
        goto out;
    }
    pthread_mutex_init(&mailbox->lock, NULL);
    list_init(&mailbox->mail);
    *out = mailbox;
    return 0;
out:
    free(mailbox);
    return err;
}

void mailbox_close(struct mailbox *mailbox)
{
    if (!mailbox)
        return;
    loop_remove(&mailbox->bell);
    close(mailbox->bell.fd);
    pthread_mutex_destroy(&mailbox->lock);
    free(mailbox);
}

void mailbox_post(struct mailbox *mailbox, struct work *work)
{
    uint64_t one = 1;

    pthread_mutex_lock(&mailbox->lock);
    bool ring = list_empty(&mailbox->mail);
    list_append(&mailbox->mail, &work->link);
    pthread_mutex_unlock(&mailbox->lock);
    while (ring && write(mailbox->bell.fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
}
