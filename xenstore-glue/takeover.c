// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * takeover: what a worker says of itself is checked like a guest's words.  Which guest it serves
 * and which process it is we know from the files' names and contents, which only we write; it can
 * lie about its own volumes, and then it loses them.
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
#include "log.h"
#include "paths.h"
#include "process.h"
#include "vbd.h"

#define TAKEOVER_LIMIT 5000 /* ms until a silent worker is reported */
#define TAKEOVER_LOOK  2000 /* ms between looks whether its guest still wants it */

static void takeover_hello(struct life *life, const struct wire_hello *hello)
{
    if (sscanf(hello->note, "uuid=%39[0-9a-zA-Z-]", life->uuid) != 1)
        snprintf(life->uuid, sizeof(life->uuid), "none");
    if (hello->threads >= 1 && hello->threads <= WIRE_THREADS)
        life->threads = hello->threads;
}

static void takeover_volume(struct life *life, const struct wire_volume *volume)
{
    char params[VBD_PARAMS];
    struct path_vbd id;
    bool readonly;

    if (volume->id >= WIRE_VOLUMES || life->volumes & 1u << volume->id ||
        attach_parse_note(volume->note, &id, &readonly, params) ||
        life_guest_of(life->glue, id.domid) != life->domid || vbd_find(life->glue, &id)) {
        log_error("guest %u: its worker holds a volume nobody gave it", life->domid);
        return;
    }
    struct vbd *vbd = vbd_new(life->glue, &id);
    if (!vbd)
        return;
    life->volumes |= 1u << volume->id;
    life_join(life);
    vbd->life = life;
    vbd->volume = VBD_READY;
    vbd->volume_id = (int)volume->id;
    vbd->bytes = volume->bytes;
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
        log_error("guest %u: its worker serves a ring nobody gave it", life->domid);
        return;
    }
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
    case WIRE_DEAD:
        vbd_door_died(life->glue, life, msg->u.dead.id, msg->u.dead.text);
        break;
    default:
        break;
    }
}

static void takeover_resumed(void *arg, int error, const char *text)
{
    struct life *life = arg;

    loop_timer_stop(&life->timer);
    if (error == -EPIPE)
        return;
    if (error) {
        log_error("guest %u: worker %d cannot be taken back: %s", life->domid,
                  (int)worker_pid(life->worker), text[0] ? text : strerror(-error));
        worker_kill(life->worker);
        return;
    }
    life->phase = LIFE_SERVING;
    log_info("guest %u: worker %d taken back with %u volumes", life->domid,
             (int)worker_pid(life->worker), life->users);
    if (!life->users) {
        life_join(life);
        life_leave(life);
    }
    glue_changed(life->glue);
}

/* Whether the toolstack still wants any disk of this guest. */
static bool takeover_wanted(struct glue *glue, uint32_t domid)
{
    char path[PATH_ROOM];
    char **names;
    unsigned int count;
    bool wanted = false;

    snprintf(path, sizeof(path), PATH_BACKEND "/%u", domid);
    int err = xenstore_list(glue->xs, path, &names, &count);
    if (err)
        return err != -ENOENT;
    for (unsigned int i = 0; i < count && !wanted; i++) {
        struct path_vbd id = {.domid = domid};
        uint64_t online = 1;

        if (path_parse_id(names[i], UINT32_MAX, &id.devid))
            continue;
        path_backend(path, &id, "online");
        wanted = xenstore_read_u64(glue->xs, path, 1, &online) != -ENOENT && online;
    }
    free(names);
    return wanted || xenstore_lost(glue->xs);
}

static void takeover_late(struct loop_timer *timer)
{
    struct life *life = container_of(timer, struct life, timer);
    struct glue *glue = life->glue;

    if (glue->xs && !takeover_wanted(glue, life->domid)) {
        log_error("guest %u is gone: killing its silent worker", life->domid);
        worker_kill(life->worker);
        return;
    }
    if (loop_now() - life->since >= TAKEOVER_LIMIT && !life->warned) {
        log_error("guest %u: worker %d does not answer; its disks are left as they are",
                  life->domid, (int)worker_pid(life->worker));
        life->warned = true;
    }
    loop_timer_set(glue->loop, timer, TAKEOVER_LOOK);
}

/* The pid we noted, if that process is still the same one; else 0. */
static pid_t takeover_pid(const struct life *life)
{
    char path[LIFE_PATH];
    unsigned long long started = 0;
    int pid = 0;

    life_path(life, "pid", path);
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    if (fscanf(file, "%d %llu", &pid, &started) != 2 || pid <= 1 || process_started(pid) != started)
        pid = 0;
    fclose(file);
    return pid;
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

static int takeover_resume(struct life *life)
{
    struct wire_msg msg;
    pid_t pid = takeover_pid(life);
    int sock = takeover_connect(life);

    if (sock < 0)
        return sock;
    if (!pid) {
        close(sock);
        return -ESRCH;
    }
    int err = worker_adopt(life->glue->loop, sock, pid, &life_ops, life, &life->worker);
    if (err)
        return err;
    wire_start(&msg, WIRE_RESUME, 0);
    err = worker_call(life->worker, &msg, NULL, 0, 0, takeover_resumed, life);
    life->since = loop_now();
    life->timer.fire = takeover_late;
    loop_timer_set(life->glue->loop, &life->timer, TAKEOVER_LOOK);
    return err;
}

static void takeover_one(struct glue *glue, uint32_t domid, uint64_t number)
{
    struct life *life = life_new(glue, domid, number);
    char path[LIFE_PATH];

    if (!life)
        return;
    int err = takeover_resume(life);
    if (!err)
        return;
    if (err == -ECONNREFUSED || err == -ENOENT) {
        life_path(life, "sock", path);
        unlink(path);
        life_path(life, "pid", path);
        unlink(path);
    } else {
        log_error("guest %u: its worker cannot be taken back: %s; when the guest is gone, end "
                  "the worker by hand",
                  domid, err == -ESRCH ? "its pid file is missing or stale" : strerror(-err));
    }
    life_free(life);
}

void takeover_start(struct glue *glue)
{
    char path[LIFE_PATH];
    struct dirent *entry;

    snprintf(path, sizeof(path), "%.64s/workers", glue->policy->run_dir);
    DIR *dir = opendir(path);
    if (!dir)
        return;
    while ((entry = readdir(dir))) {
        uint32_t domid;
        uint64_t number;
        int end = 0;

        if (sscanf(entry->d_name, "%u.%" SCNu64 ".sock%n", &domid, &number, &end) == 2 && end &&
            !entry->d_name[end] && domid < PATH_DOMIDS)
            takeover_one(glue, domid, number);
    }
    closedir(dir);
}
