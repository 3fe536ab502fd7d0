// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * life_limits: what a life's worker may take.  The limits are reckoned when it starts, and raised when
 * its volumes become more.  They are noted in a file of ours whenever they change, and always written
 * to the control group as a whole: what stands there may be gone when the next daemon takes the worker
 * over, and what the worker says of its pool and volumes then would be a guest's word.
 */
#include "life.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>

#include "log.h"
#include "vbd.h"

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

static void life_note_limits(const struct life *life)
{
    char text[80];

    snprintf(text, sizeof(text), "%" PRIu32 " %" PRIu64 " %" PRIu64, life->limits.threads,
             life->limits.memory, life->limits.volumes);
    int err = life_note(life, "limits", text);
    if (err)
        log_warn(
            "guest %u: its worker's limits cannot be noted in %s: %s: the next daemon will not "
            "renew them",
            life->domid, life->glue->policy->run_dir, strerror(-err));
}

int life_confine(struct life *life, int pool)
{
    const struct glue *glue = life->glue;
    char text[WIRE_TEXT];

    life->limits = (struct cgroup_limits){.threads = life->threads,
                                          .memory = life_memory(life, pool)};
    life_note_limits(life);
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

void life_allow(struct life *life)
{
    uint64_t bytes = 0;

    list_for_each(it, &life->glue->vbds)
    {
        const struct vbd *vbd = container_of(it, struct vbd, link);

        if (vbd->life == life && vbd->volume != VBD_NO_VOLUME)
            bytes += vbd->bytes;
    }
    /* What it was once allowed it keeps: memory that was used does not always come back. */
    if (bytes <= life->limits.volumes)
        return;
    life->limits.volumes = bytes;
    life_note_limits(life);
    cgroup_limit(life->glue->cgroup, life->domid, life->number, &life->limits);
}

/* Of a worker of which nothing is noted we do not know what it needs: it keeps its disks. */
void life_confine_again(struct life *life)
{
    struct cgroup_limits limits;
    char path[LIFE_PATH];

    life->limits = (struct cgroup_limits){.threads = WIRE_THREADS};
    life_path(life, "limits", path);
    FILE *file = fopen(path, "re");
    if (file && fscanf(file, "%" SCNu32 " %" SCNu64 " %" SCNu64, &limits.threads, &limits.memory,
                       &limits.volumes) == 3)
        life->limits = limits;
    if (file)
        fclose(file);
    cgroup_limit(life->glue->cgroup, life->domid, life->number, &life->limits);
}
