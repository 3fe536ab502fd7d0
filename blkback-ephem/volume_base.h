/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * volume_base: what a base looked like, and what has become of it since.  Private to volume*.c.
 * One thread.
 */
#ifndef EPHEM_VOLUME_BASE_H
#define EPHEM_VOLUME_BASE_H

#include <stdint.h>
#include <sys/stat.h>

enum base_news { BASE_SAME, BASE_GROWN, BASE_CHANGED };

struct base_watch {
    struct stat was;
    uint64_t bytes;    /* of a device too */
    uint64_t sequence; /* a device's; 0 where the kernel does not number them */
    uint64_t settled;  /* ms: until then a device's times mean nothing */
};

/* Begins with `fd` as it is now.  0 or negative errno. */
int base_watch_open(struct base_watch *watch, int fd);

/*
 * What has happened since the last look.  GROWN: it is larger and nothing else is known to have
 * happened to it; from now on it is compared with what it is now.  CHANGED: anything else.
 */
enum base_news base_look(struct base_watch *watch, int fd);

#endif
