/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * policy: what the operator chose, from the command line.  Read-only once parsed.  What may differ
 * from guest to guest is in files: rules.h.
 */
#ifndef EPHEM_POLICY_H
#define EPHEM_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "cgroup.h"

#ifndef VERSION
#define VERSION "0.1"
#endif

struct policy {
    const char *pool;        /* where no file names one; NULL: not given */
    const char *config_dir;  /* of the files, see rules.h */
    const char *worker;      /* the data plane's program */
    const char *state_dir;   /* what outlives a boot: tombstones */
    const char *run_dir;     /* control socket, pid file, workers' sockets */
    uint32_t threads;        /* a worker's ring threads */
    uint32_t queues;         /* offered to frontends */
    uint32_t poll;           /* us: how long a ring thread may look before it sleeps */
    enum cgroup_mode cgroup; /* whether workers have control groups of their own */
    bool driver;             /* we run in a driver domain, not in dom0 */
    bool verbose;
};

/*
 * Fills `policy`; strings point into argv.  0 to go on; 1 when --help or --version was answered;
 * -EINVAL when the line is wrong, which has been said on stderr.
 */
int policy_parse(int argc, char **argv, struct policy *policy);

#endif
