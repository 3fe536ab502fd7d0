// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * main: blkback-ephem, the data plane.  `worker` is what the daemon starts, one a guest; `serve`
 * runs by itself.  Options only; the work is in guest.c and serve.c.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "guest.h"
#include "log.h"
#include "sandbox.h"
#include "secret.h"
#include "serve.h"
#include "util.h"
#include "wire.h"

#ifndef VERSION
#define VERSION "unknown"
#endif

static const char usage[] =
    "usage: blkback-ephem serve --volume NAME=SPEC [--volume ...] --pool POOL --nbd SOCKET\n"
    "                           [OPTION]...\n"
    "       blkback-ephem worker --fd N\n"
    "       blkback-ephem --help | --version\n"
    "\n"
    "Serves copy-on-write volumes whose writes are encrypted under a key that exists only in this\n"
    "process, and are gone when it ends.\n"
    "\n"
    "  --volume NAME=SPEC  a volume: cow:PATH[,size=SIZE] over a read-only file or device, or\n"
    "                      blank:SIZE; SIZE in bytes or with K, M, G, T\n"
    "  --pool POOL         where the encrypted blocks go: dir:PATH (an unlinked file),\n"
    "                      block:DEVICE[,force] (all of it) or ram:SIZE[,lz4]\n"
    "  --ram-budget SIZE   memory in front of dir: and block:\n"
    "  --quota SIZE        the most that is taken from dir:\n"
    "  --low-water SIZE    warn when less can still be taken\n"
    "  --integrity on|off  notice blocks that were changed in the pool (default on)\n"
    "  --iops N            requests a second, at most\n"
    "  --bandwidth SIZE    bytes a second, at most\n"
    "  --nbd SOCKET        unix socket to listen on; one NBD export a volume, the first the "
    "default\n"
    "  --threads N         I/O threads, 1 to 16 (default 2)\n"
    "  --fd N              worker: socket to blkback-ephemd, which starts workers by itself\n";

static int main_limit(struct store_limits *limits, const char *name, const char *value)
{
    char text[STORE_TEXT];
    int err = store_set_limit(limits, name, value, text);

    if (err)
        log_error("serve: --%s %s", name, text);
    return err;
}

static int main_serve(int argc, char **argv)
{
    static const struct option options[] = {{"volume", required_argument, NULL, 'v'},
                                            {"pool", required_argument, NULL, 'p'},
                                            {"nbd", required_argument, NULL, 'n'},
                                            {"threads", required_argument, NULL, 't'},
                                            {"ram-budget", required_argument, NULL, 'l'},
                                            {"quota", required_argument, NULL, 'l'},
                                            {"low-water", required_argument, NULL, 'l'},
                                            {"iops", required_argument, NULL, 'l'},
                                            {"bandwidth", required_argument, NULL, 'l'},
                                            {"integrity", required_argument, NULL, 'l'},
                                            {NULL, 0, NULL, 0}};
    struct serve_options serve = {.threads = 2};
    uint64_t threads = 2;
    int c, at;

    while ((c = getopt_long(argc, argv, "", options, &at)) != -1) {
        if (c == 'l') {
            if (main_limit(&serve.limits, options[at].name, optarg))
                return 2;
        } else if (c == 'v' && serve.count < SERVE_VOLUMES) {
            serve.volumes[serve.count++] = optarg;
        } else if (c == 'p') {
            serve.pool = optarg;
        } else if (c == 'n') {
            serve.nbd = optarg;
        } else if (c == 't' && !parse_u64(optarg, WIRE_THREADS, &threads) && threads) {
            serve.threads = (uint32_t)threads;
        } else if (c == '?') {
            return 2;
        } else {
            log_error("serve: at most %u volumes and 1 to %u threads", SERVE_VOLUMES, WIRE_THREADS);
            return 2;
        }
    }
    if (optind != argc || !serve.count || !serve.pool || !serve.nbd) {
        log_error("serve: --volume, --pool and --nbd are needed and nothing else: see --help");
        return 2;
    }
    return serve_run(&serve);
}

static int main_worker(int argc, char **argv)
{
    uint64_t fd;

    if (argc != 3 || strcmp(argv[1], "--fd") || parse_u64(argv[2], 1023, &fd)) {
        log_error("worker: needs --fd N: it is started by blkback-ephemd");
        return 2;
    }
    return guest_run((int)fd);
}

int main(int argc, char **argv)
{
    sandbox_enter();
    secret_enter();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGIO, SIG_IGN); /* a lease of store_open_base that is broken */
    log_open("blkback-ephem", LOG_LEVEL_INFO);
    if (argc >= 2 && strcmp(argv[1], "serve") == 0)
        return main_serve(argc - 1, argv + 1);
    if (argc >= 2 && strcmp(argv[1], "worker") == 0)
        return main_worker(argc - 1, argv + 1);
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        puts("blkback-ephem " VERSION);
        return 0;
    }
    bool help = argc == 2 && strcmp(argv[1], "--help") == 0;
    fputs(usage, help ? stdout : stderr);
    return help ? 0 : 2;
}
