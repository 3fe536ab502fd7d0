// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * takeover: what a worker says of itself is checked like a guest's words.  Which guest it serves
 * and which process it is we know from the files' names and contents, which only we write; it can
 * lie about its own volumes, and then it loses them.
 *
 * A guest whose worker is not heard of is left as it is: whatever goes wrong here is tried again
 * from the start, ever more slowly.  Only the worker of a guest that is gone is killed.
 */
#include "takeover.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "attach.h"
#include "extents.h"
#include "kin.h"
#include "log.h"
#include "mark.h"
#include "paths.h"
#include "process.h"
#include "store.h"
#include "suspend.h"
#include "vbd.h"

#define TAKEOVER_LIMIT 5000  /* ms until a silent worker is reported */
#define TAKEOVER_LOOK  2000  /* ms between looks whether its guest still wants it */
#define TAKEOVER_FIRST 100   /* ms until the second attempt, doubled each time */
#define TAKEOVER_MOST  30000 /* ms between attempts */
#define TAKEOVER_DOUBT 4     /* attempts until one that hangs up is taken for a stranger */

/* What a worker says that cannot be is told by a limit: it may go on for ever. */
static struct log_limit takeover_limit = {.burst = 20};

static int takeover_pid_of(const struct life *life)
{
    return life->worker ? (int)worker_pid(life->worker) : 0;
}

/* For status only: the worker may lie. */
static void takeover_rules(struct life *life, const struct wire_hello *hello)
{
    const char *pool = strstr(hello->note, " pool=");
    struct store_pool_spec spec;
    char text[STORE_TEXT];

    life->pool = hello->pool;
    life->rates = hello->rates;
    if (!pool || copy_string(life->pool_spec, sizeof(life->pool_spec), pool + 6) ||
        store_parse_pool(life->pool_spec, &spec, text) || spec.kind != hello->pool.kind)
        snprintf(life->pool_spec, sizeof(life->pool_spec), "unknown");
}

static void takeover_hello(struct life *life, const struct wire_hello *hello)
{
    if (hello->version != WIRE_VERSION) {
        log_error("guest %u: worker %d is of version %u, not %u: left serving until its guest ends",
                  life->domid, takeover_pid_of(life), hello->version, WIRE_VERSION);
        life->stranger = life->warned = true;
        worker_disconnect(life->worker);
        return;
    }
    if (!life->uuid[0] && sscanf(hello->note, "uuid=%39[0-9a-zA-Z-]", life->uuid) != 1)
        snprintf(life->uuid, sizeof(life->uuid), "none");
    if (hello->threads >= 1 && hello->threads <= WIRE_THREADS)
        life->threads = hello->threads;
    takeover_rules(life, hello);
    extents_hello(life, &hello->pool);
}

static void takeover_volume(struct life *life, const struct wire_volume *volume)
{
    char params[VBD_PARAMS];
    struct path_vbd id;
    bool readonly;

    if (volume->id >= WIRE_VOLUMES || life->volumes & (uint64_t)1 << volume->id ||
        attach_parse_note(volume->note, &id, &readonly, params) || !volume->bytes ||
        volume->bytes % SECTOR_SIZE || volume->bytes > STORE_MOST ||
        life_guest_of(life->glue, id.domid) != life->domid || vbd_find(life->glue, &id)) {
        if (log_allowed(&takeover_limit))
            log_error("guest %u: its worker holds a volume nobody gave it", life->domid);
        return;
    }
    struct vbd *vbd = vbd_new(life->glue, &id);
    if (!vbd)
        return;
    life->volumes |= (uint64_t)1 << volume->id;
    life_join(life);
    vbd->life = life;
    vbd->volume = VBD_READY;
    vbd->volume_id = (int)volume->id;
    vbd->bytes = volume->bytes;
    vbd->grows = volume->flags & WIRE_VOLUME_GROWS;
    vbd->readonly = readonly;
    vbd->adopted = true;
    memcpy(vbd->params, params, sizeof(params));
}

static void takeover_channel(struct life *life, const struct wire_evtchn *evtchn)
{
    for (unsigned int i = 0; i < LIFE_CHANNELS && evtchn->thread < WIRE_THREADS; i++) {
        struct life_channel *channel = &life->channels[i];

        if (channel->threads && channel->domid != evtchn->domid)
            continue;
        channel->domid = evtchn->domid;
        channel->threads |= 1u << evtchn->thread;
        return;
    }
}

static void takeover_door(struct life *life, const struct wire_door *door)
{
    struct path_vbd id = {.domid = door->domid, .devid = door->devid};
    struct vbd *vbd = vbd_find(life->glue, &id);

    if (door->id >= WIRE_DOORS || life->doors & (uint64_t)1 << door->id || !vbd ||
        vbd->life != life || vbd->door != VBD_NO_DOOR || vbd->volume_id != (int)door->volume) {
        if (log_allowed(&takeover_limit))
            log_error("guest %u: its worker serves a ring nobody gave it", life->domid);
        return;
    }
    vbd->replayed = malloc(sizeof(*vbd->replayed));
    if (vbd->replayed)
        *vbd->replayed = *door;
    life->doors |= (uint64_t)1 << door->id;
    vbd->door = VBD_SERVED;
    vbd->door_id = (int)door->id;
}

void takeover_message(struct life *life, const struct wire_msg *msg)
{
    switch (msg->type) {
    case WIRE_HELLO:
        takeover_hello(life, &msg->u.hello);
        break;
    case WIRE_VOLUME_ADD:
        takeover_volume(life, &msg->u.volume);
        break;
    case WIRE_EVTCHN_ADD:
        takeover_channel(life, &msg->u.evtchn);
        break;
    case WIRE_CONNECT:
        takeover_door(life, &msg->u.door);
        break;
    case WIRE_EXTENTS_GIVE:
        extents_claim(life, &msg->u.extents);
        break;
    case WIRE_DEAD:
        vbd_door_died(life->glue, life, msg->u.dead.id, msg->u.dead.text);
        break;
    default:
        break;
    }
}

void takeover_reset(struct life *life)
{
    list_for_each_safe(it, tmp, &life->glue->vbds)
    {
        struct vbd *vbd = container_of(it, struct vbd, link);

        if (vbd->life == life)
            vbd_free(vbd);
    }
    life->users = 0;
    life->volumes = 0;
    life->doors = 0;
    memset(life->channels, 0, sizeof(life->channels));
    extents_reset(life);
}

/* The next attempt, later each time. */
static void takeover_again(struct life *life)
{
    uint32_t wait = TAKEOVER_MOST;

    if (life->attempts < 9)
        wait = min_u32(wait, (uint32_t)TAKEOVER_FIRST << life->attempts);
    life->attempts++;
    life->retry = loop_now() + wait;
    loop_timer_set(life->glue->loop, &life->timer, min_u32(wait, TAKEOVER_LOOK));
}

void takeover_hung_up(struct life *life, int error)
{
    takeover_reset(life);
    takeover_again(life);
    if (life->warned || (error != -EPROTO && life->attempts < TAKEOVER_DOUBT))
        return;
    log_error("guest %u: worker %d, maybe of another version, does not let itself be taken back: "
              "left serving until its guest ends",
              life->domid, takeover_pid_of(life));
    life->warned = true;
}

static void takeover_resumed(void *arg, int error, const char *text)
{
    struct life *life = arg;

    if (error == -EPIPE || life->stranger)
        return;
    if (error) {
        log_error("guest %u: worker %d cannot be taken back: %s", life->domid,
                  takeover_pid_of(life), text[0] ? text : strerror(-error));
        life->warned = life->stranger = true;
        takeover_reset(life);
        worker_disconnect(life->worker);
        return;
    }
    loop_timer_stop(&life->timer);
    life->phase = LIFE_SERVING;
    log_info("guest %u: worker %d taken back with %u volumes", life->domid, takeover_pid_of(life),
             life->users);
    extents_resumed(life);
    kin_leave(life, life->stubdom.domid); /* if its worker does not hold anything of it */
    if (!life->users) {
        life_join(life);
        life_leave(life, TAKEOVER_LIMIT);
    }
    glue_changed(life->glue);
}

/* Whether the toolstack still wants any disk of this guest. */
static bool takeover_wanted(const struct life *life)
{
    uint32_t stubdom = life->stubdom.domid;

    return mark_is_wanted(life->glue, life->domid) ||
           (stubdom && mark_is_wanted(life->glue, stubdom) && !kin_is_reused(life->glue, stubdom));
}

/* The process we noted, if it is still the same one: its pid and when it started; and its guest. */
static int takeover_note(struct life *life, int *pid, unsigned long long *started)
{
    char path[LIFE_PATH];

    life_path(life, "pid", path);
    FILE *file = fopen(path, "re");
    if (!file)
        return errno == ENOENT ? -ESRCH : -errno;
    int got = fscanf(file, "%d %llu %39[0-9a-zA-Z-] %u %39[0-9a-zA-Z-]", pid, started, life->uuid,
                     &life->stubdom.domid, life->stubdom.uuid);
    int err = got >= 2 && *pid > 1 && *started ? 0 : -ESRCH;
    fclose(file);
    return err;
}

/* A connected, non-blocking socket, or negative errno. */
static int takeover_connect(const struct life *life)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    life_path(life, "sock", address.sun_path);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (struct sockaddr *)&address, sizeof(address))) {
        int err = -errno;
        close(fd);
        return err;
    }
    return fd;
}

/* 0: asked; -ECONNREFUSED: nobody is there any more; else negative errno: try again. */
static int takeover_attempt(struct life *life)
{
    unsigned long long started = 0;
    struct wire_msg msg;
    int pid = 0;

    int err = life->worker ? 0 : takeover_note(life, &pid, &started);
    if (!err && !life->worker)
        err = worker_adopt(life->glue->loop, pid, started, &life_ops, life, &life->worker);
    int sock = takeover_connect(life);
    if (sock < 0 || err) {
        if (sock >= 0)
            close(sock);
        else if (sock == -ECONNREFUSED || sock == -ENOENT)
            err = life->worker ? -EAGAIN : -ECONNREFUSED; /* its process' end will be told */
        return err ? err : sock;
    }
    err = worker_connect(life->worker, sock);
    wire_start(&msg, WIRE_RESUME, 0);
    return err ? err : worker_call(life->worker, &msg, NULL, 0, 0, takeover_resumed, life);
}

static void takeover_try(struct life *life)
{
    int err = takeover_attempt(life);

    if (!err)
        return;
    if (err == -ECONNREFUSED) {
        struct glue *glue = life->glue;
        extents_detach(glue, life, true);
        life_remove_files(life);
        life_free(life);
        glue_changed(glue);
        return;
    }
    takeover_again(life);
    if (life->warned || err == -EAGAIN)
        return;
    log_error("guest %u: its worker cannot be taken back yet: %s; its disks are left as they are",
              life->domid, err == -ESRCH ? "its pid file is missing or stale" : strerror(-err));
    life->warned = true;
}

static void takeover_look(struct loop_timer *timer)
{
    struct life *life = container_of(timer, struct life, timer);
    struct glue *glue = life->glue;

    if (life->worker && glue->xs && !life->stray && !takeover_wanted(life)) {
        log_error("guest %u is gone: killing its silent worker", life->domid);
        if (!life->stranger && life->uuid[0])
            suspend_dropped(life);
        worker_kill(life->worker);
        return;
    }
    bool connected = life->worker && worker_is_connected(life->worker);
    if (connected && loop_now() - life->since >= TAKEOVER_LIMIT && !life->warned) {
        log_error("guest %u: worker %d does not answer; its disks are left as they are",
                  life->domid, takeover_pid_of(life));
        life->warned = true;
    }
    loop_timer_set(glue->loop, timer, TAKEOVER_LOOK);
    if (!connected && !life->stranger && loop_now() >= life->retry)
        takeover_try(life);
}

static int takeover_one(struct glue *glue, uint32_t domid, uint64_t number)
{
    struct life *life = life_new(glue, domid, number);

    if (!life)
        return -ENOMEM;
    life->stray = number < glue->known_since;
    life->since = loop_now();
    life->timer.fire = takeover_look;
    loop_timer_set(glue->loop, &life->timer, TAKEOVER_LOOK);
    extents_adopt(glue, life);
    life_confine_again(life);
    takeover_try(life);
    return 0;
}

int takeover_start(struct glue *glue)
{
    char path[LIFE_PATH];
    struct dirent *entry;
    bool forgot = false;
    int err = 0;

    snprintf(path, sizeof(path), "%.64s/workers", glue->policy->run_dir);
    DIR *dir = opendir(path);
    if (!dir)
        return -errno;
    while (!err && (errno = 0, entry = readdir(dir))) {
        uint32_t domid;
        uint64_t number;
        int end = 0;

        if (sscanf(entry->d_name, "%u.%" SCNu64 ".sock%n", &domid, &number, &end) == 2 && end &&
            !entry->d_name[end] && domid < PATH_DOMIDS)
            err = takeover_one(glue, domid, number);
    }
    if (!err && !entry)
        err = -errno;
    closedir(dir);
    list_for_each(it, &glue->lives) forgot = forgot || container_of(it, struct life, link)->stray;
    if (forgot)
        log_error(GLUE_FORGOT);
    return err;
}
