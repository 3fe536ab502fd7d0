// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * untraced: a process of the same user, without capabilities, tries to get at the memory of one that has
 * entered the sandbox.  It gets at that of one that has not, so the attempts are such that could succeed.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "sandbox.h"

#define NOBODY 65534u

static char memory[64] = "what nobody else may read";

static bool by_ptrace(pid_t pid)
{
    if (ptrace(PTRACE_ATTACH, pid, NULL, NULL))
        return false;
    waitpid(pid, NULL, __WALL);
    ptrace(PTRACE_DETACH, pid, NULL, NULL);
    return true;
}

static bool by_seize(pid_t pid)
{
    if (ptrace(PTRACE_SEIZE, pid, NULL, NULL))
        return false;
    ptrace(PTRACE_INTERRUPT, pid, NULL, NULL);
    waitpid(pid, NULL, __WALL);
    ptrace(PTRACE_DETACH, pid, NULL, NULL);
    return true;
}

static bool by_file(pid_t pid, const char *name)
{
    char path[64], byte;

    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool got = fd >= 0 &&
               (pread(fd, &byte, 1, (off_t)(uintptr_t)memory) == 1 || read(fd, &byte, 1) == 1);
    if (fd >= 0)
        close(fd);
    return got;
}

static bool by_mem(pid_t pid)
{
    return by_file(pid, "mem");
}

static bool by_maps(pid_t pid)
{
    return by_file(pid, "maps");
}

static bool by_environ(pid_t pid)
{
    return by_file(pid, "auxv");
}

static bool by_descriptors(pid_t pid)
{
    char path[64], link[64];

    snprintf(path, sizeof(path), "/proc/%d/fd/0", (int)pid);
    return readlink(path, link, sizeof(link)) > 0;
}

static bool by_readv(pid_t pid)
{
    char got[64] = "";
    struct iovec to = {got, sizeof(got)}, from = {memory, sizeof(memory)};

    return process_vm_readv(pid, &to, 1, &from, 1, 0) == (ssize_t)sizeof(got) &&
           !memcmp(got, memory, sizeof(got));
}

static const struct {
    const char *name;
    bool (*try)(pid_t pid);
} attempts[] = {
    {"ptrace attach", by_ptrace},    {"ptrace seize", by_seize}, {"mem", by_mem},
    {"process_vm_readv", by_readv},  {"maps", by_maps},          {"auxv", by_environ},
    {"descriptors", by_descriptors},
};

/* Some other user, if we are root, who is above all this. */
static bool become(void)
{
    return geteuid() != 0 ||
           (!setresgid(NOBODY, NOBODY, NOBODY) && !setresuid(NOBODY, NOBODY, NOBODY));
}

/* Says when it is ready by closing the pipe. */
static pid_t victim(bool entered)
{
    int pair[2];
    char byte;

    CU_ASSERT_EQUAL_FATAL(pipe(pair), 0);
    pid_t pid = fork();
    if (!pid) {
        if (!become())
            _exit(1);
        /* As after an exec: changing ids has left it undumpable. */
        prctl(PR_SET_DUMPABLE, 1);
        if (entered)
            sandbox_enter();
        close(pair[0]);
        close(pair[1]);
        for (;;)
            pause();
    }
    close(pair[1]);
    CU_ASSERT_EQUAL(read(pair[0], &byte, 1), 0);
    close(pair[0]);
    return pid;
}

/* A bit for each attempt that succeeded. */
static int got_at(pid_t pid)
{
    int status = 0;
    pid_t attacker = fork();

    if (!attacker) {
        int got = 0;
        if (!become())
            _exit(255);
        for (size_t i = 0; i < sizeof(attempts) / sizeof(*attempts); i++)
            if (attempts[i].try(pid))
                got |= 1 << i;
        _exit(got);
    }
    CU_ASSERT_EQUAL_FATAL(waitpid(attacker, &status, 0), attacker);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

static void same_user(void)
{
    pid_t open = victim(false), shut = victim(true);
    int all = (1 << (sizeof(attempts) / sizeof(*attempts))) - 1;

    int got = got_at(open);
    if (got != all)
        fprintf(stderr, "without a sandbox: %x of %x\n", (unsigned int)got, (unsigned int)all);
    CU_ASSERT_EQUAL(got, all);
    CU_ASSERT_EQUAL(got_at(shut), 0);
    kill(open, SIGKILL);
    kill(shut, SIGKILL);
    CU_ASSERT_EQUAL(waitpid(open, NULL, 0), open);
    CU_ASSERT_EQUAL(waitpid(shut, NULL, 0), shut);
}

/* It dies of a signal that dumps core, and has left none, though the hard limit was there. */
static void no_core(void)
{
    int status = 0;
    struct rlimit core = {0, 0};
    pid_t child = fork();

    if (!child) {
        sandbox_enter();
        if (getrlimit(RLIMIT_CORE, &core) || core.rlim_cur || core.rlim_max ||
            prctl(PR_GET_DUMPABLE) != 0)
            _exit(1);
        signal(SIGQUIT, SIG_DFL);
        raise(SIGQUIT);
    }
    CU_ASSERT_EQUAL_FATAL(waitpid(child, &status, 0), child);
    CU_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGQUIT && !WCOREDUMP(status));
}

int suite_untraced(void)
{
    static const struct unit_case cases[] = {
        {"a process of the same user", same_user},
        {"no core", no_core},
    };

    return UNIT_SUITE("untraced", cases);
}
