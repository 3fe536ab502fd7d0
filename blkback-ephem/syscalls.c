// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * syscalls: one table of what is allowed and when; a filter of the kernel's (seccomp) is made of it.
 *
 * What is not in the table kills the process (SIGSYS) rather than failing: nothing here tries a call
 * to see whether it works, so a call that is not in the table means that somebody else decides what
 * this process does.  The key dies with it, and blkback-ephemd says so in its log.  The exceptions
 * fail with an errno, because libc makes these calls by itself and goes on without them.
 *
 * Not here, and so deadly: everything that opens, connects, executes, forks once there are threads,
 * signals others, traces, changes ids or limits, and memory that is executable.  An argument is looked at where the call could do
 * more than is needed; what a pointer leads to no filter can see.
 * `unlink` of `serve` is the widest hole: it removes its socket at the end, and keeps its uid for it.
 */
#include "syscalls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <xen/xen.h>
#include <xen/grant_table.h>
#include <xen/sys/evtchn.h>
#include <xen/sys/gntdev.h>

#ifndef BLKGETDISKSEQ
#define BLKGETDISKSEQ _IOR(0x12, 128, uint64_t)
#endif

#define SETUP  (SYSCALLS_WORKER_SETUP | SYSCALLS_SERVE_SETUP)
#define WORKER (SYSCALLS_WORKER_SETUP | SYSCALLS_WORKER)
#define SERVE  (SYSCALLS_SERVE_SETUP | SYSCALLS_SERVE)
#define ALWAYS (WORKER | SERVE)
#define BURIAL (ALWAYS | SYSCALLS_UNDERTAKER)
#define NEW_ALL                                                                                    \
    (CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET |     \
     CLONE_NEWCGROUP)

struct syscalls_rule {
    int call;
    unsigned int phases;
    bool looks; /* at one argument: (value & mask) == wanted */
    unsigned int argument;
    uint64_t mask, wanted;
};

#define CALL(name, phases_)                                                                        \
    {                                                                                              \
        .call = SCMP_SYS(name), .phases = phases_                                                  \
    }
#define CALL_MASK(name, phases_, argument_, mask_, wanted_)                                        \
    {                                                                                              \
        .call = SCMP_SYS(name), .phases = phases_, .looks = true, .argument = argument_,           \
        .mask = mask_, .wanted = wanted_                                                           \
    }
#define CALL_IS(name, phases_, argument_, wanted_)                                                 \
    CALL_MASK(name, phases_, argument_, UINT32_MAX, wanted_)

static const struct syscalls_rule syscalls_table[] = {
    /* Waiting, and being woken. */
    CALL(futex, ALWAYS),
    CALL(epoll_wait, ALWAYS),
    CALL(epoll_pwait, ALWAYS),
    CALL(epoll_pwait2, ALWAYS),
    CALL(epoll_ctl, ALWAYS),
    CALL(restart_syscall, BURIAL),
    CALL(rt_sigprocmask, ALWAYS),
    CALL(rt_sigreturn, BURIAL),
    CALL(sched_yield, ALWAYS),
    CALL(poll, SETUP | SYSCALLS_UNDERTAKER),
    CALL(ppoll, SETUP | SYSCALLS_UNDERTAKER),
    CALL(nanosleep, ALWAYS),
    CALL(clock_nanosleep, ALWAYS),
    CALL(clock_gettime, ALWAYS), /* where the vDSO cannot tell the time: this and below */
    CALL(gettimeofday, ALWAYS),
    CALL(time, ALWAYS),
    /* Data, by descriptors that we have. */
    CALL(read, BURIAL),
    CALL(write, BURIAL),
    CALL(writev, ALWAYS),
    CALL(pread64, ALWAYS),
    CALL(pwrite64, ALWAYS),
    CALL(lseek, BURIAL),
    CALL(io_submit, ALWAYS),
    CALL(io_getevents, ALWAYS),
    CALL(io_pgetevents, ALWAYS),
    CALL(io_destroy, ALWAYS),
    CALL(recvmsg, ALWAYS),
    CALL(sendmsg, ALWAYS),
    CALL(readv, ALWAYS),                         /* this and below: NBD */
    CALL_MASK(sendto, ALWAYS, 4, UINT64_MAX, 0), /* to whom we are connected */
    CALL(accept4, ALWAYS),                       /* a daemon that comes back; a client */
    CALL(close, ALWAYS),
    CALL(fstat, ALWAYS),
    CALL_MASK(newfstatat, ALWAYS, 3, AT_EMPTY_PATH, AT_EMPTY_PATH), /* fstat() of glibc 2.33 on */
    CALL(fstatfs, ALWAYS),
    CALL_IS(fallocate, ALWAYS, 1, 0),
    CALL_IS(fallocate, ALWAYS, 1, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE),
    CALL_IS(fcntl, ALWAYS, 1, F_SETFL),
    CALL_IS(fcntl, ALWAYS, 1, F_SETLEASE),
    CALL_IS(ioctl, ALWAYS, 1, BLKDISCARD),
    CALL_IS(ioctl, ALWAYS, 1, BLKGETDISKSEQ),
    CALL_IS(ioctl, WORKER, 1, IOCTL_GNTDEV_MAP_GRANT_REF),
    CALL_IS(ioctl, WORKER, 1, IOCTL_GNTDEV_UNMAP_GRANT_REF),
    CALL_IS(ioctl, WORKER, 1, IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR),
    CALL_IS(ioctl, WORKER, 1, IOCTL_GNTDEV_GRANT_COPY),
    CALL_IS(ioctl, WORKER, 1, IOCTL_EVTCHN_BIND_INTERDOMAIN),
    CALL_IS(ioctl, WORKER, 1, IOCTL_EVTCHN_UNBIND),
    CALL_IS(ioctl, WORKER, 1, IOCTL_EVTCHN_NOTIFY),
    CALL(unlink, SERVE),
    /* Memory, never executable; only what is given back is unlocked. */
    CALL_MASK(mmap, ALWAYS, 2, PROT_EXEC, 0),
    CALL_MASK(mprotect, ALWAYS, 2, PROT_EXEC, 0),
    CALL(munmap, ALWAYS),
    CALL(mremap, ALWAYS),
    CALL(madvise, ALWAYS),
    CALL(munlock, ALWAYS), /* before 5.18 locked memory is given back in two steps */
    CALL(brk, ALWAYS),
    CALL(getrandom, ALWAYS),
    /* The undertaker, before there are threads. */
    CALL_IS(clone, SETUP, 0, CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD),
    CALL(close_range, SETUP),
    CALL_IS(prctl, SETUP, 0, PR_SET_NAME),
    /* Threads, until they run; and the end. */
    CALL_MASK(clone, SETUP, 0, CLONE_THREAD | CLONE_VM | NEW_ALL, CLONE_THREAD | CLONE_VM),
    CALL(set_robust_list, SETUP),
    CALL(rseq, SETUP),
    CALL(rt_sigaction, SETUP),
    CALL_IS(prctl, SETUP, 0, PR_SET_TIMERSLACK),
    CALL(epoll_create1, SYSCALLS_SERVE_SETUP),
    CALL(eventfd2, SYSCALLS_SERVE_SETUP),
    CALL_IS(prlimit64, SETUP, 0, 0), /* pid: ourselves */
    CALL(seccomp, SETUP),
    CALL(getpid, ALWAYS), /* abort(): this and below */
    CALL(gettid, ALWAYS),
    CALL(exit, BURIAL),
    CALL(exit_group, BURIAL),
};

struct syscalls_errno {
    struct syscalls_rule rule;
    int error;
};

static const struct syscalls_errno syscalls_errnos[] = {
    /* Its flags lie in memory.  pthread_create() takes clone() then, whose flags can be looked at. */
    {CALL(clone3, SETUP), ENOSYS},
    /* Are standard output and error terminals?  libxenevtchn asks that for each handle. */
    {CALL_IS(ioctl, ALWAYS, 1, 0x5401 /* TCGETS */), ENOTTY},
    {CALL_IS(ioctl, ALWAYS, 1, 0x802c542a /* TCGETS2: glibc 2.42 on */), ENOTTY},
};

#if SYSCALLS_REPORTS
/* What the sanitizers' run-time libraries do besides. */
static const struct syscalls_rule syscalls_sanitizers[] = {
    CALL(openat, BURIAL),
    CALL(open, BURIAL),
    CALL(readlink, BURIAL),
    CALL(readlinkat, BURIAL),
    CALL(newfstatat, BURIAL),
    CALL(stat, BURIAL),
    CALL(lstat, BURIAL),
    CALL(access, BURIAL),
    CALL(getcwd, BURIAL),
    CALL(sigaltstack, BURIAL),
    CALL(rt_sigaction, BURIAL),
    CALL(rt_sigtimedwait, BURIAL),
    CALL(sched_getaffinity, BURIAL),
    CALL(set_robust_list, BURIAL),
    CALL(rseq, BURIAL),
    CALL(getrusage, BURIAL),
    CALL(prlimit64, BURIAL),
    CALL(getrlimit, BURIAL),
    CALL(uname, BURIAL),
    CALL(getuid, BURIAL),
    CALL(geteuid, BURIAL),
    CALL(sysinfo, BURIAL),
    CALL(mlock, BURIAL),
    CALL(mincore, BURIAL),
    CALL(msync, BURIAL),
    CALL(prctl, BURIAL),
    CALL(dup, BURIAL),
    CALL(personality, BURIAL),
    /* What their own thread does, which a forked child has, too; a worker may do it anyway. */
    CALL(rt_sigprocmask, SYSCALLS_UNDERTAKER),
    CALL(gettimeofday, SYSCALLS_UNDERTAKER),
    CALL(nanosleep, SYSCALLS_UNDERTAKER),
    CALL(clock_nanosleep, SYSCALLS_UNDERTAKER),
    CALL(futex, SYSCALLS_UNDERTAKER),
};
#endif

static int syscalls_add(scmp_filter_ctx filter, uint32_t action, const struct syscalls_rule *rule)
{
    struct scmp_arg_cmp look = SCMP_CMP64(rule->argument, SCMP_CMP_MASKED_EQ, rule->mask,
                                          rule->wanted);

    return seccomp_rule_add_array(filter, action, rule->call, rule->looks ? 1 : 0, &look);
}

static int syscalls_add_table(scmp_filter_ctx filter, const struct syscalls_rule *rules, size_t n,
                              enum syscalls_phase phase)
{
    int err = 0;

    for (size_t i = 0; i < n && !err; i++)
        if (rules[i].phases & phase)
            err = syscalls_add(filter, SCMP_ACT_ALLOW, &rules[i]);
    return err;
}

static int syscalls_fill(scmp_filter_ctx filter, enum syscalls_phase phase)
{
    /* raise() and abort() only. */
    const struct syscalls_rule own = CALL_IS(tgkill, ALWAYS, 0, (uint32_t)getpid());
    int err = syscalls_add_table(filter, syscalls_table,
                                 sizeof(syscalls_table) / sizeof(*syscalls_table), phase);

    for (size_t i = 0; i < sizeof(syscalls_errnos) / sizeof(*syscalls_errnos) && !err; i++)
        if (syscalls_errnos[i].rule.phases & phase)
            err = syscalls_add(filter, SCMP_ACT_ERRNO((uint32_t)syscalls_errnos[i].error),
                               &syscalls_errnos[i].rule);
    if (!err)
        err = syscalls_add_table(filter, &own, 1, phase);
#if SYSCALLS_REPORTS
    if (!err)
        err = syscalls_add_table(filter, syscalls_sanitizers,
                                 sizeof(syscalls_sanitizers) / sizeof(*syscalls_sanitizers), phase);
#endif
    return err;
}

int syscalls_allow(enum syscalls_phase phase)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    int err = filter ? 0 : -ENOMEM;

    /* A 32-bit call has other numbers: none is made here. */
    if (!err)
        err = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (!err)
        err = seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 0); /* is set */
    if (!err)
        err = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    /* A tree instead of a list: a call takes about as long as without. */
    if (!err)
        err = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    if (!err)
        err = syscalls_fill(filter, phase);
    if (!err)
        err = seccomp_load(filter);
    seccomp_release(filter);
    return err;
}
