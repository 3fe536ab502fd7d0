// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * xen-watch DOMID TTY DIR: what all domains have had of the CPUs at each mark that a guest sets on its console.
 * xen-watch: the time on the same clock, in nanoseconds.
 *
 * The guest says "GUEST: mark WORDS" and waits for a line.  For each: a line with the time, each domain's CPU
 * time, both in nanoseconds, and WORDS; then the guest goes on.  So nobody asks in a loop meanwhile, whose
 * CPU time would be in what is measured.  What is dirty in the file system of DIR is written back after the time
 * was taken and before the CPU times are: no load pays for the one before, and what a load has left to be
 * written is in its CPU time, though not in its rate.  Ends with "GUEST: end", or with the guest.
 *
 * Bound to one release of Xen by libxenctrl, as ephem-guard is.
 */
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xenctrl.h>

#include "util.h"

#define WATCH_DOMAINS 64

static const char watch_mark[] = "GUEST: mark ";
static const char watch_end[] = "GUEST: end";

static void watch_show(xc_interface *xc, int dir, const char *words)
{
    xc_domaininfo_t domains[WATCH_DOMAINS];

    printf("%" PRIu64, clock_ns());
    if (syncfs(dir))
        error(1, errno, "what is dirty cannot be written back");
    int count = xc_domain_getinfolist(xc, 0, WATCH_DOMAINS, domains);
    if (count < 0)
        error(1, errno, "the domains cannot be listed");
    for (int i = 0; i < count; i++)
        printf(" %u:%" PRIu64, domains[i].domain, domains[i].cpu_time);
    printf(" %s\n", words);
    fflush(stdout);
}

/* Whether the guest is still there. */
static bool watch_lives(xc_interface *xc, uint32_t domid)
{
    xc_domaininfo_t info;

    return xc_domain_getinfolist(xc, domid, 1, &info) == 1 && info.domain == domid &&
           !(info.flags & (XEN_DOMINF_dying | XEN_DOMINF_shutdown));
}

int main(int argc, char **argv)
{
    char *line = NULL, *end;
    size_t room = 0;

    if (argc == 1) {
        printf("%" PRIu64 "\n", clock_ns());
        return EXIT_SUCCESS;
    }
    if (argc != 4)
        error(2, 0, "usage: xen-watch [DOMID TTY DIR]");
    unsigned long domid = strtoul(argv[1], &end, 10);
    if (*end || domid >= 0x7ff0)
        error(2, 0, "%s: is no domain's number", argv[1]);
    xc_interface *xc = xc_interface_open(NULL, NULL, 0);
    if (!xc)
        error(1, errno, "Xen cannot be asked: run it as root, in dom0");
    int dir = open(argv[3], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        error(1, errno, "%s", argv[3]);
    int fd = open(argv[2], O_RDWR | O_NOCTTY | O_CLOEXEC);
    FILE *tty = fd < 0 ? NULL : fdopen(fd, "r");
    if (!tty)
        error(1, errno, "%s", argv[2]);
    while (getline(&line, &room, tty) > 0) {
        line[strcspn(line, "\r\n")] = '\0';
        char *mark = strstr(line, watch_mark);
        if (strstr(line, watch_end))
            break;
        if (!mark)
            continue;
        watch_show(xc, dir, mark + strlen(watch_mark));
        if (write(fd, "\n", 1) != 1)
            error(1, errno, "%s", argv[2]);
    }
    if (ferror(tty) && watch_lives(xc, (uint32_t)domid))
        error(1, errno, "%s", argv[2]);
    free(line);
    fclose(tty);
    close(dir);
    xc_interface_close(xc);
    return EXIT_SUCCESS;
}
