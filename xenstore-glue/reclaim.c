// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * reclaim: a forked child that does nothing but the ioctl.  It is forked out of a process with
 * libxenstore's thread, so it calls only what is safe after that, and keeps no descriptor but its
 * two: a worker's socket in it would hide from the worker that its daemon is gone.  It dies with the
 * daemon, between two steps of RECLAIM_STEP: the next daemon does it again.
 */
#include "reclaim.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process.h"

/* linux/fs.h defines a BLOCK_SIZE of its own. */
#ifndef BLKDISCARD
#define BLKDISCARD _IO(0x12, 119)
#endif
#define RECLAIM_STEP ((uint64_t)1 << 30) /* bytes an ioctl */
#define RECLAIM_HIGH 10                  /* above the descriptors the child ends up with */

bool reclaim_is_busy(const struct reclaim *reclaim)
{
    return reclaim->process.loop != NULL;
}

static void reclaim_child(pid_t parent, int fd, int lock, uint64_t offset, uint64_t bytes)
{
    int device = fcntl(fd, F_DUPFD, RECLAIM_HIGH), file = fcntl(lock, F_DUPFD, RECLAIM_HIGH);

    if (device < 0 || file < 0 || dup2(device, 0) || dup2(file, 1) != 1 || close_range(2, ~0u, 0) ||
        prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
        _exit(EINTR);
    while (bytes) {
        uint64_t range[2] = {offset, min_u64(bytes, RECLAIM_STEP)};

        if (ioctl(0, BLKDISCARD, range))
            _exit(errno);
        offset += range[1];
        bytes -= range[1];
    }
    _exit(0);
}

static void reclaim_ended(struct loop_source *source, uint32_t events)
{
    struct reclaim *reclaim = container_of(source, struct reclaim, process);
    siginfo_t info = {0};
    int error = -EINTR;

    (void)events;
    if (!waitid(P_PIDFD, (id_t)source->fd, &info, WEXITED | WNOHANG) && info.si_pid &&
        info.si_code == CLD_EXITED)
        error = -info.si_status;
    reclaim_stop(reclaim);
    reclaim->done(reclaim->owner, error);
}

int reclaim_start(struct reclaim *reclaim, struct loop *loop, int fd, int lock, uint64_t offset,
                  uint64_t bytes, reclaim_done *done, void *owner)
{
    pid_t parent = getpid(), pid = fork();

    if (!pid)
        reclaim_child(parent, fd, lock, offset, bytes);
    if (pid < 0)
        return -errno;
    int pidfd = process_watch(pid);
    *reclaim = (struct reclaim){
        .process = {.fd = pidfd, .ready = reclaim_ended}, .done = done, .owner = owner};
    int err = pidfd < 0 ? pidfd : loop_add(loop, &reclaim->process, EPOLLIN);
    if (!err)
        return 0;
    if (pidfd >= 0)
        close(pidfd);
    kill(pid, SIGKILL); /* our child, not reaped yet: the pid is its */
    waitpid(pid, NULL, 0);
    return err;
}

void reclaim_stop(struct reclaim *reclaim)
{
    if (!reclaim_is_busy(reclaim))
        return;
    loop_remove(&reclaim->process);
    close(reclaim->process.fd);
}
