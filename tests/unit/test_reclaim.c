// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * reclaim: what becomes of the process.  Real discards are seen in tests/sim/test_extents.sh.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>
#include "reclaim.h"

struct told {
    struct reclaim reclaim;
    int error;
    unsigned int count;
};

static void told_done(void *owner, int error)
{
    struct told *told = owner;

    CU_ASSERT_FALSE(reclaim_is_busy(&told->reclaim));
    told->error = error;
    told->count++;
}

/* Runs it on `fd`; how often it was told. */
static unsigned int told_run(struct told *told, struct loop *loop, int fd, int lock)
{
    CU_ASSERT_EQUAL_FATAL(reclaim_start(&told->reclaim, loop, fd, lock, 0, 4096, told_done, told),
                          0);
    CU_ASSERT(reclaim_is_busy(&told->reclaim));
    for (int i = 0; i < 100 && !told->count; i++)
        loop_turn(loop, 100);
    return told->count;
}

static void test_refused(void)
{
    int file = memfd_create("device", MFD_CLOEXEC), lock = memfd_create("lock", MFD_CLOEXEC);
    unsigned int before = unit_fds();
    struct told told = {.error = 1};
    struct loop *loop = NULL;

    CU_ASSERT_EQUAL_FATAL(loop_open(&loop), 0);
    CU_ASSERT_EQUAL(told_run(&told, loop, file, lock), 1);
    CU_ASSERT_EQUAL(told.error, -ENOTTY); /* no device */
    /* The process could not begin: not done. */
    told = (struct told){.error = 1};
    CU_ASSERT_EQUAL(told_run(&told, loop, file, -1), 1);
    CU_ASSERT_EQUAL(told.error, -EINTR);
    loop_close(loop);
    CU_ASSERT_EQUAL(unit_fds(), before);
    close(file);
    close(lock);
}

/* Forgotten, it does not come back, and leaves no lock behind. */
static void test_forgotten(void)
{
    int file = memfd_create("device", MFD_CLOEXEC);
    int lock = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), other = -1;
    char path[64];
    struct told told = {.count = 0};
    struct loop *loop = NULL;

    CU_ASSERT_EQUAL_FATAL(loop_open(&loop), 0);
    CU_ASSERT_EQUAL(flock(lock, LOCK_EX | LOCK_NB), 0);
    CU_ASSERT_EQUAL(reclaim_start(&told.reclaim, loop, file, lock, 0, 4096, told_done, &told), 0);
    reclaim_stop(&told.reclaim);
    reclaim_stop(&told.reclaim);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", lock);
    other = open(path, O_RDWR | O_CLOEXEC);
    close(lock);
    int err = -1;
    for (int i = 0; i < 100 && err; i++) {
        err = flock(other, LOCK_EX | LOCK_NB);
        unit_sleep(err ? 20 : 0);
    }
    CU_ASSERT_EQUAL(err, 0);
    loop_turn(loop, 0);
    CU_ASSERT_EQUAL(told.count, 0);
    loop_close(loop);
    close(other);
    close(file);
}

static const struct unit_case cases[] = {
    {"a discard that is refused", test_refused},
    {"a process that is forgotten", test_forgotten},
};

int suite_reclaim(void)
{
    return UNIT_SUITE("reclaim", cases);
}
