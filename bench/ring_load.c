// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ring-load [options] DOMID:DEVID:PID...: connects to one disk of each guest, puts the same load on all
 * of them at once, and prints one line of JSON: requests a second, latencies, and what the processes PID
 * (the guests' workers) used of a CPU for it, to the nanosecond.  For the stand-ins (tests/fakexen): a
 * process there is the domain that FAKEXEN_DOMID says at the moment it opens something.
 *
 * A load of so many seconds is measured after it has run for a fifth of one; one that is `--once` from
 * its first request to its last.  What was answered meanwhile counts, begun before or not.
 */
#define _GNU_SOURCE
#include "ring_load.h"

#include <getopt.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define GUESTS  8u
#define QUEUES  16u
#define WARM_US 200000u

static const char usage[] =
    "usage: ring-load [--op read|write|mixed] [--sequential] [--once] [--fill] [--bytes N] [--span "
    "N]\n"
    "                 [--depth N] [--queues N] [--seconds N] DOMID:DEVID:PID...\n";

static const struct option options[] = {
    {"op", 1, NULL, 'o'},    {"sequential", 0, NULL, 's'}, {"once", 0, NULL, '1'},
    {"fill", 0, NULL, 'f'},  {"bytes", 1, NULL, 'b'},      {"span", 1, NULL, 'S'},
    {"depth", 1, NULL, 'd'}, {"queues", 1, NULL, 'q'},     {"seconds", 1, NULL, 't'},
    {NULL, 0, NULL, 0},
};

static struct front fronts[GUESTS];
static struct load_queue queues[GUESTS * QUEUES];
static clockid_t clocks[GUESTS];
static int pids[GUESTS];
static unsigned guests, nqueues;
static struct load load = {.op = LOAD_READ, .bytes = PAGE, .span = 256u << 20};
static struct {
    unsigned depth, queues;
    double seconds;
    bool fill;
} wish = {.depth = 32, .queues = 1, .seconds = 1};

struct totals {
    uint64_t at, cpu, done; /* ns, ns, requests */
};

static void die(const char *what)
{
    fprintf(stderr, "ring-load: %s\n", what);
    exit(1);
}

static uint64_t cpu_now(unsigned guest)
{
    struct timespec t;

    if (clock_gettime(clocks[guest], &t))
        die("a worker is gone");
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static struct totals totals_now(void)
{
    struct totals now = {.at = load_now()};

    for (unsigned i = 0; i < guests; i++)
        now.cpu += cpu_now(i);
    for (unsigned i = 0; i < nqueues; i++)
        now.done += queues[i].done;
    return now;
}

static long resident_kib(void)
{
    char line[128], path[32];
    long all = 0, kib;

    for (unsigned i = 0; i < guests; i++) {
        snprintf(path, sizeof(path), "/proc/%d/status", pids[i]);
        FILE *file = fopen(path, "r");
        while (file && fgets(line, sizeof(line), file))
            if (sscanf(line, "VmRSS: %ld", &kib) == 1)
                all += kib;
        if (file)
            fclose(file);
    }
    return all / (long)guests;
}

static void guest_connect(const char *text)
{
    struct front *front = &fronts[guests];
    unsigned domid;
    char name[16];

    *front = (struct front){.direct = DIRECT_SEGS, .protocol = "x86_64-abi"};
    if (guests == GUESTS || sscanf(text, "%u:%u:%d", &domid, &front->devid, &pids[guests]) != 3) {
        fputs(usage, stderr);
        exit(2);
    }
    if (clock_getcpuclockid(pids[guests], &clocks[guests]))
        die("no such worker");
    front->segs = (unsigned)(load.bytes / PAGE);
    if (wish.fill && front->segs < 16)
        front->segs = 16;
    front->abi = abi_find(front->protocol);
    front->queues = wish.queues;
    front->depth = wish.depth;
    while (32u << front->order < wish.depth)
        front->order++;
    snprintf(name, sizeof(name), "%u", domid);
    setenv("FAKEXEN_DOMID", name, 1);
    front->xsh = xs_open(0);
    if (!front->xsh || front_find(front) || front_connect(front) != 4)
        die("not connected");
    if (front->queues != wish.queues || front->queue[0].depth != wish.depth ||
        io_capacity(front) * (uint64_t)SECTOR < load.bytes || front->sectors < load.span / SECTOR)
        die("the backend offers less than was asked for");
    for (unsigned i = 0; i < front->queues; i++)
        pattern_fill(front->queue[i].pool, 0, (uint64_t)front->queue[i].pool_pages * PAGE_SECTORS,
                     domid + i);
    guests++;
}

/* Runs the load; what was done between its measured phase's beginning and end. */
static struct totals load_run(struct load *with)
{
    struct totals from, to = {0};

    with->phase = with->once ? LOAD_MEASURED : LOAD_WARM;
    nqueues = guests * wish.queues;
    memset(queues, 0, sizeof(queues));
    from = totals_now();
    for (unsigned i = 0; i < nqueues; i++) {
        struct load_queue *q = &queues[i];
        uint32_t share = i % wish.queues;

        q->queue = &fronts[i / wish.queues].queue[share];
        q->load = with;
        q->pieces = with->span / with->bytes / wish.queues;
        q->first = share * q->pieces;
        q->random = i + 1;
        if (pthread_create(&q->thread, NULL, load_queue_run, q))
            die("no thread");
    }
    if (!with->once) {
        usleep(WARM_US);
        from = totals_now();
        with->phase = LOAD_MEASURED;
        usleep((useconds_t)(wish.seconds * 1e6));
        to = totals_now();
        with->phase = LOAD_OVER;
    }
    for (unsigned i = 0; i < nqueues; i++) {
        pthread_join(queues[i].thread, NULL);
        if (queues[i].failed)
            exit(1);
    }
    if (with->once)
        to = totals_now();
    return (struct totals){to.at - from.at, to.cpu - from.cpu, to.done - from.done};
}

static void print(const struct totals *t)
{
    static const char *const ops[] = {"read", "write", "mixed"};
    static struct histogram all;
    double seconds = (double)t->at / 1e9, done = (double)t->done;

    for (unsigned i = 0; i < nqueues; i++)
        histogram_merge(&all, &queues[i].histogram);
    printf(
        "{\"op\":\"%s\",\"pattern\":\"%s\",\"once\":%s,\"bytes\":%llu,\"depth\":%u,\"queues\":%u,"
        "\"guests\":%u,\"requests\":%llu,\"seconds\":%.3f,\"per_second\":%.0f,"
        "\"mb_per_second\":%.1f,\"cpu_us\":%.3f,\"p50_us\":%.1f,\"p99_us\":%.1f,"
        "\"p999_us\":%.1f,\"resident_kib\":%ld}\n",
        ops[load.op], load.sequential ? "sequential" : "random", load.once ? "true" : "false",
        (unsigned long long)load.bytes, wish.depth, wish.queues, guests,
        (unsigned long long)t->done, seconds, done / seconds,
        done * (double)load.bytes / seconds / 1e6, (double)t->cpu / 1e3 / done,
        (double)histogram_at(&all, 500) / 1e3, (double)histogram_at(&all, 990) / 1e3,
        (double)histogram_at(&all, 999) / 1e3, resident_kib());
}

static bool take_option(int option)
{
    switch (option) {
    case 'o':
        load.op = !strcmp(optarg, "read") ? LOAD_READ
                                          : (!strcmp(optarg, "write") ? LOAD_WRITE : LOAD_MIXED);
        return load.op != LOAD_MIXED || !strcmp(optarg, "mixed");
    case 's':
        return load.sequential = true;
    case '1':
        return load.once = true;
    case 'f':
        return wish.fill = true;
    case 'b':
        load.bytes = strtoull(optarg, NULL, 0);
        return load.bytes >= PAGE && load.bytes % PAGE == 0 && load.bytes <= 256 * PAGE;
    case 'S':
        load.span = strtoull(optarg, NULL, 0);
        return true;
    case 'd':
        wish.depth = (unsigned)strtoul(optarg, NULL, 0);
        return wish.depth >= 1 && wish.depth <= LOAD_SLOTS;
    case 'q':
        wish.queues = (unsigned)strtoul(optarg, NULL, 0);
        return wish.queues >= 1 && wish.queues <= QUEUES;
    case 't':
        wish.seconds = strtod(optarg, NULL);
        return wish.seconds > 0;
    default:
        return false;
    }
}

/* Of a load that goes round its span once, each share has a power of two of pieces (see load_piece). */
static bool sensible(void)
{
    uint64_t pieces = load.span / load.bytes / wish.queues;

    return pieces && load.span % (load.bytes * wish.queues) == 0 &&
           (!load.once || load.sequential || (pieces & (pieces - 1)) == 0);
}

int main(int argc, char **argv)
{
    int option;

    while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1)
        if (!take_option(option)) {
            fputs(usage, stderr);
            return 2;
        }
    if (optind == argc || !sensible()) {
        fputs(usage, stderr);
        return 2;
    }
    for (; optind < argc; optind++)
        guest_connect(argv[optind]);
    if (wish.fill) {
        struct load fill = {.op = LOAD_WRITE, .sequential = true, .once = true, .span = load.span};
        fill.bytes = load.bytes > 16 * PAGE ? load.bytes : 16 * PAGE;
        load_run(&fill);
    }
    struct totals t = load_run(&load);
    print(&t);
    for (unsigned i = 0; i < guests; i++)
        if (front_close(&fronts[i]))
            die("the backend did not follow the close");
    return 0;
}
