// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * audit_host: what dom0 as a whole may keep of a guest: swap, hibernation, suspend to RAM, core files,
 * freed pages.
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

int audit_is_encrypted(dev_t id)
{
    char device[64];

    snprintf(device, sizeof(device), "/sys/dev/block/%u:%u", major(id), minor(id));
    return host_is_encrypted(device, HOST_DEPTH);
}

static void host_swap_on(json_t *checks, const char *path)
{
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
    int encrypted = audit_is_encrypted(S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev);
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
    char *text = audit_read(AT_FDCWD, "/proc/swaps"), *at = text;
    const char *path;
    bool any = false, block;

    if (!text && errno == ENOENT) {
        audit_add(checks, AUDIT_OK, "dom0 swap", NULL, "the kernel has none");
        return false;
    }
    if (!text || proc_swaps(&at)) {
        audit_add(checks, AUDIT_UNKNOWN, "dom0 swap", AUDIT_AS_ROOT, "/proc/swaps: %s",
                  text ? "not understood" : strerror(errno));
        free(text);
        return true;
    }
    while (!proc_swap(&at, &path, &block)) {
        any = true;
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
    char others[32] = "";
    int self = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = self < 0 ? -errno : 0;

    for (size_t i = 0; self >= 0 && i < sizeof(spaces) / sizeof(*spaces); i++) {
        int is = audit_in_dom0(self, spaces[i]);

        if (!is)
            snprintf(others + strlen(others), sizeof(others) - strlen(others), " %s", spaces[i]);
        else if (is < 0 && is != -ENOENT)
            err = is;
    }
    if (self >= 0)
        close(self);
    if (*others)
        audit_add(checks, AUDIT_UNKNOWN, "place", "run ephemctl outside of any container or unit",
                  "ephemctl has namespaces of its own: what it sees is not dom0's:%s", others);
    else if (err)
        audit_add(checks, AUDIT_UNKNOWN, "place", AUDIT_AS_ROOT,
                  "whether ephemctl is in dom0's own namespaces cannot be told: %s",
                  strerror(-err));
}

/* A file of /sys/power; NULL when there is none, of which `check` then has a row. */
static char *host_power(json_t *checks, const char *check, const char *path)
{
    char *text = audit_read(AT_FDCWD, path);
    int err = text ? 0 : errno;

    if (err && (err != ENOENT || access("/sys/kernel", F_OK)))
        audit_add(checks, AUDIT_UNKNOWN, check, AUDIT_AS_ROOT, "%s: %s", path, strerror(err));
    else if (err)
        audit_add(checks, AUDIT_OK, check, NULL, "the kernel has none");
    return text;
}

static void host_hibernation(json_t *checks, const char *cmdline)
{
    char *disk = host_power(checks, "hibernation", "/sys/power/disk");
    char resume[256];

    if (!disk)
        return;
    if (strstr(disk, "[disabled]"))
        audit_add(checks, AUDIT_OK, "hibernation", NULL, "not possible now");
    else if (cmdline && !proc_word(cmdline, "resume", resume, sizeof(resume)))
        audit_add(checks, AUDIT_WARN, "hibernation", "nohibernate on dom0's command line",
                  "possible, to %s: it would write all memory there", resume);
    else
        audit_add(checks, AUDIT_WARN, "hibernation", "nohibernate on dom0's command line",
                  "possible: it would write all memory to disk");
    free(disk);
}

/* What `systemctl mask` makes is a link; all ways to sleep need this unit. */
static bool host_is_masked(const char *unit)
{
    static const char null[] = "/dev/null";
    char to[sizeof(null)];

    return readlink(unit, to, sizeof(to)) == sizeof(null) - 1 &&
           !memcmp(to, null, sizeof(null) - 1);
}

static void host_suspend(json_t *checks)
{
    char *states = host_power(checks, "suspend to RAM", "/sys/power/state");

    if (!states)
        return;
    if (!strstr(states, "mem") && !strstr(states, "standby") && !strstr(states, "freeze"))
        audit_add(checks, AUDIT_OK, "suspend to RAM", NULL, "not possible now");
    else if (host_is_masked("/etc/systemd/system/sleep.target") ||
             host_is_masked("/run/systemd/system/sleep.target"))
        audit_add(checks, AUDIT_OK, "suspend to RAM", NULL, "sleep.target is masked in systemd");
    else
        audit_add(checks, AUDIT_WARN, "suspend to RAM",
                  "end the guests before the machine sleeps, or systemctl mask sleep.target",
                  "possible: memory stays powered, with every guest's key in it");
    free(states);
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
    host_suspend(checks);
    host_cores(checks);
    *init_on_free = host_init_on_free(checks);
    free(cmdline);
}
