/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hostile: a guest that lies.  It builds its own rings on libxengnttab (granting side), libxenevtchn
 * and libxenstore, without any kernel driver, and plays one row of tests/hostile.tbl after the other
 * against the backend that serves its disk.
 *
 * Read main.c (rows and verdicts), lab.c (a connection, good I/O), ask.c (requests as one likes them),
 * then the plays: play_request.c, play_grant.c, play_ring.c, play_flood.c, play_hammer.c, play_race.c,
 * play_keys.c.
 * The handshake and a queue's grants are those of tests/sim/front.
 *
 * A play does its abuse and tells what it saw; whether that is right, and whether the ring is alive
 * afterwards, is judged in main.c from the row alone.
 */
#ifndef HOSTILE_H
#define HOSTILE_H

#include "front.h"

#include <xen/io/blkif.h>

#define PATIENCE_MS  20000
#define AREA_SECTORS 64u  /* written before a play; what it may not change */
#define AREA_SEED    7u   /* with this pattern */
#define FILL         0x5a /* of pages that are to be read into */
/* Pages of the lab's pool and what they are for. */
#define PAGE_ASK        0u  /* data of a play's requests: 11 and more */
#define PAGE_GOOD       32u /* data of lab_read and lab_write: 8 */
#define PAGE_DESCRIPTOR 48u /* an indirect request's descriptors */

/* What came of a play: a status that every answer had, or one of these. */
enum saw {
    SAW_UNSUPPORTED = -2,
    SAW_ERROR = -1,
    SAW_OKAY = 0,
    SAW_ANY = 1,     /* answers of several kinds */
    SAW_CLOSED = 2,  /* the backend closes the device */
    SAW_IGNORED = 3, /* nothing */
    SAW_WRONG = 4,   /* what no row allows: lab->why */
};

struct seg {
    uint32_t ref;
    uint8_t first, last;
};

/* A request, field by field; nothing is checked. */
struct ask {
    uint8_t op, inner; /* inner: of an indirect one */
    uint16_t nseg, handle;
    uint64_t id, sector, count; /* count: of a discard */
    uint32_t gref;              /* of the descriptors */
    struct seg seg[DIRECT_SEGS];
};

struct answer {
    uint64_t id;
    uint8_t op;
    int16_t status;
    const uint8_t *slot;
};

struct lab {
    struct front front;
    struct queue *queue;                      /* queue 0 */
    bool open;                                /* connected */
    bool no_ring;                             /* the play has taken its own ring away */
    bool wild;                                /* writes may have gone anywhere on the disk */
    unsigned disk, readonly_disk, short_disk; /* devids; 0: there is none */
    unsigned scale;                           /* floods are divided by it */
    const char *protocol;
    const char *foreign_ref, *foreign_port; /* numbers that mean something in another guest only */
    uint64_t seed;
    char values[4][2100]; /* of keys */
    char why[256];
};

/* PLAY_OPEN: begins connected, with the pattern in its area. */
enum play_kind { PLAY_OPEN, PLAY_READONLY, PLAY_SHORT, PLAY_CONNECTS, PLAY_ENDLESS };

struct play {
    const char *name;
    enum play_kind kind;
    enum saw (*run)(struct lab *lab, char **args); /* args end with NULL */
};

/* Ends with a name of NULL. */
extern const struct play request_plays[], grant_plays[], ring_plays[], flood_plays[],
    hammer_plays[], race_plays[], key_plays[];

/* lab.c; 0 or -1, and why in lab->why */
int lab_find(struct lab *lab, unsigned devid);
int lab_connect(struct lab *lab);
int lab_reconnect(struct lab *lab);
int lab_close(struct lab *lab);
int lab_write(struct lab *lab, uint64_t sector, uint64_t seed);
int lab_check(struct lab *lab, uint64_t sector, uint64_t seed);
int lab_alive(struct lab *lab);
/* SAW_CLOSED when the backend goes to Closing or Closed in time. */
enum saw lab_closed(struct lab *lab);
enum saw wrong(struct lab *lab, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void lab_set(struct lab *lab, const char *key, const char *value);

/* ask.c */
char *page_at(const struct lab *lab, unsigned page);
uint32_t ref_at(const struct lab *lab, unsigned page);
/* A read or write of `nseg` whole pages from PAGE_ASK on; at most 11 are filled in. */
struct ask ask_make(const struct lab *lab, uint8_t op, unsigned nseg, uint64_t sector);
/* The same with `nseg` descriptors on PAGE_DESCRIPTOR, as far as they fit there. */
struct ask ask_indirect(struct lab *lab, uint8_t op, unsigned nseg, uint64_t sector);
void descriptor_put(struct lab *lab, unsigned at, struct seg seg);
void ask_put(struct queue *queue, const struct ask *ask); /* into the next slot; not published */
void queue_publish(struct queue *queue);                  /* with an event, wanted or not */
/* The next answer; -1 with lab->why after PATIENCE_MS. */
int answer_wait(struct lab *lab, struct queue *queue, struct answer *answer);
/* Posts one and takes its answer, which must have its id and op: its status. */
enum saw ask_one(struct lab *lab, const struct ask *ask);
/* Both in one: what several answers have in common. */
enum saw saw_both(enum saw one, enum saw other);
uint64_t number_of(const char *text);

#endif
