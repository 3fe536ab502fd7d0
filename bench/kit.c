// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kit: what engine.c does, for one thread; nothing is ever closed.
 */
#include "kit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "key.h"
#include "secret.h"

/* For programs that are linked with --wrap=mlock2: valgrind does not know it. */
int __wrap_mlock2(const void *memory, size_t bytes, unsigned int flags);

int __wrap_mlock2(const void *memory, size_t bytes, unsigned int flags)
{
    (void)memory;
    (void)bytes;
    (void)flags;
    return 0;
}

static void check(int err, const char *what)
{
    if (!err)
        return;
    fprintf(stderr, "bench: %s: %s\n", what, strerror(-err));
    exit(1);
}

void kit_open(struct kit *kit, const char *dir, uint64_t ram, uint64_t bytes, bool integrity)
{
    struct pool_config config = {.kind = dir ? POOL_DIR : POOL_RAM,
                                 .fd = -1,
                                 .ram = dir ? ram : 0,
                                 .bytes = dir ? 0 : ram,
                                 .integrity = integrity};
    struct volume_config volume = {.bytes = bytes, .base = -1, .name = "bench"};
    struct key *key;

    secret_enter();
    if (dir) {
        config.fd = open(dir, O_TMPFILE | O_RDWR | O_DIRECT | O_CLOEXEC, 0600);
        check(config.fd < 0 ? -errno : 0, dir);
    }
    check(key_open(&key), "key");
    check(pool_open(&kit->pool, &config), "pool");
    check(iothread_open(&kit->thread, 0, 8u << 20), "thread");
    check(lane_open(&kit->lane, kit->thread, kit->pool, key), "lane");
    check(volume_open(&kit->volume, kit->pool, &volume), "volume");
    check(pool_start(kit->pool), "keeper");
    check(iothread_start(kit->thread), "thread");
}
