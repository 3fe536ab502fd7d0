// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * policy: the command line: what holds for the daemon as a whole.  Guests' pools and limits come from
 * files (rules); only a pool for want of any can be named here too.
 */
#include "policy.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "rules.h"
#include "store.h"
#include "util.h"
#include "wire.h"

static const char policy_help[] =
    "usage: blkback-ephemd [OPTION]...\n"
    "Gives Xen guests ephemeral, encrypted disks: one worker process for each guest.\n"
    "\n"
    "  --pool POOL       where guests' writes go, encrypted, unless a configuration file says:\n"
    "                    dir:PATH, block:DEVICE[,shared][,force] or ram:SIZE[,lz4]\n"
    "  --config-dir DIR  blkback-ephem.conf and domains/NAME.conf (/etc/blkback-ephem)\n"
    "  --worker PATH     the worker (/usr/libexec/blkback-ephem/blkback-ephem)\n"
    "  --run-dir DIR     sockets and pid file (/run/blkback-ephem)\n"
    "  --state-dir DIR   which guests were suspended (/var/lib/blkback-ephem)\n"
    "  --threads N       ring threads of a worker, 1 to 16 (CPUs, at most 4)\n"
    "  --queues N        queues offered to a frontend, 1 to 64 (4)\n"
    "  --poll US         how long a worker may look at a quiet ring before it sleeps, 0 to 1000\n"
    "                    microseconds (100); not at all where it has one CPU\n"
    "  --cgroup MODE     a control group for each worker: auto (where cgroup v2 is delegated), on\n"
    "                    (or no guest starts) or off (auto)\n"
    "  --driver-domain   serve backend/vbd of the domain we run in, which is not dom0: bases are\n"
    "                    what lies in /bases, and no hotplug script is waited for\n"
    "  --verbose         log every step\n"
    "  --help            this text\n"
    "  --version         the version\n"
    "\n"
    "Stays in the foreground and logs on stderr.  On SIGTERM it exits and leaves the workers\n"
    "serving; the next blkback-ephemd with the same --run-dir takes them back.\n";

static const struct option policy_options[] = {
    {"pool", required_argument, NULL, 'p'},    {"config-dir", required_argument, NULL, 'c'},
    {"worker", required_argument, NULL, 'w'},  {"run-dir", required_argument, NULL, 'r'},
    {"threads", required_argument, NULL, 't'}, {"queues", required_argument, NULL, 'q'},
    {"poll", required_argument, NULL, 'P'},    {"state-dir", required_argument, NULL, 's'},
    {"cgroup", required_argument, NULL, 'g'},  {"driver-domain", no_argument, NULL, 'd'},
    {"verbose", no_argument, NULL, 'v'},       {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},       {NULL, 0, NULL, 0}};

static int policy_number(const char *option, const char *text, uint32_t least, uint32_t most,
                         uint32_t *out)
{
    uint64_t value;

    if (parse_u64(text, most, &value) || value < least) {
        fprintf(stderr, "blkback-ephemd: --%s takes a number from %u to %u, not '%s'\n", option,
                least, most, text);
        return -EINVAL;
    }
    *out = (uint32_t)value;
    return 0;
}

static int policy_cgroup(struct policy *policy, const char *text)
{
    static const char *const modes[] = {
        [CGROUP_AUTO] = "auto", [CGROUP_ON] = "on", [CGROUP_OFF] = "off"};

    for (unsigned int i = 0; i < sizeof(modes) / sizeof(*modes); i++)
        if (!strcmp(text, modes[i])) {
            policy->cgroup = (enum cgroup_mode)i;
            return 0;
        }
    fprintf(stderr, "blkback-ephemd: --cgroup takes auto, on or off, not '%s'\n", text);
    return -EINVAL;
}

static int policy_option(struct policy *policy, int option)
{
    switch (option) {
    case 'p':
        policy->pool = optarg;
        return 0;
    case 'c':
        policy->config_dir = optarg;
        return 0;
    case 'w':
        policy->worker = optarg;
        return 0;
    case 'r':
        policy->run_dir = optarg;
        return 0;
    case 's':
        policy->state_dir = optarg;
        return 0;
    case 't':
        return policy_number("threads", optarg, 1, WIRE_THREADS, &policy->threads);
    case 'q':
        return policy_number("queues", optarg, 1, WIRE_QUEUES, &policy->queues);
    case 'P':
        return policy_number("poll", optarg, 0, WIRE_POLL, &policy->poll);
    case 'g':
        return policy_cgroup(policy, optarg);
    case 'd':
        policy->driver = true;
        return 0;
    case 'v':
        policy->verbose = true;
        return 0;
    case 'h':
        fputs(policy_help, stdout);
        return 1;
    case 'V':
        puts("blkback-ephemd " VERSION);
        return 1;
    default:
        fputs("Try 'blkback-ephemd --help'.\n", stderr);
        return -EINVAL;
    }
}

static int policy_check(const struct policy *policy)
{
    struct store_pool_spec spec;
    char text[STORE_TEXT];

    if (policy->pool && store_parse_pool(policy->pool, &spec, text))
        fprintf(stderr, "blkback-ephemd: --pool: %s\n", text);
    else if (policy->pool && strlen(policy->pool) >= RULES_SPEC)
        fprintf(stderr, "blkback-ephemd: --pool takes at most %d characters\n", RULES_SPEC - 1);
    else if (policy->config_dir[0] != '/' || strlen(policy->config_dir) > RULES_DIR)
        fprintf(stderr,
                "blkback-ephemd: --config-dir takes an absolute path of at most %d characters\n",
                RULES_DIR);
    else if (policy->run_dir[0] != '/' || strlen(policy->run_dir) > 64)
        fputs("blkback-ephemd: --run-dir takes an absolute path of at most 64 characters\n",
              stderr);
    else if (policy->state_dir[0] != '/' || strlen(policy->state_dir) > 64)
        fputs("blkback-ephemd: --state-dir takes an absolute path of at most 64 characters\n",
              stderr);
    else
        return 0;
    return -EINVAL;
}

int policy_parse(int argc, char **argv, struct policy *policy)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    int option, result;

    *policy = (struct policy){.worker = "/usr/libexec/blkback-ephem/blkback-ephem",
                              .run_dir = "/run/blkback-ephem",
                              .config_dir = "/etc/blkback-ephem",
                              .state_dir = "/var/lib/blkback-ephem",
                              .threads = cpus > 4   ? 4
                                         : cpus < 1 ? 1
                                                    : (uint32_t)cpus,
                              .queues = 4,
                              .poll = 100};
    while ((option = getopt_long(argc, argv, "", policy_options, NULL)) != -1) {
        result = policy_option(policy, option);
        if (result)
            return result;
    }
    if (optind < argc) {
        fprintf(stderr, "blkback-ephemd: unexpected argument '%s'\n", argv[optind]);
        return -EINVAL;
    }
    return policy_check(policy);
}
