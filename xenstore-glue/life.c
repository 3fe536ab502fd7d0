// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * life: who a guest is, who uses its worker, and how that ends (QUIT, wait, remove).  How it starts
 * is in life_start.c.
 */
#include "life.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cgroup.h"
#include "extents.h"
#include "log.h"
#include "paths.h"
#include "refresh.h"
#include "suspend.h"
#include "takeover.h"
#include "vbd.h"

uint32_t life_guest_of(struct glue *glue, uint32_t domid)
{
    /* A guest that has a life of its own is nobody's stub domain, whatever an old note says. */
    if (life_find(glue, domid))
        return domid;
    list_for_each(it, &glue->lives)
    {
        const struct life *life = container_of(it, struct life, link);

        if (domid && life->stubdom.domid == domid)
            return life->domid;
    }
    return domid;
}

int life_identify(struct glue *glue, uint32_t domid, char uuid[LIFE_UUID])
{
    char path[PATH_ROOM], vm[64];

    path_domain(path, domid, "vm");
    int err = xenstore_read(glue->xs, path, vm, sizeof(vm));
    snprintf(uuid, LIFE_UUID, "none");
    if (err)
        return err == -ENOENT || err == -EACCES ? 0 : err;
    if (strncmp(vm, "/vm/", 4) || strlen(vm + 4) >= LIFE_UUID || !vm[4] ||
        vm[4 + strspn(vm + 4, "0123456789abcdefABCDEF-")])
        return -EINVAL;
    snprintf(uuid, LIFE_UUID, "%.39s", vm + 4);
    return 0;
}

struct life *life_find(struct glue *glue, uint32_t domid)
{
    list_for_each(it, &glue->lives)
    {
        struct life *life = container_of(it, struct life, link);

        if (life->domid == domid)
            return life;
    }
    return NULL;
}

struct life *life_new(struct glue *glue, uint32_t domid, uint64_t number)
{
    struct life *life = calloc(1, sizeof(*life));

    if (!life)
        return NULL;
    life->glue = glue;
    life->domid = domid;
    life->number = number;
    life->threads = glue->policy->threads;
    list_init(&life->askers);
    list_append(&glue->lives, &life->link);
    return life;
}

struct life_asker {
    struct list link;
    worker_done *done;
    void *arg;
};

void life_free(struct life *life)
{
    struct list *it;

    if (!life)
        return;
    while ((it = list_pop(&life->askers)))
        free(container_of(it, struct life_asker, link));
    suspend_stop(life);
    loop_timer_stop(&life->timer);
    worker_close(life->worker);
    list_remove(&life->link);
    free(life);
}

void life_leave_all(struct glue *glue)
{
    while (!list_empty(&glue->lives))
        life_free(container_of(glue->lives.next, struct life, link));
}

static void life_over(struct life *life)
{
    struct glue *glue = life->glue;

    life_remove_files(life);
    vbd_life_ended(glue, life);
    life_free(life);
    glue_changed(glue);
}

static void life_exited(void *owner, const char *how)
{
    struct life *life = owner;
    int pid = (int)worker_pid(life->worker);

    worker_close(life->worker);
    life->worker = NULL;
    cgroup_remove(life->glue->cgroup, life->domid, life->number);
    extents_detach(life->glue, life, true);
    if (life->phase == LIFE_RESUMING)
        takeover_reset(life);
    if (life->phase == LIFE_ENDING) {
        log_info("guest %u: worker %d %s, its key is gone", life->domid, pid, how);
    } else {
        if (!life->error[0])
            snprintf(life->error, sizeof(life->error),
                     "the guest's worker %s; shut the guest down and start it again", how);
        if (!life->hushed)
            log_error("guest %u: worker %d %s", life->domid, pid, how);
    }
    if (life->phase == LIFE_ENDING || !life->users) {
        life_over(life);
        return;
    }
    life->phase = LIFE_DEAD;
    life->stray = false; /* nothing of it is left to be kept from harm */
    life_remove_files(life);
    vbd_life_died(life->glue, life);
    glue_changed(life->glue);
}

static void life_message(void *owner, const struct wire_msg *msg)
{
    struct life *life = owner;

    if (life->phase == LIFE_RESUMING)
        takeover_message(life, msg);
    else if (msg->type == WIRE_DEAD)
        vbd_door_died(life->glue, life, msg->u.dead.id, msg->u.dead.text);
    else if (msg->type == WIRE_GREW)
        refresh_grew(life, msg->u.grew.id, msg->u.grew.bytes);
    else if (msg->type == WIRE_STATS_GUEST)
        life->stats = msg->u.stats_guest;
    else if (msg->type == WIRE_STATS_VOLUME && msg->u.stats_volume.id < WIRE_VOLUMES)
        life->volume_stats[msg->u.stats_volume.id] = msg->u.stats_volume;
    else if (msg->type == WIRE_EXTENTS_WANT || msg->type == WIRE_EXTENTS_BACK)
        extents_message(life, msg);
}

static bool life_hung_up(void *owner, int error)
{
    struct life *life = owner;

    if (life->phase != LIFE_RESUMING)
        return false;
    takeover_hung_up(life, error);
    return true;
}

/* A worker that serves a living guest is never killed for the sake of a question. */
static bool life_late(void *owner)
{
    struct life *life = owner;

    if (!vbd_life_needed(life->glue, life))
        return false;
    life->borne++;
    if (!(life->borne & (life->borne - 1)))
        log_warn("guest %u: worker %d does not answer: still waiting, the guest needs it",
                 life->domid, (int)worker_pid(life->worker));
    return true;
}

const struct worker_ops life_ops = {
    .message = life_message, .exited = life_exited, .hung_up = life_hung_up, .late = life_late};

int life_check(struct glue *glue, uint32_t domid, const char *uuid, char text[WIRE_TEXT])
{
    const struct life *life = life_find(glue, domid);

    text[0] = '\0';
    if (!life)
        return 0;
    if (strcmp(life->uuid, uuid) || life->phase == LIFE_ENDING || life->phase == LIFE_RESUMING)
        return -EAGAIN;
    if (life->phase != LIFE_DEAD)
        return 0;
    snprintf(text, WIRE_TEXT, "%s", life->error);
    return -EPIPE;
}

int life_begin(struct glue *glue, uint32_t domid, const char *uuid, struct life **out,
               char text[WIRE_TEXT])
{
    struct life *life = life_find(glue, domid);
    int err = life_check(glue, domid, uuid, text);

    if (err)
        return err;
    if (life) {
        *out = life;
        return 0;
    }
    life = life_new(glue, domid, life_number());
    if (!life)
        return -ENOMEM;
    life->phase = LIFE_SERVING;
    suspend_begin(life);
    snprintf(life->uuid, sizeof(life->uuid), "%s", uuid);
    err = life_start(life, text);
    if (err && !life->worker) {
        extents_detach(glue, life, false);
        life_remove_files(life);
        life_free(life);
        return err;
    }
    log_info("guest %u: life %" PRIu64 " begins, worker %d", domid, life->number,
             (int)worker_pid(life->worker));
    *out = life;
    return 0;
}

void life_join(struct life *life)
{
    life->users++;
}

static void life_quit_done(void *arg, int error, const char *text)
{
    const struct life *life = arg;

    if (error && error != -EPIPE)
        log_error("guest %u: its worker would not quit: %s", life->domid,
                  text[0] ? text : strerror(-error));
}

static void life_linger(struct loop_timer *timer)
{
    struct life *life = container_of(timer, struct life, timer);

    log_error("guest %u: worker %d does not end: killing it", life->domid,
              (int)worker_pid(life->worker));
    worker_kill(life->worker);
}

bool life_leave(struct life *life, uint32_t patience)
{
    struct wire_msg msg;

    if (--life->users)
        return false;
    if (!life->worker) {
        life_over(life);
        return true;
    }
    life->phase = LIFE_ENDING;
    life->timer.fire = life_linger;
    loop_timer_set(life->glue->loop, &life->timer, patience);
    wire_start(&msg, WIRE_QUIT, 0);
    if (worker_call(life->worker, &msg, NULL, 0, patience, life_quit_done, life))
        worker_kill(life->worker);
    return true;
}

int life_take_volume(struct life *life)
{
    for (int id = 0; id < WIRE_VOLUMES; id++)
        if (!(life->volumes & (uint64_t)1 << id)) {
            life->volumes |= (uint64_t)1 << id;
            return id;
        }
    return -1;
}

int life_take_door(struct life *life)
{
    for (int id = 0; id < WIRE_DOORS; id++)
        if (!(life->doors & (uint64_t)1 << id)) {
            life->doors |= (uint64_t)1 << id;
            return id;
        }
    return -1;
}

void life_give_volume(struct life *life, int id)
{
    if (id >= 0)
        life->volumes &= ~((uint64_t)1 << id);
}

void life_give_door(struct life *life, int id)
{
    if (id >= 0)
        life->doors &= ~((uint64_t)1 << id);
}

int life_call(struct life *life, struct wire_msg *msg, const int *fds, unsigned int nfds,
              uint32_t patience, worker_done *done, void *arg)
{
    if (life->worker)
        return worker_call(life->worker, msg, fds, nfds, patience, done, arg);
    for (unsigned int i = 0; i < nfds; i++)
        close(fds[i]);
    return -EPIPE;
}

static void life_told_stats(void *arg, int error, const char *text)
{
    struct life *life = arg;
    struct list told, *it;

    /* Who asks from now on asks anew. */
    list_init(&told);
    while ((it = list_pop(&life->askers)))
        list_append(&told, it);
    while ((it = list_pop(&told))) {
        struct life_asker *asker = container_of(it, struct life_asker, link);

        asker->done(asker->arg, error, text);
        free(asker);
    }
}

int life_ask_stats(struct life *life, worker_done *done, void *arg)
{
    struct life_asker *asker = calloc(1, sizeof(*asker));
    struct wire_msg msg;
    int err = asker ? 0 : -ENOMEM;

    wire_start(&msg, WIRE_STATS, 0);
    if (!err && list_empty(&life->askers))
        err = life_call(life, &msg, NULL, 0, 0, life_told_stats, life);
    if (err) {
        free(asker);
        return err;
    }
    *asker = (struct life_asker){.done = done, .arg = arg};
    list_append(&life->askers, &asker->link);
    return 0;
}
