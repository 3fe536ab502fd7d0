// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * without CALL COMMAND [ARG]...: runs a command, and what it starts, on a kernel that does not know that
 * system call (ENOSYS).  Run by root.
 */
#include <errno.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

/* No new privileges may be gained otherwise, and the daemon's children are to start as ever. */
static bool without(const char *name)
{
    int call = seccomp_syscall_resolve_name(name);
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

    return call != __NR_SCMP_ERROR && filter && !seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 0) &&
           !seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), call, 0) && !seccomp_load(filter);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "without CALL COMMAND [ARG]...\n");
        return 2;
    }
    if (!without(argv[1])) {
        fprintf(stderr, "without %s: no filter\n", argv[1]);
        return 2;
    }
    execvp(argv[2], argv + 2);
    perror(argv[2]);
    return 127;
}
