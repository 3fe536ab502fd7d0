// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * emulated: libxl (4.19 and later) gives qemu nbd+unix:///?socket=PATH with the PATH that the hotplug
 * script wrote as physical-device-path, and no export name (libxl_disk.c,
 * libxl__device_disk_find_local_path): so each volume has a socket of its own,
 * <run-dir>/<domid>/<vdev>.sock.
 *
 * Only root may connect; qemu does so before it gives its privileges up.  Of root's processes only the
 * device model gets further: the pid that the kernel knows of the peer (SO_PEERCRED) must be the one in
 * image/device-model-pid, written by dom0 alone.  libxl writes that from a process beside qemu
 * (libxl__spawn_record_pid), maybe after qemu has connected, and over the pid of a qemu that it only
 * asked for its options; so a connection is held, and nothing said on it, until the node agrees or
 * EMULATED_WAIT is over.  An NBD client waits for the server's greeting meanwhile.
 *
 * The check is here and not in the worker, which has no xenstore and no NBD listener;
 * see blkback-ephem/guest_nbd.c.
 *
 * PV and PVH guests get none: nobody would ever connect, and what is not there is not attacked.  Nor do
 * stub domains, which are PV.  An HVM guest with a stub domain gets one all the same: its toolstack
 * attaches its disks before it says so; it has no device-model-pid, so nobody comes in.
 */
#include "emulated.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "log.h"
#include "util.h"

#define EMULATED_HELD     4     /* connections that wait for the node */
#define EMULATED_WAIT     5000  /* ms */
#define EMULATED_LOOK     50    /* ms */
#define EMULATED_PATIENCE 20000 /* ms, for the worker to take a connection */

struct held {
    int fd;
    pid_t pid;
    uint64_t until; /* ms */
};

struct emulated {
    struct vbd *vbd;
    struct loop_source listener;
    struct loop_timer timer;
    struct held held[EMULATED_HELD];
    unsigned int count;
    bool paused;    /* no connection is accepted until the timer fires */
    bool directory; /* the path is below one of our own */
    struct log_limit limit;
    struct sockaddr_un address;
};

static void emulated_given(void *arg, int error, const char *text)
{
    const struct life *life = arg;

    if (error && error != -EPIPE)
        log_error("guest %u: its worker refuses the device model: %s", life->domid,
                  text[0] ? text : strerror(-error));
}

/* Takes fd. */
static void emulated_give(struct vbd *vbd, int fd, pid_t pid)
{
    struct wire_msg msg;

    wire_start(&msg, WIRE_NBD_ADD, 0);
    msg.u.volume.id = (uint32_t)vbd->volume_id;
    if (log_allowed(&vbd->chatter))
        log_info("vbd %u/%u: the device model, process %d, is connected", vbd->id.domid,
                 vbd->id.devid, (int)pid);
    life_call(vbd->life, &msg, &fd, 1, EMULATED_PATIENCE, emulated_given, vbd->life);
}

/* The device model's process, 0 while there is none, or another guest has the domid by now. */
static pid_t emulated_model(const struct vbd *vbd)
{
    char path[PATH_ROOM], uuid[LIFE_UUID];
    bool ours = false;
    uint64_t pid = 0;

    path_domain(path, vbd->id.domid, "image/device-model-pid");
    if (!vbd->glue->xs || !vbd->seen || vbd->foreign || vbd->volume != VBD_READY ||
        life_identify(vbd->glue, vbd->id.domid, uuid) || strcmp(uuid, vbd->life->uuid) != 0 ||
        xenstore_read_u64(vbd->glue->xs, path, INT32_MAX, &pid) ||
        xenstore_is_ours(vbd->glue->xs, path, &ours) || !ours)
        return 0;
    return (pid_t)pid;
}

static void emulated_refuse(struct emulated *emulated, int fd, pid_t pid, const char *why)
{
    const struct path_vbd *id = &emulated->vbd->id;

    if (log_allowed(&emulated->limit))
        log_warn("vbd %u/%u: process %d has connected to its socket and is turned away: %s",
                 id->domid, id->devid, (int)pid, why);
    close(fd);
}

/* Those who may come in do; those who have waited long enough go. */
static void emulated_look(struct emulated *emulated)
{
    struct vbd *vbd = emulated->vbd;
    pid_t model = emulated_model(vbd);
    unsigned int kept = 0;

    for (unsigned int i = 0; i < emulated->count; i++) {
        const struct held held = emulated->held[i];

        if (model && held.pid == model)
            emulated_give(vbd, held.fd, held.pid);
        else if (loop_now() >= held.until)
            emulated_refuse(emulated, held.fd, held.pid, "it is not the guest's device model");
        else
            emulated->held[kept++] = held;
    }
    emulated->count = kept;
    if (kept)
        loop_timer_set(vbd->glue->loop, &emulated->timer, EMULATED_LOOK);
}

static void emulated_late(struct loop_timer *timer)
{
    struct emulated *emulated = container_of(timer, struct emulated, timer);

    if (emulated->paused)
        emulated->paused = loop_add(emulated->vbd->glue->loop, &emulated->listener, EPOLLIN) != 0;
    if (emulated->paused)
        loop_timer_set(emulated->vbd->glue->loop, timer, EMULATED_WAIT);
    emulated_look(emulated);
}

/* Without a descriptor left the listener would stay ready for ever. */
static void emulated_pause(struct emulated *emulated)
{
    if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM)
        return;
    loop_remove(&emulated->listener);
    emulated->paused = true;
    loop_timer_set(emulated->vbd->glue->loop, &emulated->timer, EMULATED_WAIT);
}

static void emulated_accept(struct loop_source *source, uint32_t events)
{
    struct emulated *emulated = container_of(source, struct emulated, listener);
    int fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct ucred peer = {.pid = 0};
    socklen_t len = sizeof(peer);

    (void)events;
    if (fd < 0) {
        emulated_pause(emulated);
        return;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) || peer.pid <= 0) {
        emulated_refuse(emulated, fd, 0, "the kernel does not say who it is");
    } else if (emulated->count == EMULATED_HELD) {
        emulated_refuse(emulated, fd, peer.pid, "others wait already");
    } else {
        emulated->held[emulated->count++] = (struct held){
            .fd = fd, .pid = peer.pid, .until = loop_now() + EMULATED_WAIT};
        emulated_look(emulated);
    }
}

int emulated_is_hvm(struct glue *glue, uint32_t domid)
{
    char path[PATH_ROOM], type[16];
    bool ours = false;

    snprintf(path, sizeof(path), "/libxl/%u/type", domid);
    int err = xenstore_read(glue->xs, path, type, sizeof(type));
    if (err == -ENOENT || err == -EACCES || err == -E2BIG)
        return 0;
    if (!err)
        err = xenstore_is_ours(glue->xs, path, &ours);
    return err ? err : ours && !strcmp(type, "hvm");
}

/* A vbd that was taken over may have left its life before it is met. */
static int emulated_is_wanted(const struct vbd *vbd)
{
    if (vbd->emulated || !vbd->life || vbd->id.domid != vbd->life->domid || !vbd->glue->xs)
        return 0;
    return emulated_is_hvm(vbd->glue, vbd->id.domid);
}

/* The umask is 0077 from main on.  What an earlier daemon left is removed. */
static int emulated_listen(struct emulated *emulated)
{
    const struct vbd *vbd = emulated->vbd;
    char *path = emulated->address.sun_path;
    char name[32];

    emulated->address.sun_family = AF_UNIX;
    path_device_name(name, vbd->id.devid);
    int at = snprintf(path, sizeof(emulated->address.sun_path), "%.64s/%u",
                      vbd->glue->policy->run_dir, vbd->id.domid);
    if (mkdir(path, 0700) && errno != EEXIST)
        return -errno;
    emulated->directory = true;
    snprintf(path + at, sizeof(emulated->address.sun_path) - (size_t)at, "/%.30s.sock", name);
    unlink(path);
    emulated->listener.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (emulated->listener.fd < 0 ||
        bind(emulated->listener.fd, (struct sockaddr *)&emulated->address,
             sizeof(emulated->address)) ||
        chmod(path, 0600) || listen(emulated->listener.fd, EMULATED_HELD))
        return -errno;
    return loop_add(vbd->glue->loop, &emulated->listener, EPOLLIN);
}

int emulated_open(struct vbd *vbd, char text[WIRE_TEXT])
{
    int wanted = emulated_is_wanted(vbd);

    if (wanted < 0)
        snprintf(text, WIRE_TEXT, "xenstore does not say of which type domain %u is: %s",
                 vbd->id.domid, strerror(-wanted));
    if (wanted <= 0)
        return wanted;
    vbd->emulated = calloc(1, sizeof(*vbd->emulated));
    if (!vbd->emulated) {
        snprintf(text, WIRE_TEXT, "out of memory");
        return -ENOMEM;
    }
    vbd->emulated->vbd = vbd;
    vbd->emulated->limit.burst = 5;
    vbd->emulated->listener = (struct loop_source){.fd = -1, .ready = emulated_accept};
    vbd->emulated->timer.fire = emulated_late;
    int err = emulated_listen(vbd->emulated);
    if (err) {
        snprintf(text, WIRE_TEXT, "%.110s: the device model's socket cannot be made: %s",
                 vbd->emulated->address.sun_path, strerror(-err));
        emulated_close(vbd);
    }
    return err;
}

void emulated_close(struct vbd *vbd)
{
    struct emulated *emulated = vbd->emulated;

    if (!emulated)
        return;
    vbd->emulated = NULL;
    loop_remove(&emulated->listener);
    loop_timer_stop(&emulated->timer);
    for (unsigned int i = 0; i < emulated->count; i++)
        close(emulated->held[i].fd);
    if (emulated->listener.fd >= 0) {
        close(emulated->listener.fd);
        unlink(emulated->address.sun_path);
    }
    /* The guest's last one takes the directory along. */
    char *slash = strrchr(emulated->address.sun_path, '/');
    if (slash && emulated->directory) {
        *slash = '\0';
        rmdir(emulated->address.sun_path);
    }
    free(emulated);
}

static void emulated_sweep_one(const char *dir)
{
    char path[128];
    struct dirent *entry;
    DIR *below = opendir(dir);

    while (below && (entry = readdir(below))) {
        size_t len = strlen(entry->d_name);

        if (len > 5 && !strcmp(entry->d_name + len - 5, ".sock") &&
            (size_t)snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name) < sizeof(path))
            unlink(path);
    }
    if (below)
        closedir(below);
    rmdir(dir);
}

void emulated_sweep(const char *run_dir)
{
    char path[96];
    uint32_t domid;
    struct dirent *entry;
    DIR *dir = opendir(run_dir);

    while (dir && (entry = readdir(dir))) {
        if (path_parse_id(entry->d_name, PATH_DOMIDS - 1, &domid))
            continue;
        snprintf(path, sizeof(path), "%.64s/%u", run_dir, domid);
        emulated_sweep_one(path);
    }
    if (dir)
        closedir(dir);
}

const char *emulated_path(const struct vbd *vbd)
{
    return vbd->emulated ? vbd->emulated->address.sun_path : NULL;
}
