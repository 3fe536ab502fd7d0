// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * extents_record: one line of text.  Written before the life's worker is started, so that a worker
 * without a record has no device; one that was cut short stands for a life that never began.
 * Numbers of devices and disks are given anew at each boot, and a run-dir may outlive one: then a
 * record means nothing.
 */
#include "extents_record.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RECORD_BOOT 40

struct extents_record *extents_record_at(const char *path)
{
    struct extents_record *record = calloc(1, sizeof(*record));

    if (!record)
        return NULL;
    list_init(&record->link);
    snprintf(record->path, sizeof(record->path), "%s", path);
    return record;
}

void extents_record_free(struct extents_record *record, bool done)
{
    if (!record)
        return;
    if (done)
        unlink(record->path);
    list_remove(&record->link);
    free(record);
}

/* This boot's name, without blanks; "none" where there is none. */
static void record_boot(char boot[RECORD_BOOT])
{
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");

    if (!file || fscanf(file, "%39s", boot) != 1)
        strcpy(boot, "none");
    if (file)
        fclose(file);
}

int extents_record_write(const struct life *life, const struct extents_identity *id, uint64_t quota,
                         struct extents_record **out)
{
    char path[LIFE_PATH], boot[RECORD_BOOT];

    record_boot(boot);
    life_path(life, "pool", path);
    struct extents_record *record = extents_record_at(path);
    if (!record)
        return -ENOMEM;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    int err = fd < 0 ? -errno : 0;
    if (!err && dprintf(fd, "%s %s %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %s\n", boot,
                        id->shared ? "shared" : "exclusive", id->rdev, id->seq, id->bytes, quota,
                        id->path) < 0)
        err = -errno;
    if (fd >= 0 && close(fd) && !err)
        err = -errno;
    if (err)
        extents_record_free(record, fd >= 0);
    else
        *out = record;
    return err;
}

int extents_record_read(const char *path, struct extents_identity *id, uint64_t *quota)
{
    char line[PATH_MAX + 192], kind[16], boot[RECORD_BOOT], now[RECORD_BOOT];
    int at = 0;

    memset(id, 0, sizeof(*id));
    FILE *file = fopen(path, "re");
    if (!file)
        return -errno;
    bool got = fgets(line, sizeof(line), file) != NULL;
    fclose(file);
    char *end = got ? strchr(line, '\n') : NULL;
    if (!end || sscanf(line, "%39s %15s %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %n", boot,
                       kind, &id->rdev, &id->seq, &id->bytes, quota, &at) != 6)
        return -EINVAL;
    record_boot(now);
    if (strcmp(boot, now))
        return -ESTALE;
    *end = '\0';
    id->shared = !strcmp(kind, "shared");
    return at ? copy_string(id->path, sizeof(id->path), line + at) : -EINVAL;
}
