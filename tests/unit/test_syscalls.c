// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * syscalls: every phase's filter in a child of its own, and single calls made under it.  Whole workers
 * under their filters are in tests/sim/test_sandbox.sh and in every other test there.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "syscalls.h"

#define ALL   (SYSCALLS_WORKER_SETUP | SYSCALLS_WORKER | SYSCALLS_SERVE_SETUP | SYSCALLS_SERVE)
#define LAST  SYSCALLS_UNDERTAKER
#define SETUP (SYSCALLS_WORKER_SETUP | SYSCALLS_SERVE_SETUP)

struct attempt {
    const char *name;
    long call, args[6];
    unsigned int allowed; /* phases */
};

static const struct attempt attempts[] = {
    /* Besides what the sanitizers may. */
    {"socket", SYS_socket, {1, 1, 0}, 0},
    {"connect", SYS_connect, {0, 0, 0}, 0},
    {"bind", SYS_bind, {0, 0, 0}, 0},
    {"accept", SYS_accept, {0, 0, 0}, 0},
    {"execve", SYS_execve, {0, 0, 0}, 0},
    {"execveat", SYS_execveat, {-1, 0, 0, 0, 0}, 0},
    {"a child that shares memory", SYS_clone, {CLONE_VM | CLONE_VFORK | SIGCHLD}, 0},
    {"fork", SYS_clone, {CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD}, SETUP},
    {"close_range", SYS_close_range, {1000, 1000, 0}, SETUP},
    {"poll", SYS_poll, {0, 0, 0}, SETUP | LAST},
    {"lseek", SYS_lseek, {-1, 0, 0}, ALL | LAST},
    {"write", SYS_write, {-1, 0, 0}, ALL | LAST},
    {"writev", SYS_writev, {-1, 0, 0}, ALL},
    {"recvmsg", SYS_recvmsg, {-1, 0, 0}, ALL},
    {"fallocate", SYS_fallocate, {-1, 0, 0, 0}, ALL},
    {"a thread in a namespace", SYS_clone, {CLONE_VM | CLONE_THREAD | CLONE_NEWNS}, 0},
    {"ptrace", SYS_ptrace, {0, 0, 0, 0}, 0},
    {"process_vm_writev", SYS_process_vm_writev, {1, 0, 0, 0, 0, 0}, 0},
    {"pidfd_open", SYS_pidfd_open, {1, 0}, 0},
    {"kill", SYS_kill, {1, 0}, 0},
    {"tkill", SYS_tkill, {1, 0}, 0},
    {"another's tgkill", SYS_tgkill, {1, 1, 0}, 0},
    {"mount", SYS_mount, {0, 0, 0, 0, 0}, 0},
    {"chroot", SYS_chroot, {0}, 0},
    {"unshare", SYS_unshare, {0}, 0},
    {"setuid", SYS_setuid, {0}, 0},
    {"bpf", SYS_bpf, {0, 0, 0}, 0},
    {"io_uring_setup", SYS_io_uring_setup, {0, 0}, 0},
    {"io_setup", SYS_io_setup, {1, 0}, 0},
    {"memfd_create", SYS_memfd_create, {0, 0}, 0},
    {"creat", SYS_creat, {0, 0}, 0},
    {"openat2", SYS_openat2, {-1, 0, 0, 0}, 0},
    {"open_by_handle_at", SYS_open_by_handle_at, {-1, 0, 0}, 0},
    {"munlockall", SYS_munlockall, {0}, 0},
    {"mlockall", SYS_mlockall, {0}, 0},
    {"shmget", SYS_shmget, {0, 0, 0}, 0},
    {"executable mmap", SYS_mmap, {0, 4096, PROT_READ | PROT_EXEC, 34, -1, 0}, 0},
    {"executable mprotect", SYS_mprotect, {0, 0, PROT_EXEC}, 0},
    {"pkey_mprotect", SYS_pkey_mprotect, {0, 0, 0, -1}, 0},
    {"TIOCSTI", SYS_ioctl, {0, 0x5412, 0}, 0},
    {"BLKRRPART", SYS_ioctl, {0, BLKRRPART, 0}, 0},
    {"IOCTL_EVTCHN_BIND_VIRQ", SYS_ioctl, {-1, 0x00044500, 0}, 0},
    {"IOCTL_EVTCHN_RESTRICT_DOMID", SYS_ioctl, {-1, 0x00024506, 0}, 0},
    {"F_SETOWN", SYS_fcntl, {-1, F_SETOWN, 0}, 0},
    {"F_DUPFD", SYS_fcntl, {-1, F_DUPFD, 0}, 0},
    {"fallocate that collapses", SYS_fallocate, {-1, 8, 0, 0}, 0},
    {"sendto an address", SYS_sendto, {-1, 0, 0, 0, 1, 0}, 0},
    {"unlink", SYS_unlink, {0}, SYSCALLS_SERVE_SETUP | SYSCALLS_SERVE},
    {"unlinkat", SYS_unlinkat, {-1, 0, 0}, 0},
    {"readv", SYS_readv, {-1, 0, 0}, ALL},
    {"sendto", SYS_sendto, {-1, 0, 0, 0, 0, 0}, ALL},
    {"IOCTL_GNTDEV_MAP_GRANT_REF",
     SYS_ioctl,
     {-1, 0x00184700, 0},
     SYSCALLS_WORKER_SETUP | SYSCALLS_WORKER},
    {"IOCTL_GNTDEV_GRANT_COPY",
     SYS_ioctl,
     {-1, 0x00104708, 0},
     SYSCALLS_WORKER_SETUP | SYSCALLS_WORKER},
    {"IOCTL_EVTCHN_BIND_INTERDOMAIN",
     SYS_ioctl,
     {-1, 0x00084501, 0},
     SYSCALLS_WORKER_SETUP | SYSCALLS_WORKER},
    {"TCGETS", SYS_ioctl, {2, 0x5401, 0}, ALL}, /* by an errno; and the next */
    {"TCGETS2", SYS_ioctl, {2, 0x802c542a, 0}, ALL},
    {"BLKDISCARD", SYS_ioctl, {-1, BLKDISCARD, 0}, ALL},
    {"F_SETLEASE", SYS_fcntl, {-1, F_SETLEASE, F_UNLCK}, ALL},
    {"sendmsg", SYS_sendmsg, {-1, 0, 0}, ALL},
    {"accept4", SYS_accept4, {-1, 0, 0, 0}, ALL},
    {"mmap", SYS_mmap, {0, 4096, PROT_READ, 34, -1, 0}, ALL},
    {"munlock", SYS_munlock, {0, 0}, ALL},
    {"epoll_pwait2", SYS_epoll_pwait2, {-1, 0, 0, 0, 0, 0}, ALL},
    {"clone3", SYS_clone3, {0, 0}, SETUP}, /* by an errno */
#if !SYSCALLS_REPORTS
    {"open", SYS_open, {0, 0}, 0},
    {"openat", SYS_openat, {-100, 0, 0}, 0},
    {"stat by a path", SYS_newfstatat, {-100, 0, 0, 0}, 0},
    {"PR_SET_DUMPABLE", SYS_prctl, {PR_SET_DUMPABLE, 1}, 0},
    {"PR_SET_TIMERSLACK", SYS_prctl, {PR_SET_TIMERSLACK, 1000}, SETUP},
    {"rseq", SYS_rseq, {0, 0, 1, 0}, SETUP},
    {"prlimit64", SYS_prlimit64, {0, 0, 0, 0}, SETUP},
    {"another's prlimit64", SYS_prlimit64, {1, 0, 0, 0}, 0},
#endif
};

/* The signal that ended it, 0 for none. */
static int signal_of(const struct attempt *attempt, enum syscalls_phase phase)
{
    pid_t child = fork();
    int status = 0;

    if (!child) {
        const long *a = attempt->args;

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscalls_allow(phase))
            _exit(3);
        long result = syscall(attempt->call, a[0], a[1], a[2], a[3], a[4], a[5]);
        /* A child of the child must not go on here. */
        _exit(attempt->call == SYS_clone && result == 0 ? 4 : 0);
    }
    CU_ASSERT_EQUAL_FATAL(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status))
        return WTERMSIG(status);
    CU_ASSERT_EQUAL(WEXITSTATUS(status), 0);
    return 0;
}

static void test_table(void)
{
    for (size_t i = 0; i < sizeof(attempts) / sizeof(*attempts); i++)
        for (unsigned int phase = 1; phase & (ALL | LAST); phase <<= 1) {
            int expected = attempts[i].allowed & phase ? 0 : SIGSYS;
            int got = signal_of(&attempts[i], (enum syscalls_phase)phase);

            if (got != expected)
                fprintf(stderr, "%s in phase %u: signal %d\n", attempts[i].name, phase, got);
            CU_ASSERT_EQUAL(got, expected);
        }
}

static void *thread_waits(void *arg)
{
    pthread_mutex_t *gate = arg;

    pthread_mutex_lock(gate);
    syscall(SYS_clone3, 0, 0); /* setup lets it fail */
    pthread_mutex_unlock(gate);
    return NULL;
}

/* Setup lets a thread be made; the next phase holds in the threads that there are already. */
static void test_threads(void)
{
    pid_t child = fork();
    int status = 0;

    if (!child) {
        pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
        pthread_t thread;

        pthread_mutex_lock(&gate);
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscalls_allow(SYSCALLS_WORKER_SETUP) ||
            pthread_create(&thread, NULL, thread_waits, &gate) || syscalls_allow(SYSCALLS_WORKER))
            _exit(3);
        pthread_mutex_unlock(&gate);
        pthread_join(thread, NULL);
        _exit(0);
    }
    CU_ASSERT_EQUAL_FATAL(waitpid(child, &status, 0), child);
    CU_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}

static const struct unit_case cases[] = {
    {"every call in every phase", test_table},
    {"threads", test_threads},
};

int suite_syscalls(void)
{
    return UNIT_SUITE("syscalls", cases);
}
