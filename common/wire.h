/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * wire: the messages between the control plane (blkback-ephemd) and one guest's data plane
 * (blkback-ephem) over a SOCK_SEQPACKET socket.  One message a packet, of the size of its type
 * (CONNECT is long, so that the others are not), descriptors beside it by SCM_RIGHTS.  Both ends check
 * everything: a daemon taken over by xenstore input must not break a worker, nor a worker taken over by
 * a guest the daemon.
 *
 * Daemon to worker; each is answered by exactly one WIRE_REPLY with its cookie:
 *   HELLO        first message of a life.  fd 0: listening SEQPACKET socket for a take-over;
 *                fd 1: the pool, O_RDWR|O_DIRECT: an unlinked file or a device; absent for memory.
 *                The worker starts its threads, generates the key, drops its privileges and only
 *                then replies.
 *   VOLUME_ADD   fd 0: base, O_RDONLY, absent for a blank volume.  With WIRE_VOLUME_SAME there is no new
 *                volume and no fd: `id` is one more name of the volume that `same` names now, for a
 *                guest's second frontend (its device model's).  Names come and go in any order; GREW
 *                is said for each.
 *   VOLUME_DEL   no door may be left on it (-EBUSY).  Base closed, slots given back when it replies,
 *                if this was the volume's last name.
 *   EVTCHN_ADD   fd 0: an event-channel handle restricted to `domid`, for `thread`.  One for each
 *                thread is needed before CONNECT to that domid (-ENOTCONN).
 *   EVTCHN_DEL   closes all handles of `domid` (-EBUSY while a door uses them).
 *   CONNECT      maps the rings, binds the ports, starts serving.  All or nothing.
 *   DISCONNECT   stops, drains, unmaps, unbinds; replies when nothing can land any more.  `force`:
 *                held writes are dropped; without it too, since a write held for want of space was
 *                never answered.
 *   EXTENTS_GIVE places of a shared device for this guest, after EXTENTS_WANT or when some have
 *                become free again; none: there are none for now, the worker holds writes.
 *   NBD_ADD      fd 0: a connected stream socket, of a client the daemon vouches for, that speaks NBD from
 *                here on: volume `id` is served to it until it hangs up or the VOLUME_DEL of that id.
 *   REFRESH      looks at all bases now; a GREW for each that has grown comes before the REPLY.
 *   STATS        answered by one STATS_VOLUME for each volume, one STATS_GUEST, then the REPLY.
 *   RESUME       first message of a restarted daemon: answered by the original HELLO (no fds), the
 *                VOLUME_ADDs (with the sizes of now), EVTCHN_ADDs, CONNECTs and EXTENTS_GIVEs now
 *                in force, cookie 0, then the REPLY.
 *   QUIT         ends the life: wipes the key, replies, exits 0.
 * Worker to daemon, unasked, cookie 0:
 *   DEAD         the door `id` broke the protocol (or its grants failed) and is no longer served;
 *                it stays until DISCONNECT.
 *   GREW         the base of volume `id` has grown, and the volume with it, to `bytes`.
 *   EXTENTS_WANT `count` more would be good; asked once until the next EXTENTS_GIVE.
 *   EXTENTS_BACK the worker uses these no longer and will not again.
 *
 * A worker whose daemon hung up goes on serving, accepts a new one on the listening socket (the
 * newest wins), and meanwhile closes the doors of domains that died; it ends by QUIT only.
 */
#ifndef EPHEM_WIRE_H
#define EPHEM_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "latency.h"

#define WIRE_VERSION    7
#define WIRE_VOLUMES    64 /* names of volumes a guest: one for each frontend that has one */
#define WIRE_DOORS      64 /* connected frontends a guest (guest and stub domain) */
#define WIRE_THREADS    16
#define WIRE_QUEUES     64
#define WIRE_POLL       1000
#define WIRE_RING_PAGES 16
#define WIRE_FDS        2
#define WIRE_NOTE       1024
#define WIRE_TEXT       256
#define WIRE_EXTENTS    256                 /* in one message */
#define WIRE_EXTENT     ((uint64_t)4 << 20) /* bytes */

enum wire_type {
    WIRE_HELLO = 1,
    WIRE_VOLUME_ADD,
    WIRE_VOLUME_DEL,
    WIRE_EVTCHN_ADD,
    WIRE_EVTCHN_DEL,
    WIRE_CONNECT,
    WIRE_DISCONNECT,
    WIRE_STATS,
    WIRE_RESUME,
    WIRE_QUIT,
    WIRE_EXTENTS_GIVE,
    WIRE_REFRESH,
    WIRE_NBD_ADD,
    WIRE_REPLY = 64,
    WIRE_STATS_VOLUME,
    WIRE_STATS_GUEST,
    WIRE_DEAD,
    WIRE_GREW,
    WIRE_EXTENTS_WANT,
    WIRE_EXTENTS_BACK,
};

enum wire_protocol { WIRE_X86_64 = 0, WIRE_X86_32 = 1 };

enum wire_pool_kind { WIRE_POOL_DIR, WIRE_POOL_BLOCK, WIRE_POOL_SHARED, WIRE_POOL_RAM };

#define WIRE_POOL_LZ4       1u /* RAM only */
#define WIRE_POOL_INTEGRITY 2u /* blocks are authenticated */

/* Where a guest's blocks go.  Sizes in bytes. */
struct wire_pool {
    uint32_t kind;
    uint32_t flags;
    uint64_t bytes; /* the most it takes: a quota, or the size of device or memory; 0: no bound */
    uint64_t ram;   /* memory in front of DIR, BLOCK and SHARED; 0: none */
    uint64_t low_water; /* warn when less can still be taken; 0: never */
};

/* What a guest may ask for, over all its disks; 0: as much as it likes. */
struct wire_rates {
    uint64_t iops;      /* requests a second */
    uint64_t bandwidth; /* bytes a second, read and written */
};

struct wire_hello {
    uint32_t version;
    uint32_t threads; /* 1..WIRE_THREADS */
    uint32_t domid;   /* for the log */
    uint32_t poll;    /* us, up to WIRE_POLL */
    struct wire_pool pool;
    struct wire_rates rates;
    char note[WIRE_NOTE]; /* the daemon's own words, given back at RESUME; NUL-terminated */
};

#define WIRE_VOLUME_READONLY 1u
#define WIRE_VOLUME_DISCARD  2u /* discard is offered to the guest */
#define WIRE_VOLUME_GROWS    4u /* with its base */
#define WIRE_VOLUME_SAME     8u /* as `same` */

struct wire_volume {
    uint32_t id; /* 0..WIRE_VOLUMES-1 */
    uint32_t flags;
    uint32_t same; /* with SAME: another id; then bytes is what the daemon knows, base_bytes 0 */
    uint32_t unused;
    uint64_t bytes;      /* multiple of 512, not 0 */
    uint64_t base_bytes; /* 0: blank; multiple of 512; at most the file's size */
    char name[32];       /* "xvda" */
    char note[WIRE_NOTE];
};

struct wire_evtchn {
    uint32_t domid;
    uint32_t thread;
};

struct wire_queue {
    uint32_t port; /* the frontend's */
    uint32_t refs[WIRE_RING_PAGES];
};

struct wire_door {
    uint32_t id; /* 0..WIRE_DOORS-1 */
    uint32_t volume;
    uint32_t domid;
    uint32_t devid;
    uint32_t protocol;
    uint32_t queues; /* 1..WIRE_QUEUES */
    uint32_t order;  /* ring pages = 1 << order, 0..4 */
    struct wire_queue queue[WIRE_QUEUES];
};

struct wire_reply {
    int32_t error;        /* 0 or negative errno */
    char text[WIRE_TEXT]; /* what and where, when error */
};

struct wire_stats_volume {
    uint32_t id;
    uint32_t doors;
    uint64_t reads, writes, flushes, discards; /* requests */
    uint64_t bytes_read, bytes_written;
    uint64_t errors;
    uint64_t blocks; /* blocks in slots */
    uint64_t index_bytes;
    uint64_t latency_ns; /* of all reads and writes together */
    uint64_t latency[LATENCY_CLASSES];
};

struct wire_stats_guest {
    uint64_t pool_bytes; /* taken from the pool */
    uint64_t pool_used;  /* of which hold data */
    uint64_t held;       /* writes held for want of space, now */
    uint64_t held_since; /* CLOCK_REALTIME seconds, 0 when none */
    uint64_t resident;   /* bytes, from /proc/self/statm */
    uint64_t pool_left;  /* bytes that can still be taken; UINT64_MAX: nobody knows */
    uint64_t low_since; /* that is below the low-water mark; CLOCK_REALTIME seconds, 0: it is not */
    uint64_t ram_bytes; /* of the guest's blocks that lie in memory */
    uint64_t slot_bytes;                     /* of memory for generations and free places */
    uint64_t pool_writes, pool_write_blocks; /* operations, and blocks in them */
    uint64_t throttled;                      /* waits for the rate limit */
    uint64_t tampered; /* reads of blocks that were not what had been written */
};

struct wire_extents {
    uint32_t count;
    uint32_t extent[WIRE_EXTENTS]; /* WIRE_EXTENT bytes each, counted from the device's start */
};

struct wire_msg {
    uint32_t type;
    uint32_t cookie;
    union {
        struct wire_hello hello;
        struct wire_volume volume; /* VOLUME_ADD; VOLUME_DEL and NBD_ADD use id only */
        struct wire_evtchn evtchn; /* EVTCHN_DEL uses domid only */
        struct wire_door door;     /* CONNECT */
        struct {
            uint32_t id;
            uint32_t force;
        } disconnect;
        struct {
            uint32_t id;
            char text[WIRE_TEXT];
        } dead;
        struct {
            uint32_t id;
            uint64_t bytes;
        } grew;
        struct wire_extents extents;
        struct wire_reply reply;
        struct wire_stats_volume stats_volume;
        struct wire_stats_guest stats_guest;
    } u;
};

/*
 * Sends one message.  fds are only lent.  0; -EAGAIN when the socket is full (non-blocking); else
 * negative errno, -EPIPE when the peer is gone (never a signal).  Tries for a second while the system is
 * short of memory: giving up would cost a guest its worker.
 */
int wire_send(int sock, const struct wire_msg *msg, const int *fds, unsigned int nfds);

/*
 * Receives one message, zeroes behind a short one, and up to WIRE_FDS close-on-exec descriptors, which
 * are the caller's; unused places are -1.  1 on a message, 0 when the peer has hung up, -EAGAIN, -EPROTO
 * on a wrong size, an unterminated string or surplus descriptors (nothing is left open), else negative
 * errno.
 */
int wire_receive(int sock, struct wire_msg *msg, int fds[WIRE_FDS]);

/* Bytes of a message of this type on the socket. */
size_t wire_size(const struct wire_msg *msg);

/* Zeroes msg and sets type and cookie. */
void wire_start(struct wire_msg *msg, enum wire_type type, uint32_t cookie);

#endif
