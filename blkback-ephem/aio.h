/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * aio: batched asynchronous reads and writes of one thread.  The only user of libaio.
 * Operations are queued, handed to the kernel together by aio_submit, and completed by aio_reap;
 * more operations than the kernel context holds simply wait.  No locking: one thread.
 */
#ifndef EPHEM_AIO_H
#define EPHEM_AIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include "util.h"

/* Kernel requests a thread: 4 threads x 32 guests stay far below aio-max-nr 65536. */
#define AIO_DEPTH 128u

struct aio;

/* Embedded in its owner and untouched from queueing until `done`. */
struct aio_op {
    struct list link;
    _Alignas(8) uint8_t control[64];                 /* struct iocb */
    void (*done)(struct aio_op *op, int64_t result); /* bytes or negative errno */
};

/* 0 or negative errno; -EAGAIN: the system's aio-max-nr is used up. */
int aio_open(struct aio **out);

/* Nothing may be in flight. */
void aio_close(struct aio *aio);

/* Readable when completions wait. */
int aio_fd(const struct aio *aio);

void aio_read(struct aio *aio, struct aio_op *op, int fd, void *buf, size_t len, uint64_t offset);
/* `iov` stays the caller's until `done`. */
void aio_write(struct aio *aio, struct aio_op *op, int fd, const struct iovec *iov, int count,
               uint64_t offset);

/* Hands over what is queued.  True: `done` ran inside, for operations the kernel refused. */
bool aio_submit(struct aio *aio);

/* Runs `done` of everything that has completed.  True: something had. */
bool aio_reap(struct aio *aio);

#endif
