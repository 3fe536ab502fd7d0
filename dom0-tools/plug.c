// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * plug: find the domain, write, wait, remove.  Everything that is written at once is one transaction;
 * everything that is waited for is watched and bounded.  When this process is killed in between, the
 * disk is there but not allowed to connect: `ephemctl detach` removes it, as does the guest's end.
 */
#include "plug.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "frontend.h"
#include "plug_node.h"
#include "util.h"

enum { PLUG_REMOVAL = 10000 /* ms, as libxl waits */, PLUG_CLOSED = 6 };

/* ---- who ---- */

/* The only domain of that name or number. */
static int plug_find(struct plug *plug, const char *wanted)
{
    char path[PATH_ROOM], name[PLUG_NAME], **names = NULL;
    unsigned int count = 0, found = 0;
    uint32_t domid, number;

    int err = xenstore_list(plug->xs, "/local/domain", &names, &count);
    if (err)
        return plug_fail(plug, err, "xenstore cannot be read: %s", strerror(-err));
    bool is_number = !path_parse_id(wanted, PATH_DOMIDS - 1, &number);
    for (unsigned int i = 0; i < count; i++) {
        if (path_parse_id(names[i], PATH_DOMIDS - 1, &domid) || domid == xenstore_self(plug->xs))
            continue;
        path_domain(path, domid, "name");
        bool named = !xenstore_read(plug->xs, path, name, sizeof(name)) && name[0];
        if (is_number ? domid != number : !named || strcmp(name, wanted))
            continue;
        plug->id.domid = domid;
        strcpy(plug->name, named ? name : "");
        found++;
    }
    free(names);
    if (found > 1)
        return plug_fail(plug, -EINVAL, "%u domains have that name: give the domid", found);
    return found ? 0 : plug_fail(plug, -ENOENT, "no domain '%.80s': see 'xl list'", wanted);
}

int plug_open(struct plug *plug, const char *domain, const char *device)
{
    *plug = (struct plug){.xs = NULL};
    if (path_parse_device(device, &plug->id.devid))
        return plug_fail(plug, -EINVAL, "'%.80s' is no device: write xvda, xvdb1, sda or a number",
                         device);
    path_device_name(plug->device, plug->id.devid);
    int err = xenstore_open(&plug->xs);
    if (err) {
        plug->xs = NULL;
        return plug_fail(plug, err, "xenstore does not answer (%s): run as root in dom0",
                         strerror(-err));
    }
    return plug_find(plug, domain);
}

void plug_close(struct plug *plug)
{
    xenstore_close(plug->xs);
    plug->xs = NULL;
}

/* ---- writing ---- */

struct plug_disk {
    struct plug *plug;
    const char *target;
    bool readonly, force;
};

/* Nobody has the place.  What a former guest of that number left, Closed, makes way. */
static int plug_check_free(struct plug *plug)
{
    char path[PATH_ROOM];
    uint64_t state;

    path_domain(path, plug->id.domid, NULL);
    if (!xenstore_is_there(plug->xs, path))
        return plug_fail(plug, -ENOENT, "the domain is gone");
    path_frontend(path, &plug->id, NULL);
    if (xenstore_is_there(plug->xs, path) || frontend_is_libxls(plug->xs, &plug->id))
        return plug_fail(plug, -EEXIST, "the domain has a %s already: choose another device",
                         plug->device);
    path_backend(path, &plug->id, NULL);
    if (!xenstore_is_there(plug->xs, path))
        return 0;
    if (plug_state(plug, &state) || state != PLUG_CLOSED)
        return plug_fail(plug, -EBUSY, "an earlier %s is still being closed: try again in a moment",
                         plug->device);
    return xenstore_remove(plug->xs, path);
}

static int plug_put_backend(const struct plug_disk *disk)
{
    struct plug *plug = disk->plug;
    char path[PATH_ROOM], front[PATH_ROOM], domid[16], params[XENSTORE_VALUE];
    const char *const nodes[][2] = {
        {"frontend", front},
        {"frontend-id", domid},
        {"online", "1"},
        {"removable", "0"},
        {"bootable", "1"},
        {"dev", plug->device},
        {"type", "vbd3"},
        {"mode", disk->readonly ? "r" : "w"},
        {"device-type", "disk"},
        {"discard-enable", disk->readonly ? "0" : "1"},
        {"specification", "xen"},
        {"params", params},
        {"script", "/etc/xen/scripts/block-ephem"},
        {"toolstack", PATH_BY_HAND},
        {"token", plug->token},
        {"state", "1"},
    };

    path_frontend(front, &plug->id, NULL);
    snprintf(domid, sizeof(domid), "%u", plug->id.domid);
    if ((size_t)snprintf(params, sizeof(params), "aio:%s", disk->target) >= sizeof(params))
        return -E2BIG; /* never another base than the one that was meant */
    path_backend(path, &plug->id, NULL);
    int err = xenstore_make_dir(plug->xs, path, xenstore_self(plug->xs), plug->id.domid);
    for (size_t i = 0; i < ARRAY_SIZE(nodes) && !err; i++)
        err = plug_put(plug, false, nodes[i][0], nodes[i][1]);
    return err;
}

static int plug_put_frontend(const struct plug_disk *disk)
{
    struct plug *plug = disk->plug;
    char path[PATH_ROOM], back[FRONTEND_BACKEND], self[16], devid[16];
    const char *const nodes[][2] = {
        {"backend", back},       {"backend-id", self}, {"virtual-device", devid},
        {"device-type", "disk"}, {"trusted", "1"},     {"state", "1"},
    };

    frontend_backend(plug->xs, &plug->id, back);
    snprintf(self, sizeof(self), "%u", xenstore_self(plug->xs));
    snprintf(devid, sizeof(devid), "%u", plug->id.devid);
    path_frontend(path, &plug->id, NULL);
    int err = xenstore_make_dir(plug->xs, path, plug->id.domid, xenstore_self(plug->xs));
    for (size_t i = 0; i < ARRAY_SIZE(nodes) && !err; i++)
        err = plug_put(plug, true, nodes[i][0], nodes[i][1]);
    return err;
}

static int plug_write_body(struct xenstore *xs, void *arg)
{
    const struct plug_disk *disk = arg;

    (void)xs;
    int err = plug_check_free(disk->plug);
    if (!err)
        err = plug_put_backend(disk);
    return err ? err : plug_put_frontend(disk);
}

int plug_write(struct plug *plug, const char *target, bool readonly)
{
    struct plug_disk disk = {.plug = plug, .target = target, .readonly = readonly};
    unsigned char random[PLUG_TOKEN / 2];

    if (getrandom(random, sizeof(random), 0) != sizeof(random))
        return plug_fail(plug, -EIO, "the kernel gives no random numbers");
    for (size_t i = 0; i < sizeof(random); i++)
        snprintf(plug->token + 2 * i, 3, "%02x", random[i]);
    return plug_transact(plug, plug_write_body, &disk);
}

static int plug_allow_body(struct xenstore *xs, void *arg)
{
    struct plug *plug = arg;
    uint64_t state;
    (void)xs;
    /* What was removed meanwhile must not come back through our write. */
    int err = plug_own_state(plug, &state);
    if (err == -ENOENT)
        return plug_fail(plug, err, "the disk was removed meanwhile");
    return err ? err : plug_put(plug, false, "hotplug-status", "connected");
}

int plug_allow(struct plug *plug)
{
    return plug_transact(plug, plug_allow_body, plug);
}

/* ---- waiting ---- */

static int64_t plug_now(void)
{
    return (int64_t)(clock_ns() / 1000000);
}

/* Until `done` or the time is over, by watches on both states.  0, -ETIMEDOUT, or errno. */
static int plug_until(struct plug *plug, bool (*done)(struct plug *plug), int ms)
{
    char front[PATH_ROOM], back[PATH_ROOM], token[PATH_ROOM], path[PATH_ROOM];
    int64_t end = plug_now() + ms, left = ms;
    struct pollfd fd = {.fd = xenstore_fd(plug->xs), .events = POLLIN};

    path_frontend(front, &plug->id, "state");
    path_backend(back, &plug->id, "state");
    int err = xenstore_watch(plug->xs, front, "front");
    if (!err)
        err = xenstore_watch(plug->xs, back, "back");
    bool is_done = done(plug);
    while (!err && !is_done && left > 0) {
        poll(&fd, 1, (int)left);
        while (xenstore_event(plug->xs, token, path, sizeof(path)))
            continue;
        if (xenstore_lost(plug->xs))
            err = -EIO;
        is_done = done(plug);
        left = end - plug_now();
    }
    xenstore_unwatch(plug->xs, front, "front");
    xenstore_unwatch(plug->xs, back, "back");
    if (err)
        return plug_fail(plug, err, "xenstore: %s", strerror(-err));
    return is_done ? 0 : -ETIMEDOUT;
}

static bool plug_is_decided(struct plug *plug)
{
    uint64_t state;
    return plug_own_state(plug, &state) || state >= 4;
}

enum plug_end plug_wait(struct plug *plug, int ms)
{
    char path[PATH_ROOM], why[PLUG_TEXT / 2];
    uint64_t state = 0;

    int err = plug_until(plug, plug_is_decided, ms);
    if (err == -ETIMEDOUT)
        return PLUG_UNUSED;
    if (!err)
        err = plug_own_state(plug, &state);
    if (!err && state == 4)
        return PLUG_CONNECTED;
    path_error(path, &plug->id, "error");
    int none = err && err != -ENOENT ? 0 : xenstore_read(plug->xs, path, why, sizeof(why));
    if (xenstore_lost(plug->xs) || (err && err != -ENOENT)) {
        plug_fail(plug, -EIO,
                  "xenstore does not answer any more: the guest may have the disk; see "
                  "'ephemctl list', and 'ephemctl detach' when it does");
        return PLUG_REFUSED;
    }
    if (err)
        strcpy(why, "it was removed meanwhile");
    else if (none)
        strcpy(why, "the guest or somebody else closed it; see blkback-ephemd's log");
    plug_fail(plug, -ECONNABORTED, "%s", why);
    return PLUG_REFUSED;
}

/* ---- removing ---- */

/* The backend is by `ephemctl attach`: the attachment we are to act upon, or the first we meet. */
static int plug_check_token(struct plug *plug)
{
    uint64_t state;
    int err = plug->token[0] ? 0 : plug_get(plug, "token", plug->token, sizeof(plug->token));

    if (err)
        plug->token[0] = '\0';
    if (err && err != -ENOENT)
        return err;
    return plug_own_state(plug, &state) == -ENOENT
               ? plug_fail(plug, -ENOENT, "the disk was removed meanwhile")
               : 0;
}

/* Attached by us, or what is left of such a disk at the guest's end. */
static int plug_check_ours(struct plug *plug, bool *backend)
{
    char path[PATH_ROOM], value[sizeof(PATH_BY_HAND)];

    *backend = !plug_get(plug, "toolstack", value, sizeof(value)) && !strcmp(value, PATH_BY_HAND);
    plug->taken = frontend_is_libxls(plug->xs, &plug->id);
    if (*backend)
        return plug_check_token(plug);
    if (plug->taken)
        return plug_fail(plug, -EBUSY, "%s is xl's own: use 'xl block-detach %u %s'", plug->device,
                         plug->id.domid, plug->device);
    path_backend(path, &plug->id, NULL);
    if (!xenstore_is_there(plug->xs, path) && !frontend_look(plug->xs, &plug->id))
        return 0;
    return plug_fail(plug, -ENOENT,
                     "the domain has no %s by 'ephemctl attach': see 'ephemctl list'",
                     plug->device);
}

static int plug_ask_body(struct xenstore *xs, void *arg)
{
    const struct plug_disk *disk = arg;
    struct plug *plug = disk->plug;
    bool backend;
    uint64_t state = 0;

    (void)xs;
    int err = plug_check_ours(plug, &backend);
    if (err || !backend)
        return err;
    err = plug_put(plug, false, "online", "0");
    if (!err && (plug_state(plug, &state) || state != PLUG_CLOSED))
        err = plug_put(plug, false, "state", "5");
    return err;
}

/* By itself: a guest that writes its folder without end can only hold up this. */
static int plug_force_body(struct xenstore *xs, void *arg)
{
    struct plug *plug = arg;

    return frontend_erase(xs, &plug->id);
}

static int plug_force(struct plug *plug)
{
    const struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};
    int err = -EAGAIN;

    for (int i = 0; i < 50 && err == -EAGAIN; i++) {
        err = plug_transact(plug, plug_force_body, plug);
        if (err == -EAGAIN)
            nanosleep(&pause, NULL);
    }
    return err == -EAGAIN ? plug_fail(plug, err,
                                      "the guest never stops writing its folder of %s: "
                                      "the disk goes when it does, or ends",
                                      plug->device)
                          : err;
}

static bool plug_is_closed(struct plug *plug)
{
    uint64_t state;
    int err = plug_own_state(plug, &state);

    return err ? err == -ENOENT : state == PLUG_CLOSED;
}

static bool plug_is_gone(struct plug *plug)
{
    return plug_own_state(plug, &(uint64_t){0}) == -ENOENT;
}

/* The guest's folder, unless it has become another attachment's.  The backend's is the daemon's to remove: two
 * at once would be in each other's way. */
static int plug_clear_body(struct xenstore *xs, void *arg)
{
    struct plug *plug = arg;
    uint64_t state;
    int err = plug_own_state(plug, &state);

    if (err == -ENOENT && !plug_state(plug, &state))
        return 0;
    if (!err && state != PLUG_CLOSED)
        return plug_fail(plug, -EBUSY, "somebody has opened it anew");
    return err && err != -ENOENT ? err : frontend_erase(xs, &plug->id);
}

int plug_remove(struct plug *plug, bool force)
{
    struct plug_disk disk = {.plug = plug, .force = force};
    int err = plug_transact(plug, plug_ask_body, &disk);
    if (!err && force)
        err = plug_force(plug);
    if (!err)
        err = plug_until(plug, plug_is_closed, PLUG_REMOVAL);
    if (err == -ETIMEDOUT)
        return plug_fail(plug, err, "%s",
                         force ? "not closed after 10 s: see whether blkback-ephemd runs; it "
                                 "removes the disk as soon as it can"
                               : "the guest uses the disk still: it goes when the guest lets go "
                                 "of it (unmount it there), or now with --force");
    if (!err)
        err = plug_transact(plug, plug_clear_body, plug);
    if (!err)
        err = plug_until(plug, plug_is_gone, PLUG_REMOVAL);
    if (err == -ETIMEDOUT)
        plug_fail(plug, err, "closed, but blkback-ephemd has not removed it: see whether it runs");
    return err;
}
