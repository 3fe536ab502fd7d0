// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * undertaker: a child that waits on our pidfd, which tells when all threads have ended and with them the
 * I/O that was under way into the arenas (the kernel waits for it as the memory goes).  Only then it
 * wipes: what is wiped earlier could be filled again.
 *
 * It writes zeroes over files: those of the arenas, and where the secret memory is an ordinary file, as
 * secret.c says, that one, which no child has mapped.  The rest of our memory it has as it was before the
 * first guest-written byte.  A socket between the two tells us that it has ended, and it that we end in good
 * order: one byte; that it is closed tells it nothing, since a taken-over worker could do that, too.
 * Deliberately absent: what the kernel itself keeps of data on its way (socket buffers, saved
 * registers, stacks), which freed pages hold until init_on_free clears them; and an undertaker for the
 * undertaker: who kills both at once has the freed pages to care for.
 */
#include "undertaker.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "memfile.h"
#include "syscalls.h"
#include "util.h"

struct undertaker {
    int parent;       /* a pidfd: us, the worker */
    int ours, theirs; /* a socket each */
    bool started;
    uint32_t count;
    int files[UNDERTAKER_FILES];
};

int undertaker_open(struct undertaker **out)
{
    struct undertaker *undertaker = calloc(1, sizeof(*undertaker));
    int pair[2];

    if (!undertaker)
        return -ENOMEM;
    undertaker->parent = (int)syscall(SYS_pidfd_open, getpid(), 0);
    if (undertaker->parent < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) {
        int err = -errno;
        if (undertaker->parent >= 0)
            close(undertaker->parent);
        free(undertaker);
        return err;
    }
    undertaker->ours = pair[0];
    undertaker->theirs = pair[1];
    *out = undertaker;
    return 0;
}

void undertaker_add(struct undertaker *undertaker, int fd)
{
    undertaker->files[undertaker->count++] = fd;
}

/* All descriptors but those that it needs: neither a disk nor a log is held open by it. */
static int undertaker_let_go(const struct undertaker *undertaker)
{
    unsigned int from = 0;

    for (;;) {
        unsigned int next = UINT_MAX;
        const int others[] = {undertaker->parent, undertaker->theirs};
        for (uint32_t i = 0; i < undertaker->count + ARRAY_SIZE(others); i++) {
            int fd = i < undertaker->count ? undertaker->files[i] : others[i - undertaker->count];
            if ((unsigned int)fd >= from && (unsigned int)fd < next)
                next = (unsigned int)fd;
        }
        if (next > from && close_range(from, next == UINT_MAX ? next : next - 1, 0))
            return -errno;
        if (next == UINT_MAX)
            return 0;
        from = next + 1;
    }
}

/* True: something may be left to be wiped. */
static bool undertaker_wait(const struct undertaker *undertaker)
{
    struct pollfd fds[2] = {{.fd = undertaker->parent, .events = POLLIN},
                            {.fd = undertaker->theirs, .events = POLLIN}};
    char byte;

    for (;;) {
        if (poll(fds, 2, -1) <= 0)
            continue;
        if (fds[1].revents && read(undertaker->theirs, &byte, 1) == 1)
            return false;
        if (fds[0].revents)
            return true;
        fds[1].fd = -1; /* closed, without a word */
    }
}

_Noreturn static void undertaker_run(struct undertaker *undertaker)
{
    sigset_t all;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    prctl(PR_SET_NAME, "undertaker");
    if (undertaker_let_go(undertaker) || syscalls_allow(SYSCALLS_UNDERTAKER) ||
        write(undertaker->theirs, "", 1) != 1)
        _exit(1);
    bool left = undertaker_wait(undertaker);
    for (uint32_t i = 0; left && i < undertaker->count; i++)
        memfile_wipe(undertaker->files[i]);
    _exit(0);
}

int undertaker_start(struct undertaker *undertaker)
{
    pid_t pid = fork();
    char byte;

    if (!pid)
        undertaker_run(undertaker);
    if (pid < 0)
        return -errno;
    close(undertaker->theirs);
    undertaker->theirs = -1;
    if (read(undertaker->ours, &byte, 1) != 1)
        return -ECHILD;
    undertaker->started = true;
    return 0;
}

bool undertaker_lost(struct undertaker *undertaker)
{
    char byte;
    struct iovec iov = {&byte, 1};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

    if (!undertaker->started || recvmsg(undertaker->ours, &msg, MSG_DONTWAIT) < 0)
        return false;
    undertaker->started = false;
    return true;
}

void undertaker_close(struct undertaker *undertaker)
{
    if (!undertaker)
        return;
    if (undertaker->started)
        send(undertaker->ours, "", 1, MSG_NOSIGNAL);
    close(undertaker->ours);
    if (undertaker->theirs >= 0)
        close(undertaker->theirs);
    close(undertaker->parent);
    free(undertaker);
}
