/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * worker: one worker process and the questions put to it.  Questions go out in order, each is
 * answered exactly once, by the worker, by its end (-EPIPE) or by running out of patience, which
 * kills it: a worker that does not answer must not keep a dead guest's pages.
 * Knows nothing of guests and volumes.
 */
#ifndef EPHEM_WORKER_H
#define EPHEM_WORKER_H

#include <stdint.h>
#include <sys/types.h>

#include "loop.h"
#include "wire.h"

struct worker;

struct worker_ops {
    /* A message that is no answer: DEAD, and what STATS and RESUME bring.  `msg` is only lent. */
    void (*message)(void *owner, const struct wire_msg *msg);
    /* The process is gone, reaped, and all questions are answered.  `how` says how it ended.
     * The owner may worker_close() here. */
    void (*exited)(void *owner, const char *how);
};

/* `error`: 0 or negative errno; `text`: the worker's words, maybe empty.  Never runs inside
 * worker_call(). */
typedef void worker_done(void *arg, int error, const char *text);

/*
 * Starts `path` as "blkback-ephem worker --fd 3" in a session of its own, with our environment and
 * stdio and no other descriptor.  0, or negative errno with `text`.
 */
int worker_spawn(struct loop *loop, const char *path, const struct worker_ops *ops, void *owner,
                 struct worker **out, char text[WIRE_TEXT]);

/*
 * Takes a running worker over: `sock` is connected to it and becomes the worker's (on failure
 * too), `pid` is its process, not our child.  0 or negative errno.
 */
int worker_adopt(struct loop *loop, int sock, pid_t pid, const struct worker_ops *ops, void *owner,
                 struct worker **out);

/* Forgets the process without ending it: it goes on serving.  Questions are dropped unanswered. */
void worker_close(struct worker *worker);

/*
 * Asks.  The cookie is ours; descriptors become the worker's, on failure too.  patience: ms until
 * the worker is killed for not answering, 0 for ever.  Returns 0 or -ENOMEM, -EPIPE (dead), and
 * then `done` never runs.
 */
int worker_call(struct worker *worker, struct wire_msg *msg, const int *fds, unsigned int nfds,
                uint32_t patience, worker_done *done, void *arg);

/* From now at most `ms` for every question under way. */
void worker_hasten(struct worker *worker, uint32_t ms);

/* SIGKILL; `exited` follows. */
void worker_kill(struct worker *worker);

pid_t worker_pid(const struct worker *worker);

#endif
