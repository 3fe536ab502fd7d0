/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kernel: the few system calls of a turn, done in this process: eventfd, epoll and one end of stream
 * sockets, at numbers no real descriptor has; everything else goes to the real ones.  Time stands
 * still but for kernel_pass().  The linker puts these in front (--wrap).
 */
#ifndef FUZZ_KERNEL_H
#define FUZZ_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* No descriptors; time begins anew. */
void kernel_reset(void);
void kernel_pass(uint64_t us);

/* How many descriptors are open. */
uint32_t kernel_open(void);

/* A listening socket; kernel_arrives: `fd` of kernel_socket() is the next to be accepted. */
int kernel_listener(void);
void kernel_arrives(int listener, int fd);

/* Called instead of waiting for a condition, without its lock. */
extern void (*kernel_waits)(void);

/* A connected stream socket whose other end is the caller's: what he sends, what he takes. */
int kernel_socket(void);
void kernel_send(int fd, const void *bytes, size_t n);
void kernel_shut(int fd);
/* Bytes sent and not read. */
size_t kernel_waiting(int fd);
void kernel_close(int fd);
/* Bytes the other side may write before it blocks. */
void kernel_room(int fd, size_t n);
/* Moves at most `n` of what was written to `out`. */
size_t kernel_receive(int fd, uint8_t *out, size_t n);
/* The other side has closed it. */
bool kernel_gone(int fd);

#endif
