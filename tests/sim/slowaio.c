// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * slowaio: preloaded into a worker, its writes reach the disk SLOWAIO_MS after they were submitted,
 * while its threads go on. So a test knows that requests are under way, and until when at least.
 *
 * The thread is made before the worker shuts itself in, and needs nothing but futex and io_submit.
 * Deliberately absent: io_cancel, which nobody uses, and errors of a late submission but for a full
 * context, which end the worker.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <libaio.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define ROOM 4096

static struct {
    io_context_t context;
    struct iocb *block;
    struct timespec due;
} late[ROOM];

static unsigned head, tail;
static long delay_ms;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more;

static int submit_now(io_context_t context, struct iocb *block)
{
    return syscall(SYS_io_submit, context, 1, &block) == 1 ? 0 : -errno;
}

static int is_due(const struct timespec *due)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec > due->tv_sec || (now.tv_sec == due->tv_sec && now.tv_nsec >= due->tv_nsec);
}

static void *run(void *arg)
{
    pthread_mutex_lock(&lock);
    for (;;) {
        unsigned at = tail % ROOM;

        if (head == tail) {
            pthread_cond_wait(&more, &lock);
        } else if (!is_due(&late[at].due)) {
            pthread_cond_timedwait(&more, &lock, &late[at].due);
        } else {
            int err = submit_now(late[at].context, late[at].block);

            if (err && err != -EAGAIN)
                abort();
            tail += !err;
        }
    }
    return arg;
}

/* Takes the place of libaio's. */
int io_submit(io_context_t context, long count, struct iocb **blocks)
{
    for (long i = 0; i < count; i++) {
        struct iocb *block = blocks[i];
        int write = block->aio_lio_opcode == IO_CMD_PWRITE ||
                    block->aio_lio_opcode == IO_CMD_PWRITEV;
        int err = write ? 0 : submit_now(context, block);

        if (err)
            return i ? (int)i : err;
        if (!write)
            continue;
        pthread_mutex_lock(&lock);
        if (head - tail == ROOM)
            abort();
        late[head % ROOM].context = context;
        late[head % ROOM].block = block;
        clock_gettime(CLOCK_MONOTONIC, &late[head % ROOM].due);
        late[head % ROOM].due.tv_sec += delay_ms / 1000;
        late[head % ROOM].due.tv_nsec += delay_ms % 1000 * 1000000;
        if (late[head % ROOM].due.tv_nsec >= 1000000000) {
            late[head % ROOM].due.tv_nsec -= 1000000000;
            late[head % ROOM].due.tv_sec++;
        }
        head++;
        pthread_cond_signal(&more);
        pthread_mutex_unlock(&lock);
    }
    return (int)count;
}

__attribute__((constructor)) static void start(void)
{
    const char *text = getenv("SLOWAIO_MS");
    pthread_condattr_t attr;
    pthread_t thread;

    delay_ms = text ? atol(text) : 0;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&more, &attr);
    if (pthread_create(&thread, NULL, run, NULL))
        abort();
}
