/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fxfront: a block frontend as an ordinary program, on the public APIs of libxengnttab (granting
 * side), libxenevtchn and libxenstore. Read main.c for what it is used for, then handshake.c
 * (xenstore), ring.c (shared ring and requests), command.c, verify.c, raw.c and crash.c (what is done
 * with them). tests/hostile is made of the same handshake.c, ring.c and data.c.
 */
#ifndef SIM_FRONT_H
#define SIM_FRONT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <xenevtchn.h>
#include <xengnttab.h>
#include <xenstore.h>

#define PAGE                   4096u
#define SECTOR                 512u
#define PAGE_SECTORS           (PAGE / SECTOR)
#define MAX_QUEUES             64u
#define MAX_ORDER              4u
#define MAX_SEGS               1024u
#define DIRECT_SEGS            11u
#define SEGS_PER_INDIRECT_PAGE 512u
#define MAX_INDIRECT_PAGES     (MAX_SEGS / SEGS_PER_INDIRECT_PAGE)
#define STALL_MS               60000
/* The ring's header, and its words' offsets there. */
#define RING_HEADER 64u
#define REQ_PROD    0u
#define REQ_EVENT   4u
#define RSP_PROD    8u
#define RSP_EVENT   12u

/* Offsets of the protocol's fields, for the two x86 layouts. */
struct abi {
    const char *name;
    unsigned slot;   /* size of a request */
    unsigned answer; /* size of a response */
    unsigned id, sector, segs;
    unsigned discard_count;
    unsigned indirect_refs;
};

struct segment {
    uint8_t first, last;
};

/* A request with its own granted pages. */
struct io {
    struct queue *queue;
    unsigned index;
    bool busy;
    uint8_t op; /* BLKIF_OP_*, never the indirect wrapper */
    int16_t status;
    uint64_t sector, sectors;
    unsigned nsegs;
    struct segment seg[MAX_SEGS];
    char *pages;
    const uint32_t *refs;
    char *indirect;
    const uint32_t *indirect_refs;
    uint64_t tag; /* the submitter's */
    uint64_t id;  /* in the ring: its index, unless raw */
    bool raw;     /* the fields say what is written, sensible or not */
    bool wrap;    /* raw: indirect, however few segments */
    uint8_t flag; /* raw: of a discard */
};

struct queue {
    struct front *front;
    unsigned index;
    xenevtchn_handle *xce;
    xengntshr_handle *xgs;
    int port;
    char *ring;
    uint32_t ring_refs[1u << MAX_ORDER];
    uint32_t slots, produced, consumed;
    char *pool;
    uint32_t *pool_refs;
    unsigned pool_pages, depth;
    struct io *ios;
};

struct setting {
    const char *key, *value; /* value null: leave the key out */
};

/* How a driver goes about the handshake. */
#define MANNER_EARLY     1u  /* asks for nothing and waits for nothing before its keys */
#define MANNER_BARE      2u  /* no transaction */
#define MANNER_WHOLE     4u  /* the state in the keys' transaction */
#define MANNER_KEEP      8u  /* what an earlier driver left behind stays */
#define MANNER_SILENT    16u /* never Connected */
#define MANNER_IMPATIENT 32u /* waits for as long as the backend is in InitWait, no longer */

struct front {
    /* wishes, from the command line */
    unsigned devid, queues, order, segs, depth;
    const struct abi *abi;
    const char *protocol;
    struct setting setting[32];
    unsigned settings;
    unsigned direct; /* segments in a request that is not indirect */
    bool no_clamp;   /* take the wishes even if the backend offers less */
    unsigned manner;
    uint64_t span, seed;
    uint64_t mine, sharers, stripe; /* of each `sharers` stripes of so many sectors, verify's own */
    /* what the backend says */
    struct xs_handle *xsh;
    char dir[64], backend[256];
    uint32_t backend_id;
    uint64_t sectors;
    unsigned info, sector_size, physical;
    bool has_flush, has_discard, has_barrier;
    uint64_t granularity;
    /* the connection */
    bool connected;
    struct queue queue[MAX_QUEUES];
};

/* handshake.c; states are bits 1 << XenbusState, 1 << 0 stands for a missing node */
int front_find(struct front *front);
unsigned backend_wait(struct front *front, unsigned states, int timeout_ms);
unsigned front_connect(struct front *front);
int front_close(struct front *front);
/* Forgets what the backend's state did so far; then waits until the backend has written its state, 4,
 * and has so many sectors.  0 or -1. */
void front_settle(struct front *front);
int front_resized(struct front *front, uint64_t sectors);
int front_write_key(struct front *front, const char *key, const char *value);
int front_remove_key(struct front *front, const char *key);
int front_set_state(struct front *front, unsigned state);

/* ring.c; a queue belongs to one thread at a time */
const struct abi *abi_find(const char *name);
_Atomic uint32_t *queue_word(const struct queue *queue, unsigned offset);
char *queue_slot(const struct queue *queue, uint32_t at);
int queue_open(struct front *front, unsigned index);
void queue_close(struct queue *queue);
struct io *queue_get(struct queue *queue);
void io_layout(struct io *io, uint64_t sectors, uint64_t random);
unsigned io_capacity(const struct front *front);
void io_copy(struct io *io, char *buf, bool into_pages);
void queue_submit(struct queue *queue, struct io *io);
struct io *queue_wait(struct queue *queue, int timeout_ms);

/* data.c */
uint64_t random_next(uint64_t *state);
void pattern_fill(char *buf, uint64_t sector, uint64_t sectors, uint64_t seed);
uint64_t sector_hash(const char *sector);

/* command.c: runs the words from *word on, as one command; 0 or -1 */
int command_run(struct front *front, char ***word);

/* raw.c: one request as the words say it; see there.  0 when it was answered as expected */
int raw_request(struct front *front, char *words);

/* crash.c: requests that nobody waits for, a connection that nobody ends, and what becomes of it */
int crash_fire(struct front *front, bool write, uint64_t sector, uint64_t sectors, uint64_t seed);
int crash_forget(struct front *front);
int crash_untouched(void);
int crash_took(int64_t least_ms, int64_t most_ms);

/* verify.c: for `seconds`, or `count` requests if that is not 0 */
int verify_run(struct front *front, unsigned seconds, uint64_t count);
void verify_forget(uint64_t sector, uint64_t sectors);

#endif
