// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sandbox: a process that holds a key must not be dumped, traced, swapped, or able to become more
 * than it is.  `serve` keeps its uid, because it removes its socket at the end.
 * Deliberately absent here: seccomp, namespaces and cgroups.
 */
#include "sandbox.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <malloc.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NOBODY 65534u

void sandbox_enter(void)
{
    struct rlimit none = {0, 0};

    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0);
    mallopt(M_ARENA_MAX, 1);
    umask(0177);
}

/* Future mappings count against the limit: with a finite one they would fail instead of swap. */
static int sandbox_lock(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_MEMLOCK, &limit) || limit.rlim_cur != RLIM_INFINITY)
        return 0;
    return mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) ? -errno : 0;
}

static int sandbox_drop_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2];

    memset(none, 0, sizeof(none));
    return syscall(SYS_capset, &header, none) ? -errno : 0;
}

int sandbox_drop(bool keep_uid)
{
    int err = sandbox_lock();

    if (err)
        return err;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return -errno;
    if (!keep_uid && geteuid() == 0 &&
        (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
         setresuid(NOBODY, NOBODY, NOBODY)))
        return -errno;
    err = sandbox_drop_capabilities();
    if (err)
        return err;
    /* Changing ids makes a process dumpable again. */
    return prctl(PR_SET_DUMPABLE, 0) ? -errno : 0;
}
