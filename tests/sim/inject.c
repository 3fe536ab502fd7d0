// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * inject PID CALL [ARG]...: has another process make one system call, as code that a guest has taken
 * over would, and says what came of it: "killed by signal N", or "= RESULT", negative for an errno.
 * Run by root.  ARG is a number, @TEXT for a pointer to that text, or %HEX for one to those bytes (which
 * stay below its stack).
 *
 * The main thread is stopped in whatever call it waits in; its registers are put back afterwards, so a
 * process that survives goes on as if nothing had been.  One that was made another program, or made
 * another process, is ended.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROOM 256u

struct call {
    long number;
    unsigned long long args[6];
    char data[6][ROOM];
    size_t size[6]; /* 0: a plain number */
};

static void die(const char *what)
{
    perror(what);
    exit(2);
}

static size_t bytes_of(const char *hex, char *out)
{
    size_t n = 0;
    unsigned int byte;

    while (n < ROOM && sscanf(hex + 2 * n, "%2x", &byte) == 1)
        out[n++] = (char)byte;
    return n;
}

static void parse(struct call *call, char **args, int n)
{
    call->number = seccomp_syscall_resolve_name(args[0]);
    if (call->number < 0 || n > 7) {
        fprintf(stderr, "inject: no such call: %s\n", args[0]);
        exit(2);
    }
    for (int i = 0; i + 1 < n; i++) {
        const char *arg = args[i + 1];

        if (arg[0] == '@') {
            snprintf(call->data[i], ROOM, "%s", arg + 1);
            call->size[i] = strlen(call->data[i]) + 1;
        } else if (arg[0] == '%') {
            call->size[i] = bytes_of(arg + 1, call->data[i]);
        } else {
            call->args[i] = strtoull(arg, NULL, 0);
        }
    }
}

/* Below what the thread has on its stack. */
static void place(pid_t pid, struct call *call, unsigned long long stack)
{
    unsigned long long at = (stack - 8192) & ~15ull;

    for (int i = 0; i < 6; i++, at += ROOM) {
        if (!call->size[i])
            continue;
        for (size_t k = 0; k < ROOM; k += sizeof(long)) {
            long word;

            memcpy(&word, call->data[i] + k, sizeof(word));
            if (ptrace(PTRACE_POKEDATA, pid, (void *)(uintptr_t)(at + k), (void *)word))
                die("inject: memory");
        }
        call->args[i] = at;
    }
}

static void told(pid_t pid, int *status)
{
    if (waitpid(pid, status, __WALL) != pid)
        die("inject: waitpid");
    if (WIFSIGNALED(*status)) {
        printf("killed by signal %d\n", WTERMSIG(*status));
        exit(0);
    }
}

static void load(struct user_regs_struct *regs, const struct call *call)
{
    regs->rip -= 2; /* the instruction it waits in */
    regs->rax = (unsigned long long)call->number;
    regs->orig_rax = (unsigned long long)-1;
    regs->rdi = call->args[0];
    regs->rsi = call->args[1];
    regs->rdx = call->args[2];
    regs->r10 = call->args[3];
    regs->r8 = call->args[4];
    regs->r9 = call->args[5];
}

static void finish(pid_t pid, const struct call *call, struct user_regs_struct *before,
                   long long result)
{
    if (call->number == SYS_execve && !result) {
        kill(pid, SIGKILL);
        return;
    }
    if ((call->number == SYS_clone || call->number == SYS_fork) && result > 0)
        kill((pid_t)result, SIGKILL);
    if (ptrace(PTRACE_SETREGS, pid, NULL, before))
        die("inject: registers");
    ptrace(PTRACE_DETACH, pid, NULL, NULL);
}

static void inject(pid_t pid, struct call *call)
{
    struct user_regs_struct before, regs;
    int status;

    if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) || ptrace(PTRACE_INTERRUPT, pid, NULL, NULL))
        die("inject: attach");
    told(pid, &status);
    if (ptrace(PTRACE_GETREGS, pid, NULL, &before))
        die("inject: registers");
    long code = ptrace(PTRACE_PEEKTEXT, pid, (void *)(uintptr_t)(before.rip - 2), NULL);
    if ((code & 0xffff) != 0x050f) {
        fputs("inject: it does not wait in a system call\n", stderr);
        exit(2);
    }
    place(pid, call, before.rsp);
    regs = before;
    load(&regs, call);
    if (ptrace(PTRACE_SETREGS, pid, NULL, &regs) || ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL))
        die("inject: step");
    told(pid, &status);
    if (ptrace(PTRACE_GETREGS, pid, NULL, &regs))
        die("inject: registers");
    printf("= %lld\n", (long long)regs.rax);
    finish(pid, call, &before, (long long)regs.rax);
}

int main(int argc, char **argv)
{
    struct call call = {.number = -1};

    if (argc < 3) {
        fputs("usage: inject PID CALL [ARG]...\n", stderr);
        return 2;
    }
    parse(&call, argv + 2, argc - 2);
    inject((pid_t)atoi(argv[1]), &call);
    return 0;
}
