/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * life: one life of one guest and the worker that holds its key.  A guest is (domid, vm UUID, life
 * number); the number never repeats, restarts of the daemon included.  A life begins with its first
 * vbd and ends when its last vbd leaves: the worker quits, and only when its process is gone is the
 * vbd let go.  A worker that dies by itself leaves the life dead but in place, so that nobody gives
 * a running guest a pristine disk.
 *
 * Members are read by vbd, takeover and status; only life*.c, kin.c and takeover.c write them.
 */
#ifndef EPHEM_LIFE_H
#define EPHEM_LIFE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cgroup.h"
#include "glue.h"
#include "rules.h"
#include "suspend_watch.h"
#include "wire.h"
#include "worker.h"

#define LIFE_UUID     40
#define LIFE_CHANNELS 4 /* frontend domids a guest: itself and its stub domain */

struct vbd;

enum life_phase {
    LIFE_RESUMING, /* found at start, its worker has not told all: hands off its guest */
    LIFE_SERVING,
    LIFE_ENDING, /* told to quit */
    LIFE_DEAD,   /* its worker is gone while vbds still count on it */
};

struct life_channel {
    uint32_t domid;
    uint32_t threads; /* bit n: thread n has its handle */
};

/* The guest's stub domain, as long as a vbd of it counts on the life; domid 0: none. */
struct life_stubdom {
    uint32_t domid;
    char uuid[LIFE_UUID];
};

struct life {
    struct list link;
    struct glue *glue;
    enum life_phase phase;
    uint32_t domid;
    char uuid[LIFE_UUID];
    uint64_t number;
    struct life_stubdom stubdom;
    bool parted;           /* in a driver domain: a stub domain has left it, and none comes again */
    struct worker *worker; /* NULL once dead, or RESUMING and its process is not known */
    uint32_t threads;
    char pool_spec[RULES_SPEC]; /* as the operator wrote it */
    struct wire_pool pool;      /* as the worker was told */
    struct wire_rates rates;
    unsigned int users;           /* vbds */
    uint64_t volumes;             /* ids in use */
    struct cgroup_limits limits;  /* its worker's; only life_limits.c writes */
    uint32_t units[WIRE_VOLUMES]; /* GiB of each volume that count there; likewise */
    uint64_t doors;
    struct life_channel channels[LIFE_CHANNELS];
    char error[WIRE_TEXT];         /* why it is dead */
    struct wire_stats_guest stats; /* as last heard */
    struct wire_stats_volume volume_stats[WIRE_VOLUMES];
    struct extents_use *extents; /* its part of a block: pool, or NULL; only extents*.c writes */
    struct list askers;          /* for stats, one question under way for all */
    struct loop_timer timer;
    uint64_t since;        /* RESUMING: ms */
    uint64_t retry;        /* RESUMING: ms, not connected until then */
    unsigned int attempts; /* RESUMING */
    bool warned;           /* RESUMING: trouble was told */
    bool stranger;         /* RESUMING: of another version, left alone */
    bool stray;            /* xenstore has forgotten its guest: nothing is concluded from that */
    bool hushed;           /* its end needs no log line: the cause was told */
    struct suspend_watch suspend;
    unsigned int borne; /* times its worker was waited for although it was late */
};

/* The guest that `domid` belongs to, by what we hold: a stub domain that has joined its guest's life is
 * its guest, and everybody else himself.  (Who may join is kin's to say.) */
uint32_t life_guest_of(struct glue *glue, uint32_t domid);

/* The vm UUID of a domain, "none" where there is none.  0 or negative errno. */
int life_identify(struct glue *glue, uint32_t domid, char uuid[LIFE_UUID]);

/* The life of this guest that has not ended, or NULL. */
struct life *life_find(struct glue *glue, uint32_t domid);

/* life_start.c: rules, pool, listening socket, process, HELLO.  On failure there may be a worker that
 * is about to end; -EAGAIN without `text` when xenstore was lost meanwhile. */
int life_start(struct life *life, char text[WIRE_TEXT]);
uint64_t life_number(void);
/* Its pid, guest and stub domain for the next daemon.  0 or negative errno: the former note stands. */
int life_note_worker(const struct life *life);
void life_remove_files(const struct life *life);

/* A line into the file life_path() names, in place of what is there, which stays if that fails; 0 or
 * negative errno. */
int life_note(const struct life *life, const char *suffix, const char *text);

/* 0; -EAGAIN while an earlier life of the guest has not ended (glue_changed() follows); else
 * negative errno and `text`. */
int life_check(struct glue *glue, uint32_t domid, const char *uuid, char text[WIRE_TEXT]);

/* The guest's life, begun if need be: pool opened, worker started, HELLO on its way.  As
 * life_check(). */
int life_begin(struct glue *glue, uint32_t domid, const char *uuid, struct life **out,
               char text[WIRE_TEXT]);

/* One more user. */
void life_join(struct life *life);

/* One user less.  True: it was the last and the life has ended already or is on its way to
 * vbd_life_ended(), within `patience` ms. */
bool life_leave(struct life *life, uint32_t patience);

/*
 * life_limits.c.  confine: the limits of a worker that has been told nothing yet, from the life's pool
 * (`pool` is its fd, or -1), and a control group with them; 0, or negative errno when it must not be
 * without one, and life->error.  allow: its worker may take the memory that a volume of `bytes` needs,
 * before it gets that.  allow_growth: the same for a volume it has, as far as its base is that large;
 * nothing while `adopted`.  allow_moved: what counted under one id counts under the other from now on.
 * confine_again: limits as they were last noted; without a note pids.max and memory.max are left alone,
 * now and by allow.
 */
int life_confine(struct life *life, int pool);
void life_allow(struct life *life, int volume, uint64_t bytes);
void life_allow_growth(struct vbd *vbd);
void life_allow_moved(struct life *life, int from, int to);
void life_confine_again(struct life *life);

/* A free volume or door id, or -1.  They are given back below. */
int life_take_volume(struct life *life);
int life_take_door(struct life *life);
void life_give_volume(struct life *life, int id);
void life_give_door(struct life *life, int id);

/* life_channels.c.  Each ring thread has a handle for `domid` or will have before the next question is
 * answered; drop: or none. */
int life_channels(struct life *life, uint32_t domid);
void life_channels_drop(struct life *life, uint32_t domid);

/* A question to the worker; as worker_call(), -EPIPE when dead. */
int life_call(struct life *life, struct wire_msg *msg, const int *fds, unsigned int nfds,
              uint32_t patience, worker_done *done, void *arg);

/* Forgets all lives and leaves their workers serving. */
void life_leave_all(struct glue *glue);

/* Refreshes stats; `done` as for worker_call().  Any number of calls put one question. */
int life_ask_stats(struct life *life, worker_done *done, void *arg);

/* For takeover: a life with nothing in it, in the list; and what its worker reports to. */
struct life *life_new(struct glue *glue, uint32_t domid, uint64_t number);
extern const struct worker_ops life_ops;
void life_free(struct life *life);

/* "<run-dir>/workers/<domid>.<life>.<suffix>" */
#define LIFE_PATH 108
void life_path(const struct life *life, const char *suffix, char out[LIFE_PATH]);

#endif
