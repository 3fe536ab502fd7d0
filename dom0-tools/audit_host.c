// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * audit_host: what dom0 as a whole may keep of a guest: swap, hibernation, core files, freed pages.
 * None of it is ours to set, so these are warnings.
 */
#include "audit.h"

#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "audit_proc.h"
#include "kernel.h"

#define HOST_DEPTH 8 /* of devices upon devices */

/* ---- swap ---- */

/* cryptsetup names its integrity and verity devices so, too. */
static bool host_uuid_is_crypt(const char *uuid)
{
    return !strncmp(uuid, "CRYPT-", 6) && strncmp(uuid + 6, "VERITY", 6) &&
           strncmp(uuid + 6, "INTEGRITY", 9) && strncmp(uuid + 6, "SUBDEV", 6);
}

/* 1: all that lies on /sys/dev/block/MAJOR:MINOR is encrypted or in memory; 0: not; negative: unknown */
static int host_is_encrypted(const char *device, int depth)
{
    char path[512];
    int all = -ENOENT;

    snprintf(path, sizeof(path), "%s/dm/uuid", device);
    char *uuid = audit_read(AT_FDCWD, path);
    if (uuid && host_uuid_is_crypt(uuid)) {
        free(uuid);
        return 1;
    }
    free(uuid);
    snprintf(path, sizeof(path), "%s/slaves", device);
    DIR *slaves = depth ? opendir(path) : NULL;
    if (!slaves)
        return access(device, F_OK) ? -errno : 0;
    for (struct dirent *at; (at = readdir(slaves));) {
        if (at->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%.200s/slaves/%s", device, at->d_name);
        int one = host_is_encrypted(path, depth - 1);
        all = all == -ENOENT || one < all ? one : all;
    }
    closedir(slaves);
    return all == -ENOENT ? 0 : all;
}

/* zram without a device behind it */
static bool host_is_memory(const char *path)
{
    char name[300];

    if (strncmp(path, "/dev/zram", 9) || strchr(path + 5, '/'))
        return false;
    snprintf(name, sizeof(name), "/sys/block/%.200s/backing_dev", path + 5);
    char *behind = audit_read(AT_FDCWD, name);
    bool none = behind ? !strncmp(behind, "none", 4) : errno == ENOENT;
    free(behind);
    return none;
}

static void host_swap_on(json_t *checks, const char *path)
{
    char device[64];
    struct stat st;

    if (host_is_memory(path)) {
        audit_add(checks, AUDIT_OK, "dom0 swap", NULL, "%s: compressed memory", path);
        return;
    }
    if (stat(path, &st)) {
        audit_add(checks, AUDIT_UNKNOWN, "dom0 swap", AUDIT_AS_ROOT, "%s: %s", path,
                  strerror(errno));
        return;
    }
    dev_t id = S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev;
    snprintf(device, sizeof(device), "/sys/dev/block/%u:%u", major(id), minor(id));
    int encrypted = host_is_encrypted(device, HOST_DEPTH);
    if (encrypted > 0)
        audit_add(checks, AUDIT_OK, "dom0 swap", NULL, "%s: encrypted", path);
    else if (!encrypted)
        audit_add(checks, AUDIT_WARN, "dom0 swap",
                  "swapoff it, or put it on dm-crypt with a random key",
                  "%s is not encrypted: what dom0 swaps stays there", path);
    else
        audit_add(checks, AUDIT_UNKNOWN, "dom0 swap", "put it on dm-crypt with a random key",
                  "%s: whether it is encrypted cannot be told", path);
}

static bool host_swaps(json_t *checks)
{
    char *text = audit_read(AT_FDCWD, "/proc/swaps");
    bool any = false;

    if (!text && errno == ENOENT) {
        audit_add(checks, AUDIT_OK, "dom0 swap", NULL, "the kernel has none");
        return false;
    }
    if (!text || strncmp(text, "Filename", 8)) {
        audit_add(checks, AUDIT_UNKNOWN, "dom0 swap", AUDIT_AS_ROOT, "/proc/swaps: %s",
                  text ? "not understood" : strerror(errno));
        free(text);
        return true;
    }
    for (char *line = strchr(text, '\n'); line && line[1]; line = strchr(line, '\n')) {
        char path[512];

        line++;
        any = true;
        snprintf(path, sizeof(path), "%.*s", (int)strcspn(line, " \t\n"), line);
        proc_unescape(path);
        host_swap_on(checks, path);
    }
    if (!any)
        audit_add(checks, AUDIT_OK, "dom0 swap", NULL, "none");
    free(text);
    return any;
}

/* ---- the rest ---- */

/* Who runs elsewhere sees other mounts, paths, processes than dom0 has. */
static void host_place(json_t *checks)
{
    static const char *const spaces[] = {"mnt", "pid", "net"};
    char path[32], ours[64], first[64], others[32] = "";
    int err = 0;

    for (size_t i = 0; i < sizeof(spaces) / sizeof(*spaces); i++) {
        snprintf(path, sizeof(path), "/proc/self/ns/%s", spaces[i]);
        ssize_t len = readlink(path, ours, sizeof(ours) - 1);
        if (len < 0 && errno == ENOENT && strcmp(spaces[i], "mnt"))
            continue; /* the kernel has none */
        snprintf(path, sizeof(path), "/proc/1/ns/%s", spaces[i]);
        ssize_t firsts = len < 0 ? len : readlink(path, first, sizeof(first) - 1);
        if (firsts < 0) {
            err = -errno;
            continue;
        }
        ours[len] = first[firsts] = '\0';
        if (strcmp(ours, first))
            snprintf(others + strlen(others), sizeof(others) - strlen(others), " %s", spaces[i]);
    }
    if (*others)
        audit_add(checks, AUDIT_UNKNOWN, "place", "run ephemctl outside of any container or unit",
                  "ephemctl has namespaces of its own: what it sees is not dom0's:%s", others);
    else if (err)
        audit_add(checks, AUDIT_UNKNOWN, "place", AUDIT_AS_ROOT,
                  "whether ephemctl is in dom0's own namespaces cannot be told: %s",
                  strerror(-err));
}

static void host_hibernation(json_t *checks, const char *cmdline)
{
    char *disk = audit_read(AT_FDCWD, "/sys/power/disk");
    char resume[256];
    int err = disk ? 0 : errno;

    if (err && (err != ENOENT || access("/sys/kernel", F_OK)))
        audit_add(checks, AUDIT_UNKNOWN, "hibernation", AUDIT_AS_ROOT, "/sys/power/disk: %s",
                  strerror(err));
    else if (err)
        audit_add(checks, AUDIT_OK, "hibernation", NULL, "the kernel has none");
    else if (strstr(disk, "[disabled]"))
        audit_add(checks, AUDIT_OK, "hibernation", NULL, "not possible now");
    else if (cmdline && !proc_word(cmdline, "resume", resume, sizeof(resume)))
        audit_add(checks, AUDIT_WARN, "hibernation", "nohibernate on dom0's command line",
                  "possible, to %s: it would write all memory there", resume);
    else
        audit_add(checks, AUDIT_WARN, "hibernation", "nohibernate on dom0's command line",
                  "possible: it would write all memory to disk");
    free(disk);
}

static void host_cores(json_t *checks)
{
    char *pattern = audit_read(AT_FDCWD, "/proc/sys/kernel/core_pattern");

    if (!pattern) {
        audit_add(checks, AUDIT_UNKNOWN, "core files", AUDIT_AS_ROOT,
                  "/proc/sys/kernel/core_pattern: %s", strerror(errno));
        return;
    }
    pattern[strcspn(pattern, "\n")] = '\0';
    if (!*pattern || !strcmp(pattern, "/dev/null") || !strcmp(pattern, "|/bin/false") ||
        !strcmp(pattern, "|/bin/true"))
        audit_add(checks, AUDIT_OK, "core files", NULL, "nothing keeps them");
    else
        audit_add(checks, AUDIT_WARN, "core files", "sysctl kernel.core_pattern='|/bin/false'",
                  "dom0 %s: a device model's has its guest's data (a worker leaves none): %s",
                  *pattern == '|' ? "hands them to a program, whatever their limit" : "writes them",
                  pattern);
    free(pattern);
}

static bool host_init_on_free(json_t *checks)
{
    static const char remedy[] = "init_on_free=1 on dom0's command line";
    int on = kernel_zeroes_freed(KERNEL_CMDLINE, NULL);

    if (on > 0)
        audit_add(checks, AUDIT_OK, "init_on_free", NULL, "freed pages are zeroed");
    else if (!on)
        audit_add(checks, AUDIT_WARN, "init_on_free", remedy,
                  "off: what the kernel frees (socket buffers, stacks) keeps what was in it");
    else if (on == -ENOENT)
        audit_add(checks, AUDIT_WARN, "init_on_free", remedy,
                  "not on the command line, and how the kernel was built is not known");
    else
        audit_add(checks, AUDIT_UNKNOWN, "init_on_free", AUDIT_AS_ROOT, KERNEL_CMDLINE ": %s",
                  strerror(-on));
    return on > 0;
}

void audit_host(json_t *checks, bool *swaps, bool *init_on_free)
{
    char *cmdline = audit_read(AT_FDCWD, "/proc/cmdline");

    host_place(checks);
    *swaps = host_swaps(checks);
    host_hibernation(checks, cmdline);
    host_cores(checks);
    *init_on_free = host_init_on_free(checks);
    free(cmdline);
}
