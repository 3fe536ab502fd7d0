// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * life_limits: what a life's worker may take.  The limits are reckoned when it starts, and raised
 * before it gets another volume and when one has grown.  They are noted in a file of ours whenever they
 * change, and always written to the control group as a whole: what stands there may be gone when the
 * next daemon takes the worker over.
 *
 * Of two vbds that are doors onto one volume (kin) the first counts, and when it goes the other.
 * For each volume id the note has the size, in GiB, of the largest volume there has been: what a worker
 * was once allowed it keeps, since memory that was used does not always come back.  Nothing there is a
 * worker's word: a volume that is said to have grown counts as far as its base has, which we look at.
 */
#include "life.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "kin.h"
#include "log.h"
#include "store.h"
#include "util.h"
#include "vbd.h"

#define LIMITS_UNIT    ((uint64_t)1 << 30) /* bytes of a volume, for which there are 2 MiB of memory */
#define LIMITS_NUMBERS (2 + WIRE_VOLUMES)    /* threads, memory, units of each volume */
#define LIMITS_TEXT    (21 * LIMITS_NUMBERS) /* each with what follows it */

static uint64_t limits_units(uint64_t bytes)
{
    return bytes / LIMITS_UNIT + (bytes % LIMITS_UNIT != 0);
}

/* The most memory its worker may have; 0: no bound, as for a directory in memory (tmpfs), whose files
 * are counted as their writer's. */
static uint64_t life_memory(const struct life *life, int fd)
{
    struct statfs st;
    uint64_t room = 0;

    if (life->pool.kind == WIRE_POOL_DIR) {
        if (fstatfs(fd, &st) || st.f_type == TMPFS_MAGIC || st.f_type == RAMFS_MAGIC)
            return 0;
        room = (uint64_t)st.f_blocks * (uint64_t)st.f_frsize;
    }
    return cgroup_memory(&life->pool, life->threads, room);
}

static void limits_note(const struct life *life)
{
    char text[LIMITS_TEXT];
    int at = snprintf(text, sizeof(text), "%" PRIu32 " %" PRIu64, life->limits.threads,
                      life->limits.memory);

    for (int id = 0; id < WIRE_VOLUMES; id++)
        at += snprintf(text + at, sizeof(text) - (size_t)at, " %" PRIu32, life->units[id]);
    int err = life_note(life, "limits", text);
    if (err)
        log_warn("guest %u: its worker's limits cannot be noted in %s: %s: the next daemon goes by "
                 "what was noted before, if anything was",
                 life->domid, life->glue->policy->run_dir, strerror(-err));
}

/* One whole line of as many numbers as there must be. */
static bool limits_parse(char *text, uint64_t numbers[LIMITS_NUMBERS])
{
    char *end = strchr(text, '\n');

    if (!end)
        return false;
    *end = '\0';
    for (int i = 0; i < LIMITS_NUMBERS; i++) {
        const char *word = strsep(&text, " ");

        if (!word || parse_u64(word, i < 2 ? UINT64_MAX : STORE_MOST / LIMITS_UNIT, &numbers[i]))
            return false;
    }
    return !text && numbers[0] >= 1 && numbers[0] <= WIRE_THREADS;
}

static bool limits_read(struct life *life)
{
    uint64_t numbers[LIMITS_NUMBERS];
    char path[LIFE_PATH], text[LIMITS_TEXT];

    life_path(life, "limits", path);
    FILE *file = fopen(path, "re");
    bool got = file && fgets(text, sizeof(text), file) && limits_parse(text, numbers);
    if (file)
        fclose(file);
    if (!got)
        return false;
    life->limits = (struct cgroup_limits){.threads = (uint32_t)numbers[0], .memory = numbers[1]};
    for (int id = 0; id < WIRE_VOLUMES; id++) {
        life->units[id] = (uint32_t)numbers[2 + id];
        life->limits.volumes += numbers[2 + id] * LIMITS_UNIT;
    }
    return true;
}

int life_confine(struct life *life, int pool)
{
    const struct glue *glue = life->glue;
    char text[WIRE_TEXT];

    life->limits = (struct cgroup_limits){.threads = life->threads,
                                          .memory = life_memory(life, pool)};
    limits_note(life);
    if (!glue->cgroup)
        return 0;
    int err = cgroup_add(glue->cgroup, life->domid, life->number, worker_pid(life->worker),
                         &life->limits, text);
    if (!err)
        return 0;
    if (glue->policy->cgroup != CGROUP_ON) {
        log_warn("guest %u: its worker has no control group: %s", life->domid, text);
        return 0;
    }
    snprintf(life->error, sizeof(life->error), "%s", text);
    return err;
}

void life_allow(struct life *life, int volume, uint64_t bytes)
{
    uint64_t units = limits_units(bytes);

    if (!life->limits.threads || units <= life->units[volume])
        return;
    life->limits.volumes += (units - life->units[volume]) * LIMITS_UNIT;
    life->units[volume] = (uint32_t)units;
    limits_note(life);
    cgroup_limit(life->glue->cgroup, life->domid, life->number, &life->limits);
}

void life_allow_moved(struct life *life, int from, int to)
{
    uint32_t units = life->units[from];

    if (!life->limits.threads || units <= life->units[to])
        return;
    life->units[from] = life->units[to];
    life->units[to] = units;
    limits_note(life);
}

/* The most that a volume can have by now; 0: not known. */
static uint64_t limits_size(const char *target)
{
    struct store_spec spec;
    char text[STORE_TEXT];

    if (store_parse_volume(target, &spec, text))
        return 0;
    if (spec.size)
        return spec.size;
    int fd = open(spec.path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    off_t end = fd < 0 ? 0 : lseek(fd, 0, SEEK_END); /* a device's size too */
    if (fd >= 0)
        close(fd);
    return end < 0 ? 0 : (uint64_t)end;
}

void life_allow_growth(struct vbd *vbd)
{
    struct life *life = vbd->life;

    if (vbd->adopted || vbd->volume == VBD_NO_VOLUME || !life->limits.threads ||
        limits_units(vbd->bytes) <= life->units[vbd->volume_id] || !kin_is_first(vbd))
        return;
    uint64_t most = limits_size(vbd_target(vbd));
    life_allow(life, vbd->volume_id, min_u64(vbd->bytes, most));
    if (most < vbd->bytes && log_allowed(&vbd->limit))
        log_warn("vbd %u/%u: its worker says that it has %" PRIu64 " bytes, its base has %" PRIu64
                 ": the worker gets no memory for the rest",
                 vbd->id.domid, vbd->id.devid, vbd->bytes, most);
}

void life_confine_again(struct life *life)
{
    if (!limits_read(life) && life->glue->cgroup)
        log_warn(
            "guest %u: of its worker's limits nothing usable is noted: pids.max and memory.max "
            "of its control group stay as they are until the guest ends",
            life->domid);
    cgroup_limit(life->glue->cgroup, life->domid, life->number, &life->limits);
}
