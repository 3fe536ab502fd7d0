/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * process: starting a worker's process, and following one by its pidfd.
 */
#ifndef EPHEM_PROCESS_H
#define EPHEM_PROCESS_H

#include <stddef.h>
#include <sys/types.h>

/* A worker running `path` with `sock` as descriptor 3.  0 and its pid, or negative errno. */
int process_spawn(const char *path, int sock, pid_t *pid);

/* A close-on-exec pidfd, or negative errno. */
int process_watch(pid_t pid);

/* The same for the process that started at `started`, and no other that has its pid by now:
 * -ESRCH. */
int process_follow(pid_t pid, unsigned long long started);

void process_kill(int pidfd);

/* Reaps an ended child (a stranger's end leaves nothing to reap) and words how it ended. */
void process_reap(int pidfd, char *how, size_t size);

/* When the process started, in clock ticks; tells a pid from its reuse.  0 when it is gone. */
unsigned long long process_started(pid_t pid);

#endif
