/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * worker: one worker process, the connection to it and the questions put to it.  Questions go out
 * in order, each is answered exactly once, by the worker or by its end (-EPIPE).  When patience
 * with one runs out, or the connection breaks, the owner says whether to bear it or to kill: a
 * worker that does not answer must not keep a dead guest's pages, nor be taken from a living one.
 * Knows nothing of guests and volumes.
 */
#ifndef EPHEM_WORKER_H
#define EPHEM_WORKER_H

#include <stdbool.h>
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
    /* The connection broke, or -EPROTO: what came over it is no message.  True: questions are
     * dropped unanswered and the process is left as it is, without a connection; false: it is
     * killed. */
    bool (*hung_up)(void *owner, int error);
    /* A question's patience is over.  True: it waits on; false: the process is killed. */
    bool (*late)(void *owner);
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
 * Follows a running worker that is not our child, the process `pid` that started at `started`;
 * there is no connection yet.  0; -ESRCH when it is gone; else negative errno.
 */
int worker_adopt(struct loop *loop, pid_t pid, unsigned long long started,
                 const struct worker_ops *ops, void *owner, struct worker **out);

/* `sock` is connected to it and becomes the worker's, on failure too.  0 or negative errno. */
int worker_connect(struct worker *worker, int sock);

/* Hangs up: it goes on serving, without us.  Questions are dropped unanswered. */
void worker_disconnect(struct worker *worker);
bool worker_is_connected(const struct worker *worker);

/* Forgets the process without ending it: it goes on serving.  Questions are dropped unanswered. */
void worker_close(struct worker *worker);

/*
 * Asks.  The cookie is ours; descriptors become the worker's, on failure too.  patience: ms until
 * ops->late() is asked, 0 for ever.  Returns 0 or -ENOMEM, -EPIPE (dead), and
 * then `done` never runs.
 */
int worker_call(struct worker *worker, struct wire_msg *msg, const int *fds, unsigned int nfds,
                uint32_t patience, worker_done *done, void *arg);

/* From now at most `ms` for the questions of `arg` that are under way. */
void worker_hasten(struct worker *worker, const void *arg, uint32_t ms);

/* SIGKILL; `exited` follows. */
void worker_kill(struct worker *worker);

pid_t worker_pid(const struct worker *worker);

#endif
