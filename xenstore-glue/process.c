// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * process: posix_spawn, because a fork of a daemon with libxenstore's reader thread must not do
 * anything but exec.  A worker gets a session of its own: a Ctrl-C meant for the daemon, or a
 * hang-up of its terminal, is not meant for guests' disks.
 */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PROCESS_FD 3
#define REAP_TRIES 200 /* ms */

extern char **environ;

static int process_attributes(posix_spawnattr_t *attr)
{
    sigset_t none, all;

    sigemptyset(&none);
    sigfillset(&all);
    int err = posix_spawnattr_setsigmask(attr, &none);
    if (!err)
        err = posix_spawnattr_setsigdefault(attr, &all);
    if (!err)
        err = posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                 POSIX_SPAWN_SETSID);
    return err;
}

int process_spawn(const char *path, int sock, pid_t *pid)
{
    char *argv[] = {(char[]){"blkback-ephem"}, (char[]){"worker"}, (char[]){"--fd"}, (char[]){"3"},
                    NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;

    int err = posix_spawn_file_actions_init(&actions);
    if (err)
        return -err;
    err = posix_spawnattr_init(&attr);
    if (err) {
        posix_spawn_file_actions_destroy(&actions);
        return -err;
    }
    err = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (!err)
        err = posix_spawn_file_actions_adddup2(&actions, sock, PROCESS_FD);
    if (!err)
        err = posix_spawn_file_actions_addclosefrom_np(&actions, PROCESS_FD + 1);
    if (!err)
        err = process_attributes(&attr);
    if (!err)
        err = posix_spawn(pid, path, &actions, &attr, argv, environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&actions);
    return -err;
}

int process_watch(pid_t pid)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);

    return fd < 0 ? -errno : fd;
}

int process_follow(pid_t pid, unsigned long long started)
{
    int fd = process_watch(pid);

    /* In this order: what the descriptor names cannot change any more. */
    if (fd < 0 || (started && process_started(pid) == started))
        return fd;
    close(fd);
    return -ESRCH;
}

void process_kill(int pidfd)
{
    syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
}

/* False: not our child. */
static bool process_wait(int pidfd, siginfo_t *info)
{
    const struct timespec moment = {.tv_nsec = 1000000};

    for (int i = 0; i < REAP_TRIES; i++) {
        if (waitid(P_PIDFD, (id_t)pidfd, info, WEXITED | WNOHANG))
            return false;
        if (info->si_pid)
            return true;
        nanosleep(&moment, NULL); /* whoever traces it is told first */
    }
    return false;
}

void process_reap(int pidfd, char *how, size_t size)
{
    siginfo_t info = {0};

    if (!process_wait(pidfd, &info))
        snprintf(how, size, "ended");
    else if (info.si_code == CLD_EXITED)
        snprintf(how, size, "exited with status %d", info.si_status);
    else if (info.si_status == SIGSYS)
        snprintf(
            how, size,
            "was killed by its sandbox (signal %d): it made a system call that no worker makes, "
            "so its guest may have taken it over",
            SIGSYS);
    else
        snprintf(how, size, "was killed by signal %d", info.si_status);
}

unsigned long long process_started(pid_t pid)
{
    char path[64], text[1024];
    unsigned long long ticks = 0;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t got = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (got <= 0)
        return 0;
    text[got] = '\0';
    /* The name may hold anything; fields are counted from the last ')'. */
    const char *at = strrchr(text, ')');
    for (int field = 2; at && field < 22; field++) {
        at = strchr(at, ' ');
        if (at)
            at++;
    }
    if (!at || sscanf(at, "%llu", &ticks) != 1)
        return 0;
    return ticks;
}
