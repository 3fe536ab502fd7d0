// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * aio: a queue in front of io_submit, an eventfd behind it.  io_submit takes a prefix or refuses the
 * first operation; a refused one is completed with its error, the rest is tried on.
 */
#include "aio.h"

#include <errno.h>
#include <libaio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

_Static_assert(sizeof(struct iocb) == sizeof(((struct aio_op *)0)->control), "struct iocb");

struct aio {
    io_context_t context;
    int event;
    unsigned int flying;
    struct list queue;
};

int aio_open(struct aio **out)
{
    struct aio *aio = calloc(1, sizeof(*aio));
    int err;

    if (!aio)
        return -ENOMEM;
    list_init(&aio->queue);
    aio->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (aio->event < 0) {
        err = -errno;
        goto out_free;
    }
    err = io_setup(AIO_DEPTH, &aio->context);
    if (err)
        goto out_event;
    *out = aio;
    return 0;
out_event:
    close(aio->event);
out_free:
    free(aio);
    return err;
}

void aio_close(struct aio *aio)
{
    if (!aio)
        return;
    io_destroy(aio->context);
    close(aio->event);
    free(aio);
}

int aio_fd(const struct aio *aio)
{
    return aio->event;
}

static struct iocb *op_iocb(struct aio_op *op)
{
    return (struct iocb *)(void *)op->control;
}

static void aio_queue(struct aio *aio, struct aio_op *op)
{
    io_set_eventfd(op_iocb(op), aio->event);
    op_iocb(op)->data = op;
    list_append(&aio->queue, &op->link);
}

void aio_read(struct aio *aio, struct aio_op *op, int fd, void *buf, size_t len, uint64_t offset)
{
    io_prep_pread(op_iocb(op), fd, buf, len, (long long)offset);
    aio_queue(aio, op);
}

void aio_write(struct aio *aio, struct aio_op *op, int fd, const struct iovec *iov, int count,
               uint64_t offset)
{
    io_prep_pwritev(op_iocb(op), fd, iov, count, (long long)offset);
    aio_queue(aio, op);
}

bool aio_submit(struct aio *aio)
{
    bool refused = false;

    while (!list_empty(&aio->queue) && aio->flying < AIO_DEPTH) {
        struct iocb *batch[AIO_DEPTH];
        long n = 0;

        list_for_each(it, &aio->queue)
        {
            if (aio->flying + (unsigned int)n == AIO_DEPTH)
                break;
            batch[n++] = op_iocb(container_of(it, struct aio_op, link));
        }
        int taken = io_submit(aio->context, n, batch);
        if (taken == -EAGAIN && aio->flying)
            break;
        for (int i = 0; i < taken; i++)
            list_pop(&aio->queue);
        if (taken > 0) {
            aio->flying += (unsigned int)taken;
        } else {
            struct aio_op *op = container_of(list_pop(&aio->queue), struct aio_op, link);
            op->done(op, taken ? taken : -EIO);
            refused = true;
        }
    }
    return refused;
}

bool aio_reap(struct aio *aio)
{
    struct io_event events[AIO_DEPTH];
    struct timespec none = {0, 0};
    uint64_t count;
    bool any = false;

    if (read(aio->event, &count, sizeof(count)) < 0 && !aio->flying)
        return false;
    for (;;) {
        int n = io_getevents(aio->context, 0, AIO_DEPTH, events, &none);
        if (n <= 0)
            return any;
        any = true;
        aio->flying -= (unsigned int)n;
        for (int i = 0; i < n; i++) {
            struct aio_op *op = events[i].data;
            op->done(op, (int64_t)(long)events[i].res);
        }
        if (n < (int)AIO_DEPTH)
            return true;
    }
}
