// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * stubdom: libxl writes two nodes before it gives a stub domain its disks: the stub domain's `target`
 * names the guest, the guest's `image/device-model-domid` names the stub domain (libxl_dm.c,
 * libxl__spawn_stub_dm).  Both must be there, agree, and be dom0's: a domain's directory is dom0's
 * with libxl, but a toolstack may give it to the domain.  Xen's block-common.sh looks at `target`
 * alone (same_vm); that would let a domain that can write its own join any guest.
 * One level only: who has a stub domain is none.  So loops are refused from both ends.
 *
 * A domain without `target` is a guest.  So is each one where we may not read (a driver domain):
 * there stub domains cannot be told, and get volumes of their own.
 * The vm UUID tells nothing here: libxl gives a stub domain one of its own.  Whoever keeps the answer
 * keeps both UUIDs with it, since domids come again.
 */
#include "stubdom.h"

#include <errno.h>
#include <stdio.h>

#include "paths.h"

static int stubdom_refuse(uint32_t domid, const char *why, char text[WIRE_TEXT])
{
    snprintf(text, WIRE_TEXT,
             "domain %u says that it is a stub domain (its node target), but %s: it gets no disk",
             domid, why);
    return -EINVAL;
}

/* The guest's end of the pair. */
static int stubdom_check_guest(stubdom_reader *read, void *from, uint32_t domid, uint32_t guest,
                               char text[WIRE_TEXT])
{
    char path[PATH_ROOM], value[16];
    uint32_t model;
    bool ours;

    path_domain(path, guest, "target");
    int err = read(from, path, value, sizeof(value), &ours);
    if (!err || err == -E2BIG || err == -EINVAL)
        return stubdom_refuse(domid, "its guest says the same of itself", text);
    if (err != -ENOENT)
        return err;
    path_domain(path, guest, "image/device-model-domid");
    err = read(from, path, value, sizeof(value), &ours);
    if (err && err != -ENOENT && err != -E2BIG && err != -EINVAL)
        return err;
    if (err || !ours || path_parse_id(value, PATH_DOMIDS - 1, &model) || model != domid)
        return stubdom_refuse(domid, "that guest has no such stub domain", text);
    return 0;
}

int stubdom_resolve(stubdom_reader *read, void *from, uint32_t domid, uint32_t *guest,
                    char text[WIRE_TEXT])
{
    char path[PATH_ROOM], value[16];
    bool ours;

    *guest = domid;
    text[0] = '\0';
    path_domain(path, domid, "target");
    int err = read(from, path, value, sizeof(value), &ours);
    if (err == -ENOENT || err == -EACCES)
        return 0;
    if (err && err != -E2BIG && err != -EINVAL)
        return err;
    if (err || path_parse_id(value, PATH_DOMIDS - 1, guest) || !*guest || *guest == domid)
        return stubdom_refuse(domid, "it names no guest", text);
    if (!ours)
        return stubdom_refuse(domid, "others than dom0 may write that", text);
    return stubdom_check_guest(read, from, domid, *guest, text);
}
