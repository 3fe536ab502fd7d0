/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kernel_calls: what the linker makes of system calls (--wrap), and the real ones.  kernel.c's own.
 */
#ifndef FUZZ_KERNEL_CALLS_H
#define FUZZ_KERNEL_CALLS_H

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

int __real_clock_gettime(clockid_t id, struct timespec *out);
ssize_t __real_read(int fd, void *out, size_t n);
ssize_t __real_write(int fd, const void *from, size_t n);
int __real_close(int fd);
ssize_t __real_readv(int fd, const struct iovec *iov, int n);
ssize_t __real_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __real_send(int fd, const void *from, size_t n, int flags);
int __wrap_clock_gettime(clockid_t id, struct timespec *out);
ssize_t __wrap_read(int fd, void *out, size_t n);
ssize_t __wrap_write(int fd, const void *from, size_t n);
int __wrap_close(int fd);
ssize_t __wrap_readv(int fd, const struct iovec *iov, int n);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_send(int fd, const void *from, size_t n, int flags);
ssize_t __real_recv(int fd, void *out, size_t n, int flags);
ssize_t __wrap_recv(int fd, void *out, size_t n, int flags);
int __real_getsockopt(int fd, int level, int name, void *out, socklen_t *length);
int __wrap_getsockopt(int fd, int level, int name, void *out, socklen_t *length);
int __real_accept4(int fd, struct sockaddr *address, socklen_t *length, int flags);
int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *length, int flags);
int __wrap_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock);
int __real_fcntl(int fd, int command, int value);
int __wrap_fcntl(int fd, int command, int value);
int __wrap_eventfd(unsigned int count, int flags);
int __wrap_epoll_create1(int flags);
int __wrap_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event);
int __wrap_epoll_wait(int epoll, struct epoll_event *out, int most, int ms);
int __wrap_epoll_pwait2(int epoll, struct epoll_event *out, int most, const struct timespec *wait,
                        const void *mask);

#endif
