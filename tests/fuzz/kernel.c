// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kernel: a table of descriptors.  An epoll is a list of others, asked in order.
 */
#include "kernel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "kernel_calls.h"

#define FIRST   100000
#define ENTRIES 64
#define BYTES   (1u << 16) /* of a socket, each way */

enum kind { FREE, EVENT, EPOLL, SOCKET, LISTENER };

struct entry {
    enum kind kind;
    uint64_t count; /* EVENT */
    struct {
        int fd;
        struct epoll_event event;
    } watched[ENTRIES]; /* EPOLL */
    uint32_t nwatched;
    struct pipe {
        uint8_t bytes[BYTES];
        size_t from, to;
    } * in, *out; /* SOCKET; `in`: to the program */
    size_t room;
    bool shut, gone;
    int arrived[ENTRIES]; /* LISTENER */
    uint32_t narrived;
};

static struct entry entries[ENTRIES];
static uint64_t now_us;
void (*kernel_waits)(void);

static struct entry *entry_of(int fd)
{
    return fd >= FIRST && fd < FIRST + ENTRIES ? &entries[fd - FIRST] : NULL;
}

/* One that is remembered as gone only when there is no other. */
static int entry_new(enum kind kind)
{
    struct entry *e = NULL;

    for (int i = 0; i < ENTRIES; i++)
        if (entries[i].kind == FREE && (!e || (e->gone && !entries[i].gone)))
            e = &entries[i];
    if (!e)
        abort();
    e->kind = kind;
    e->count = 0;
    e->nwatched = 0;
    e->gone = false;
    return FIRST + (int)(e - entries);
}

void kernel_reset(void)
{
    for (int i = 0; i < ENTRIES; i++) {
        entries[i].kind = FREE;
        entries[i].gone = false;
    }
    now_us = 1000000000;
}

void kernel_pass(uint64_t us)
{
    now_us += us;
}

uint32_t kernel_open(void)
{
    uint32_t n = 0;

    for (int i = 0; i < ENTRIES; i++)
        n += entries[i].kind != FREE;
    return n;
}

int __wrap_clock_gettime(clockid_t id, struct timespec *out)
{
    if (id != CLOCK_MONOTONIC && id != CLOCK_REALTIME)
        return __real_clock_gettime(id, out);
    out->tv_sec = (time_t)(now_us / 1000000);
    out->tv_nsec = (long)(now_us % 1000000) * 1000;
    return 0;
}

int __wrap_eventfd(unsigned int count, int flags)
{
    int fd = entry_new(EVENT);

    (void)flags;
    entry_of(fd)->count = count;
    return fd;
}

static ssize_t fail(int error)
{
    errno = error;
    return -1;
}

static size_t pipe_move(struct pipe *pipe, void *out, size_t n)
{
    size_t have = pipe->to - pipe->from, some = have < n ? have : n;

    memcpy(out, pipe->bytes + pipe->from, some);
    pipe->from += some;
    if (pipe->from == pipe->to)
        pipe->from = pipe->to = 0;
    return some;
}

static size_t pipe_put(struct pipe *pipe, const void *from, size_t n)
{
    memmove(pipe->bytes, pipe->bytes + pipe->from, pipe->to - pipe->from);
    pipe->to -= pipe->from;
    pipe->from = 0;
    size_t some = BYTES - pipe->to < n ? BYTES - pipe->to : n;
    memcpy(pipe->bytes + pipe->to, from, some);
    pipe->to += some;
    return some;
}

ssize_t __wrap_read(int fd, void *out, size_t n)
{
    struct entry *e = entry_of(fd);

    if (!e)
        return __real_read(fd, out, n);
    if (e->kind != EVENT || n != sizeof(e->count))
        abort();
    if (!e->count)
        return fail(EAGAIN);
    memcpy(out, &e->count, n);
    e->count = 0;
    return (ssize_t)n;
}

ssize_t __wrap_write(int fd, const void *from, size_t n)
{
    struct entry *e = entry_of(fd);
    uint64_t more;

    if (fd == STDERR_FILENO)
        return (ssize_t)n; /* the program's log; the fuzzer's words go another way */
    if (!e)
        return __real_write(fd, from, n);
    if (e->kind != EVENT || n != sizeof(more))
        abort();
    memcpy(&more, from, n);
    e->count += more;
    return (ssize_t)n;
}

ssize_t __wrap_readv(int fd, const struct iovec *iov, int n)
{
    struct entry *e = entry_of(fd);
    size_t sum = 0;

    if (!e)
        return __real_readv(fd, iov, n);
    if (e->in->from == e->in->to && !e->shut)
        return fail(EAGAIN);
    for (int i = 0; i < n; i++)
        sum += pipe_move(e->in, iov[i].iov_base, iov[i].iov_len);
    return (ssize_t)sum;
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags)
{
    struct entry *e = entry_of(fd);
    size_t sum = 0;

    if (!e)
        return __real_sendmsg(fd, message, flags);
    for (size_t i = 0; i < message->msg_iovlen && e->room; i++) {
        size_t n = message->msg_iov[i].iov_len < e->room ? message->msg_iov[i].iov_len : e->room;
        size_t some = pipe_put(e->out, message->msg_iov[i].iov_base, n);
        sum += some;
        e->room -= some;
        if (some < message->msg_iov[i].iov_len)
            break;
    }
    return sum ? (ssize_t)sum : fail(EAGAIN);
}

ssize_t __wrap_send(int fd, const void *from, size_t n, int flags)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)from, .iov_len = n};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

    return entry_of(fd) ? __wrap_sendmsg(fd, &message, flags) : __real_send(fd, from, n, flags);
}

ssize_t __wrap_recv(int fd, void *out, size_t n, int flags)
{
    struct iovec iov = {.iov_base = out, .iov_len = n};

    return entry_of(fd) ? __wrap_readv(fd, &iov, 1) : __real_recv(fd, out, n, flags);
}

/* Whoever connects is ourselves. */
int __wrap_getsockopt(int fd, int level, int name, void *out, socklen_t *length)
{
    struct ucred us = {.pid = getpid(), .uid = geteuid(), .gid = getegid()};

    if (!entry_of(fd))
        return __real_getsockopt(fd, level, name, out, length);
    memcpy(out, &us, sizeof(us));
    return 0;
}

int __wrap_close(int fd)
{
    struct entry *e = entry_of(fd);

    if (!e)
        return __real_close(fd);
    if (e->kind == FREE)
        abort();
    e->gone = e->kind == SOCKET;
    e->kind = FREE;
    return 0;
}

int __wrap_fcntl(int fd, int command, int value)
{
    return entry_of(fd) ? 0 : __real_fcntl(fd, command, value);
}

int __wrap_epoll_create1(int flags)
{
    (void)flags;
    return entry_new(EPOLL);
}

int __wrap_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event)
{
    struct entry *e = entry_of(epoll);
    uint32_t i = 0;

    while (i < e->nwatched && e->watched[i].fd != fd)
        i++;
    if ((op == EPOLL_CTL_ADD) != (i == e->nwatched))
        abort(); /* added twice, or changed and never added */
    if (op == EPOLL_CTL_DEL) {
        e->nwatched--;
        memmove(&e->watched[i], &e->watched[i + 1], (e->nwatched - i) * sizeof(e->watched[0]));
        return 0;
    }
    e->nwatched += i == e->nwatched;
    e->watched[i].fd = fd;
    e->watched[i].event = *event;
    return 0;
}

static uint32_t entry_ready(const struct entry *e)
{
    if (e->kind == EVENT)
        return e->count ? (uint32_t)EPOLLIN : 0;
    if (e->kind == LISTENER)
        return e->narrived ? (uint32_t)EPOLLIN : 0;
    if (e->kind != SOCKET)
        return 0;
    return (e->in->from != e->in->to || e->shut ? (uint32_t)EPOLLIN : 0) |
           (e->room ? (uint32_t)EPOLLOUT : 0);
}

int __wrap_epoll_wait(int epoll, struct epoll_event *out, int most, int ms)
{
    const struct entry *e = entry_of(epoll);
    int n = 0;

    (void)ms;
    for (uint32_t i = 0; i < e->nwatched && n < most; i++) {
        const struct entry *other = entry_of(e->watched[i].fd);
        uint32_t ready = other ? entry_ready(other) & e->watched[i].event.events : 0;
        if (!ready)
            continue;
        out[n] = e->watched[i].event;
        out[n++].events = ready;
    }
    return n;
}

int __wrap_epoll_pwait2(int epoll, struct epoll_event *out, int most, const struct timespec *wait,
                        const void *mask)
{
    (void)wait, (void)mask;
    return __wrap_epoll_wait(epoll, out, most, 0);
}

int __wrap_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock)
{
    (void)cond;
    pthread_mutex_unlock(lock);
    if (!kernel_waits)
        abort();
    kernel_waits();
    pthread_mutex_lock(lock);
    return 0;
}

int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
    struct entry *e = entry_of(fd);

    if (!e)
        return __real_accept4(fd, address, length, flags);
    return e->narrived ? e->arrived[--e->narrived] : (int)fail(EAGAIN);
}

int kernel_listener(void)
{
    int fd = entry_new(LISTENER);

    entry_of(fd)->narrived = 0;
    return fd;
}

void kernel_arrives(int listener, int fd)
{
    struct entry *e = entry_of(listener);

    e->arrived[e->narrived++] = fd;
}

int kernel_socket(void)
{
    int fd = entry_new(SOCKET);
    struct entry *e = entry_of(fd);

    if (!e->in) {
        e->in = calloc(1, sizeof(*e->in));
        e->out = calloc(1, sizeof(*e->out));
    }
    e->in->from = e->in->to = e->out->from = e->out->to = 0;
    e->room = BYTES;
    e->shut = e->gone = false;
    return fd;
}

void kernel_send(int fd, const void *bytes, size_t n)
{
    pipe_put(entry_of(fd)->in, bytes, n);
}

size_t kernel_waiting(int fd)
{
    const struct pipe *in = entry_of(fd)->in;

    return in->to - in->from;
}

void kernel_close(int fd)
{
    __wrap_close(fd);
}

void kernel_shut(int fd)
{
    entry_of(fd)->shut = true;
}

void kernel_room(int fd, size_t n)
{
    entry_of(fd)->room = n;
}

size_t kernel_receive(int fd, uint8_t *out, size_t n)
{
    return pipe_move(entry_of(fd)->out, out, n);
}

bool kernel_gone(int fd)
{
    return entry_of(fd)->gone;
}
