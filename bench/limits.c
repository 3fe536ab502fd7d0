// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * limits FOLDER: what the parts of a request cost on this machine by themselves, one line of JSON each:
 *
 *   xts     AES-256-XTS of libcrypto in blocks of 4096 bytes, a tweak each, out of place
 *   memcpy  the same without encrypting
 *   pool    reads and writes of an unlinked file in FOLDER: libaio, O_DIRECT, 16 of 64 KiB in flight,
 *           sequential, and 32 of 4 KiB, random; `cpu_us` is this process's CPU a request
 *   copy    grant copies as a worker makes them, through libxengnttab (or what stands in for it): FOLDER
 *           has nothing to do with it; in a process that is dom0 and, for its grants, the domain 1
 *
 * "hot": the same 64 KiB again and again; "cold": pieces of 256 MiB, at random.  Figures are the best of
 * several short turns, so that what others do on the machine counts little.
 */
#include <fcntl.h>
#include <libaio.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <openssl/evp.h>
#include <xengnttab.h>

#define BLOCK ((size_t)4096)
#define HOT   ((size_t)65536)
#define COLD  ((size_t)256 << 20)
#define TURNS 20
#define TURN  ((size_t)16 << 20) /* bytes of a turn */
#define PAGES 64u
#define FILED ((size_t)256 << 20)

static uint8_t *from, *to;
static EVP_CIPHER_CTX *cipher;
static uint64_t seed;

static void die(const char *what)
{
    fprintf(stderr, "limits: %s\n", what);
    exit(1);
}

static double now(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t next_random(void)
{
    seed = seed * 0x5851f42d4c957f2du + 0x14057b7ef767814fu;
    return seed >> 32;
}

static void blocks_move(uint8_t *into, const uint8_t *out_of, size_t bytes, bool encrypt)
{
    uint8_t tweak[16] = {0};
    int n;

    if (!encrypt) {
        memcpy(into, out_of, bytes);
        return;
    }
    for (size_t i = 0; i < bytes; i += BLOCK) {
        uint64_t count = next_random();
        memcpy(tweak, &count, sizeof(count));
        if (EVP_CipherInit_ex(cipher, NULL, NULL, NULL, tweak, -1) != 1 ||
            EVP_CipherUpdate(cipher, into + i, &n, out_of + i, (int)BLOCK) != 1)
            die("libcrypto");
    }
}

/* One turn over pieces of so many bytes; bytes a second. */
static double turn(size_t piece, bool cold, bool encrypt)
{
    size_t pieces = (cold ? COLD : HOT) / piece;
    double began = now(CLOCK_THREAD_CPUTIME_ID);

    for (size_t done = 0; done < TURN; done += piece)
        blocks_move(to + next_random() % pieces * piece, from + next_random() % pieces * piece,
                    piece, encrypt);
    return (double)TURN / (now(CLOCK_THREAD_CPUTIME_ID) - began);
}

static void measure_moving(const char *what, int direction)
{
    uint8_t key[64];

    for (size_t i = 0; i < sizeof(key); i++)
        key[i] = (uint8_t)(i * 7 + 1);
    if (direction >= 0 &&
        EVP_CipherInit_ex(cipher, EVP_aes_256_xts(), NULL, key, NULL, direction) != 1)
        die("no AES-256-XTS");
    for (int cold = 0; cold < 2; cold++)
        for (size_t piece = BLOCK; piece <= HOT; piece *= HOT / BLOCK) {
            double best = 0;
            for (int i = 0; i < TURNS; i++) {
                double rate = turn(piece, cold, direction >= 0);
                best = rate > best ? rate : best;
            }
            printf("{\"bench\":\"limit\",\"what\":\"%s\",\"bytes\":%zu,\"cold\":%s,"
                   "\"mb_per_second\":%.0f,\"ns\":%.0f}\n",
                   what, piece, cold ? "true" : "false", best / 1e6, (double)piece / best * 1e9);
        }
}

/* As many requests as a turn has, `depth` at a time. */
static void pool_turn(int fd, bool write, size_t bytes, long depth)
{
    static struct iocb blocks[32], *list[32];
    static struct io_event events[32];
    io_context_t context = NULL;
    size_t pieces = FILED / bytes, at = 0;

    if (io_setup((int)depth, &context))
        die("io_setup");
    for (size_t done = 0; done < TURN / bytes; done += (size_t)depth) {
        for (long i = 0; i < depth; i++) {
            long long offset = (long long)((bytes == BLOCK ? next_random() % pieces : at++) *
                                           bytes);
            if (write)
                io_prep_pwrite(&blocks[i], fd, from + (size_t)i * bytes, bytes, offset);
            else
                io_prep_pread(&blocks[i], fd, to + (size_t)i * bytes, bytes, offset);
            list[i] = &blocks[i];
        }
        if (io_submit(context, depth, list) != depth ||
            io_getevents(context, depth, depth, events, NULL) != depth || events[0].res != bytes)
            die("the pool's file");
    }
    io_destroy(context);
}

static void measure_pool(const char *folder)
{
    int fd = open(folder, O_TMPFILE | O_RDWR | O_DIRECT | O_CLOEXEC, 0600);

    if (fd < 0)
        die("no file without a name in that folder");
    for (size_t at = 0; at < FILED; at += TURN)
        if (pwrite(fd, from + at, TURN, (off_t)at) != (ssize_t)TURN)
            die("the pool's file");
    for (int write = 0; write < 2; write++)
        for (size_t bytes = BLOCK; bytes <= HOT; bytes *= HOT / BLOCK) {
            long depth = bytes == BLOCK ? 32 : 16;
            double best = 0, cpu = 1e9;
            for (int i = 0; i < TURNS; i++) {
                double began = now(CLOCK_MONOTONIC), used = now(CLOCK_THREAD_CPUTIME_ID);
                pool_turn(fd, write, bytes, depth);
                double rate = (double)TURN / (now(CLOCK_MONOTONIC) - began);
                used = (now(CLOCK_THREAD_CPUTIME_ID) - used) * (double)bytes / (double)TURN;
                best = rate > best ? rate : best;
                cpu = used < cpu ? used : cpu;
            }
            printf("{\"bench\":\"limit\",\"what\":\"pool-%s\",\"bytes\":%zu,\"mb_per_second\":%.0f,"
                   "\"cpu_us\":%.3f}\n",
                   write ? "write" : "read", bytes, best / 1e6, cpu * 1e6);
        }
    close(fd);
}

static void measure_copy(void)
{
    xengnttab_grant_copy_segment_t segments[PAGES];
    uint32_t refs[PAGES];
    double best = 1e9;

    setenv("FAKEXEN_DOMID", "1", 1);
    xengntshr_handle *guest = xengntshr_open(NULL, 0);
    unsetenv("FAKEXEN_DOMID");
    xengnttab_handle *ours = xengnttab_open(NULL, 0);
    if (!guest || !ours || !xengntshr_share_pages(guest, 0, PAGES, refs, 1))
        die("no grants");
    for (int t = 0; t < 50 * TURNS; t++) {
        for (uint32_t i = 0; i < PAGES; i++) {
            segments[i] = (xengnttab_grant_copy_segment_t){.flags = GNTCOPY_source_gref,
                                                           .len = BLOCK};
            segments[i].source.foreign.ref = refs[i];
            segments[i].source.foreign.domid = 1;
            segments[i].dest.virt = to + next_random() % (COLD / BLOCK) * BLOCK;
        }
        double began = now(CLOCK_THREAD_CPUTIME_ID);
        if (xengnttab_grant_copy(ours, PAGES, segments) || segments[0].status)
            die("a grant copy failed");
        double took = (now(CLOCK_THREAD_CPUTIME_ID) - began) / PAGES;
        best = took < best ? took : best;
    }
    printf("{\"bench\":\"limit\",\"what\":\"copy\",\"bytes\":%zu,\"cold\":true,\"ns\":%.0f}\n",
           BLOCK, best * 1e9);
}

int main(int argc, char **argv)
{
    from = aligned_alloc(BLOCK, COLD);
    to = aligned_alloc(BLOCK, COLD);
    cipher = EVP_CIPHER_CTX_new();
    if (argc != 2 || !from || !to || !cipher) {
        fprintf(stderr, "usage: limits FOLDER\n");
        return 2;
    }
    memset(to, 1, COLD);
    for (size_t i = 0; i < COLD; i += 8)
        memcpy(from + i, &(uint64_t){next_random() << 32 | next_random()}, 8);
    measure_moving("xts-encrypt", 1);
    measure_moving("xts-decrypt", 0);
    measure_moving("memcpy", -1);
    measure_pool(argv[1]);
    if (getenv("FAKEXEN_DIR"))
        measure_copy();
    return 0;
}
