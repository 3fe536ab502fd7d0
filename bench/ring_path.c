// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ring-path read|write BYTES COUNT on|off [DIR]: so many requests of so many bytes through one ring, 32 at a
 * time, with integrity or without, to a volume of which each block was written before and whose pool
 * is a file in DIR (on tmpfs, so that nothing is left to a disk) or memory.  Production code from the
 * pump down; hv.c's place is taken by a guest that lives in the ring's own thread: it answers a
 * notification by putting as many new requests as it got answers.  So nothing depends on when a thread
 * runs, and two runs can be compared by the instructions they take (bench/check.sh).
 *
 * ring-path --key: what else these depend on: compiler, libraries, what the CPU has of what they use.
 */
#include <errno.h>
#include <gnu/libc-version.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <openssl/crypto.h>
#include "arena.h"
#include "hv.h"
#include "kit.h"
#include "limit.h"
#include "pump.h"

#define DEPTH    32u /* and the slots of a ring of one page */
#define SPAN     ((uint64_t)16 << 20)
#define MOST     65536u
#define SLOT     112u /* bytes of a request; an answer lies at the same place */
#define SEGMENTS (MOST / BLOCK_SIZE)

struct hv_events {
    int fd;
};

/* The guest.  Grants: 0 the ring, then of each request the indirect page and its data. */
static struct guest {
    uint8_t ring[BLOCK_SIZE];
    uint8_t pages[DEPTH * (1 + SEGMENTS)][BLOCK_SIZE];
    uint32_t produced, consumed;
    bool write, pending, masked, failed;
    uint64_t bytes, count, asked, answered;
    _Atomic bool idle;
} guest __attribute__((aligned(4096)));

static struct hv_events *bound;
static struct kit kit;
static struct pump *pump;

static void die(const char *what)
{
    fprintf(stderr, "ring-path: %s\n", what);
    exit(1);
}

static uint32_t *word(uint32_t offset)
{
    return (uint32_t *)(void *)(guest.ring + offset);
}

static void put32(uint8_t *at, uint32_t value)
{
    memcpy(at, &value, sizeof(value));
}

static void put64(uint8_t *at, uint64_t value)
{
    memcpy(at, &value, sizeof(value));
}

/* xen/include/public/io/blkif.h, x86_64: a direct request of at most 11 pages, else an indirect one. */
static void guest_put(uint32_t id)
{
    uint8_t *slot = guest.ring + 64 + (size_t)(guest.produced % DEPTH) * SLOT;
    uint32_t segments = (uint32_t)(guest.bytes / BLOCK_SIZE), first = 1 + id * (1 + SEGMENTS);
    bool direct = segments <= RING_MAX_SEGMENTS;
    uint8_t *at = direct ? slot + 24 : guest.pages[first - 1];

    memset(slot, 0, SLOT);
    slot[0] = direct ? guest.write : RING_OP_INDIRECT;
    slot[1] = direct ? (uint8_t)segments : guest.write;
    if (!direct) {
        slot[2] = (uint8_t)segments;
        put32(slot + 28, first);
    }
    put64(slot + 8, id);
    put64(slot + 16, guest.asked++ * 7 * guest.bytes % SPAN / 512);
    for (uint32_t i = 0; i < segments; i++, at += 8) {
        put32(at, first + 1 + i);
        at[4] = 0;
        at[5] = BLOCK_SIZE / 512 - 1;
    }
    guest.produced++;
}

static void guest_ring_bell(void)
{
    uint64_t one = 1;

    guest.pending = true;
    if (bound && !guest.masked && write(bound->fd, &one, sizeof(one)) != sizeof(one))
        die("eventfd");
}

static void guest_push(uint32_t before)
{
    *word(0) = guest.produced;
    if (guest.produced != before && guest.produced - *word(4) < guest.produced - before)
        guest_ring_bell();
}

/* Its event handler. */
static void guest_wake(void)
{
    uint32_t before = guest.produced;

    while (guest.consumed != *word(8)) {
        const uint8_t *answer = guest.ring + 64 + (size_t)(guest.consumed++ % DEPTH) * SLOT;
        guest.failed |= answer[10] || answer[11];
        guest.answered++;
        if (guest.asked < guest.count)
            guest_put(answer[0]);
    }
    *word(12) = guest.consumed + 1;
    guest_push(before);
    if (guest.answered == guest.count)
        guest.idle = true;
}

int hv_open(struct hv **out)
{
    *out = NULL;
    return 0;
}

void hv_close(struct hv *hv)
{
    (void)hv;
}

void *hv_map(struct hv *hv, uint32_t domid, uint32_t count, const uint32_t *refs)
{
    (void)hv, (void)domid, (void)refs;
    return count == 1 ? guest.ring : NULL;
}

void hv_unmap(struct hv *hv, void *pages, uint32_t count)
{
    (void)hv, (void)pages, (void)count;
}

void hv_copy(struct hv *hv, struct hv_copy *copies, uint32_t count)
{
    (void)hv;
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *page = guest.pages[copies[i].ref - 1] + copies[i].offset;

        copies[i].ok = true;
        if (copies[i].to_guest)
            memcpy(page, copies[i].local, copies[i].length);
        else
            memcpy(copies[i].local, page, copies[i].length);
    }
}

int hv_events_open(struct hv_events **out, int fd)
{
    bound = *out = calloc(1, sizeof(**out));
    if (!*out)
        return -ENOMEM;
    bound->fd = fd;
    return 0;
}

void hv_events_close(struct hv_events *events)
{
    free(events);
}

int hv_events_fd(const struct hv_events *events)
{
    return events->fd;
}

int hv_bind(struct hv_events *events, uint32_t domid, uint32_t remote)
{
    (void)events, (void)domid;
    return (int)remote;
}

void hv_unbind(struct hv_events *events, int port)
{
    (void)events, (void)port;
}

int hv_pending(struct hv_events *events)
{
    uint64_t count;

    if (!guest.pending || guest.masked)
        return read(events->fd, &count, sizeof(count)) < 0 && errno != EAGAIN ? -errno : -EAGAIN;
    guest.pending = false;
    guest.masked = true;
    return 1;
}

void hv_unmask(struct hv_events *events, int port)
{
    (void)events, (void)port;
    guest.masked = false;
    if (guest.pending)
        guest_ring_bell();
}

void hv_notify(struct hv_events *events, int port)
{
    (void)events, (void)port;
    guest_wake();
}

static void on_dead(void *arg, const char *why)
{
    (void)arg;
    die(why);
}

static void on_closed(void *arg)
{
    (void)arg;
}

static void there_open(void *arg)
{
    static struct limit *limit;
    static const struct limit_rates none = {.iops = 0};
    struct queue_config config = {.volume = kit.volume,
                                  .domid = 1,
                                  .port = 1,
                                  .pages = 1,
                                  .limits = {.sectors = SPAN / 512},
                                  .dead = on_dead,
                                  .closed = on_closed};
    struct queue *queue;

    (void)arg;
    *word(4) = *word(12) = 1;
    if (limit_open(&limit, &none) || pump_open(&pump, kit.lane, NULL, limit) ||
        pump_events_add(pump, 1, eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) ||
        queue_open(&queue, pump, &config))
        die("no ring");
}

static void there_begin(void *arg)
{
    uint32_t before = guest.produced;

    (void)arg;
    for (uint32_t id = 0; id < DEPTH && guest.asked < guest.count; id++)
        guest_put(id);
    guest_push(before);
}

static void run_all(bool write, uint64_t bytes, uint64_t count)
{
    guest.write = write;
    guest.bytes = bytes;
    guest.count = count;
    guest.asked = guest.answered = 0;
    guest.idle = false;
    iothread_call(kit.thread, there_begin, NULL);
    while (!guest.idle)
        usleep(100000);
    if (guest.failed)
        die("a request failed");
}

/* What libc copies with depends on the maker too: 1 % of the instructions. */
static const char *maker(void)
{
    return __builtin_cpu_is("intel") ? "Intel" : __builtin_cpu_is("amd") ? "AMD" : "another CPU";
}

static int print_key(void)
{
    __builtin_cpu_init();
    printf("%s %s, %s, glibc %s, %s%s%s%s\n",
#ifdef __clang__
           "clang", __clang_version__,
#else
           "gcc", __VERSION__,
#endif
           OpenSSL_version(OPENSSL_VERSION), gnu_get_libc_version(), maker(),
           __builtin_cpu_supports("aes") ? " aes" : "",
           __builtin_cpu_supports("pclmul") ? " pclmul" : "",
           __builtin_cpu_supports("avx2") ? " avx2" : "");
    return 0;
}

int main(int argc, char **argv)
{
    uint64_t bytes = argc >= 5 ? strtoull(argv[2], NULL, 10) : 0;
    uint64_t count = argc >= 5 ? strtoull(argv[3], NULL, 10) : 0;

    if (argc == 2 && !strcmp(argv[1], "--key"))
        return print_key();
    if (argc > 6 || bytes < BLOCK_SIZE || bytes > MOST || bytes % BLOCK_SIZE || count < DEPTH) {
        fprintf(stderr, "usage: ring-path read|write BYTES COUNT on|off [DIR]\n"
                        "       ring-path --key\n");
        return 2;
    }
    kit_open(&kit, argc == 6 ? argv[5] : NULL, argc == 6 ? 0 : 4 * SPAN, SPAN,
             !strcmp(argv[4], "on"));
    iothread_call(kit.thread, there_open, NULL);
    run_all(true, MOST, SPAN / MOST);
    run_all(!strcmp(argv[1], "write"), bytes, count);
    iothread_stop(kit.thread);
    return 0;
}
