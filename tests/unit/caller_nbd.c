// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * caller_nbd: an NBD client, written from the protocol's document: fixed newstyle, GO, structured or
 * simple replies in any order.  It reads while it writes, so that neither side waits for the other.
 * A connection that ends leaves what was in flight unanswered.  The server closes a socket only after
 * the last request of the connection has ended, so its end of file says that nothing comes later.
 */
#include "caller.h"

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "unit.h"
#include "util.h"

#define OUT_BYTES (48u << 20) /* address space: what may be queued */

enum { READ = 0, WRITE = 1, DISC = 2, FLUSH = 3, TRIM = 4, WRITE_ZEROES = 6 };
#define NO_HOLE (1u << 1)

struct __attribute__((packed)) nbd_ask {
    uint32_t magic;
    uint16_t flags, type;
    uint64_t cookie, offset;
    uint32_t length;
};

struct __attribute__((packed)) nbd_chunk {
    uint16_t flags, type;
    uint64_t cookie;
    uint32_t length;
};

struct place {
    struct ask *ask;
    uint64_t cookie;
    uint32_t got; /* bytes of a read */
    uint32_t error;
};

struct caller_nbd {
    struct caller caller;
    struct sockaddr_un address;
    socklen_t address_bytes;
    bool structured;
    bool ended; /* end of file was seen, or an error */
    bool leaving;
    bool cut; /* in the middle of a write: what is in flight may remain unanswered */
    int fd;
    uint64_t export_bytes, asked;
    uint8_t *out;
    size_t out_from, out_to;
    struct place places[CALLER_DEPTH];
};

static struct caller_nbd *nbd_of(struct caller *caller)
{
    return container_of(caller, struct caller_nbd, caller);
}

static void nbd_write_some(struct caller_nbd *nbd)
{
    while (!nbd->ended && nbd->out_from < nbd->out_to) {
        ssize_t n = send(nbd->fd, nbd->out + nbd->out_from, nbd->out_to - nbd->out_from,
                         MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0) /* what they have sent before they went is still read */
            nbd->out_from = nbd->out_to;
        else
            nbd->out_from += (size_t)n;
    }
    if (nbd->out_from < nbd->out_to)
        return;
    nbd->out_from = nbd->out_to = 0;
    if (nbd->cut)
        shutdown(nbd->fd, SHUT_WR);
}

static void nbd_put(struct caller_nbd *nbd, const void *bytes, size_t n)
{
    if (nbd->out_to + n > OUT_BYTES)
        abort();
    memcpy(nbd->out + nbd->out_to, bytes, n);
    nbd->out_to += n;
}

/* All of it, or false: the connection has ended. */
static bool nbd_get(struct caller_nbd *nbd, void *to, size_t n)
{
    uint8_t *at = to;

    while (n && !nbd->ended) {
        ssize_t got = recv(nbd->fd, at, n, MSG_DONTWAIT);
        if (got > 0) {
            at += got;
            n -= (size_t)got;
            continue;
        }
        if (got == 0 || errno != EAGAIN) {
            nbd->ended = true;
            break;
        }
        nbd_write_some(nbd);
        short wanted = (short)(POLLIN | (nbd->out_to ? POLLOUT : 0));
        struct pollfd poller = {.fd = nbd->fd, .events = wanted};
        if (!poll(&poller, 1, (int)CALLER_WAIT_MS)) {
            fprintf(stderr, "nbd: %u requests are never answered\n", nbd->caller.flying);
            abort();
        }
    }
    return !n;
}

/* One option and its last reply; what comes before that is the export's size and what is skipped. */
static void nbd_option(struct caller_nbd *nbd, uint32_t option, const void *data, uint32_t n)
{
    struct __attribute__((packed)) {
        uint64_t magic;
        uint32_t option, length;
    } head = {htobe64(0x49484156454f5054), htobe32(option), htobe32(n)};
    struct __attribute__((packed)) {
        uint64_t magic;
        uint32_t option, type, length;
    } reply;
    uint8_t body[64];

    nbd_put(nbd, &head, sizeof(head));
    nbd_put(nbd, data, n);
    do {
        if (!nbd_get(nbd, &reply, sizeof(reply)) || reply.magic != htobe64(0x3e889045565a9) ||
            be32toh(reply.length) > sizeof(body) || !nbd_get(nbd, body, be32toh(reply.length)) ||
            be32toh(reply.type) >> 31) {
            fprintf(stderr, "nbd: option %u is refused\n", option);
            abort();
        }
        if (be32toh(reply.type) == 3 && !body[0] && !body[1])
            memcpy(&nbd->export_bytes, body + 2, 8);
    } while (be32toh(reply.type) != 1);
}

static void nbd_connect(struct caller_nbd *nbd)
{
    uint8_t greeting[18], go[6] = {0};
    uint32_t flags = htobe32(3);

    nbd->ended = nbd->leaving = nbd->cut = false;
    nbd->out_from = nbd->out_to = 0;
    nbd->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (nbd->fd < 0 ||
        connect(nbd->fd, (const struct sockaddr *)&nbd->address, nbd->address_bytes) ||
        !nbd_get(nbd, greeting, sizeof(greeting)) || memcmp(greeting, "NBDMAGICIHAVEOPT", 16)) {
        fprintf(stderr, "nbd: cannot connect: %s\n", strerror(errno));
        abort();
    }
    nbd_put(nbd, &flags, sizeof(flags));
    if (nbd->structured)
        nbd_option(nbd, 8, "", 0);
    nbd_option(nbd, 7, go, sizeof(go));
    nbd->caller.bytes = be64toh(nbd->export_bytes);
    nbd->caller.meetings++;
}

static void nbd_put_ask(struct caller_nbd *nbd, const struct ask *ask, uint64_t cookie)
{
    static const uint16_t types[] = {[ASK_READ] = READ,
                                     [ASK_WRITE] = WRITE,
                                     [ASK_DISCARD] = TRIM,
                                     [ASK_FLUSH] = FLUSH,
                                     [ASK_ZERO] = WRITE_ZEROES};
    bool no_hole = ask->op == ASK_ZERO && ask->choice & 1;
    struct nbd_ask head = {.magic = htobe32(0x25609513),
                           .flags = htobe16(no_hole ? NO_HOLE : 0),
                           .type = htobe16(types[ask->op]),
                           .cookie = cookie,
                           .offset = htobe64(ask->first * 512ull),
                           .length = htobe32(ask->count * 512u)};

    nbd_put(nbd, &head, sizeof(head));
    if (ask->op == ASK_WRITE)
        nbd_put(nbd, ask->data, ask->count * 512u);
}

static bool nbd_send(struct caller *caller, struct ask *ask)
{
    struct caller_nbd *nbd = nbd_of(caller);
    uint32_t i = 0;

    if (nbd->leaving || nbd->ended) {
        if (caller->flying)
            return false;
        close(nbd->fd);
        nbd_connect(nbd);
    }
    while (i < CALLER_DEPTH && nbd->places[i].ask)
        i++;
    if (i == CALLER_DEPTH)
        return false;
    nbd->places[i] = (struct place){.ask = ask, .cookie = ++nbd->asked << 8 | i};
    nbd_put_ask(nbd, ask, nbd->places[i].cookie);
    nbd_write_some(nbd);
    caller->flying++;
    return true;
}

static struct ask *place_end(struct caller_nbd *nbd, struct place *place, uint32_t error)
{
    struct ask *ask = place->ask;

    if (!error && ask->op == ASK_READ)
        nbd->caller.wrong += place->got != ask->count * 512;
    ask->error = error ? -(int)error : 0;
    place->ask = NULL;
    nbd->caller.flying--;
    return ask;
}

/* Of one in flight; the server is wrong else, and nothing can be understood any more. */
static struct place *nbd_place(struct caller_nbd *nbd, uint64_t cookie)
{
    struct place *place = &nbd->places[(cookie & 0xff) % CALLER_DEPTH];

    if (!place->ask || place->cookie != cookie) {
        fprintf(stderr, "nbd: a reply to nothing\n");
        abort();
    }
    return place;
}

static struct ask *nbd_simple(struct caller_nbd *nbd)
{
    struct __attribute__((packed)) {
        uint32_t error;
        uint64_t cookie;
    } head;

    if (!nbd_get(nbd, &head, sizeof(head)))
        return NULL;
    struct place *place = nbd_place(nbd, head.cookie);
    struct ask *ask = place->ask;
    nbd->caller.wrong += nbd->structured && ask->op == ASK_READ;
    if (ask->op == ASK_READ && !head.error) {
        if (!nbd_get(nbd, ask->data, ask->count * 512u))
            return NULL;
        place->got = ask->count * 512;
    }
    return place_end(nbd, place, be32toh(head.error));
}

/* Parts of a read come in order from this server. */
static bool nbd_chunk_body(struct caller_nbd *nbd, struct place *place, uint32_t type, uint32_t n)
{
    struct ask *ask = place->ask;
    uint64_t offset;
    uint32_t error;
    uint8_t rest[64];

    if (type == 1 && n > 8) {
        if (!nbd_get(nbd, &offset, 8))
            return false;
        uint64_t at = be64toh(offset) - ask->first * 512ull;
        if (ask->op != ASK_READ || at != place->got || n - 8 > ask->count * 512ull - at)
            abort();
        place->got += n - 8;
        return nbd_get(nbd, ask->data + at, n - 8);
    }
    if (type != 0x8001 || n < 6 || n > 4 + sizeof(rest))
        abort();
    if (!nbd_get(nbd, &error, 4) || !nbd_get(nbd, rest, n - 4))
        return false;
    place->error = be32toh(error);
    nbd->caller.wrong += !place->error;
    return true;
}

static struct ask *nbd_structured(struct caller_nbd *nbd)
{
    struct nbd_chunk head;

    for (;;) {
        if (!nbd_get(nbd, &head, sizeof(head)))
            return NULL;
        struct place *place = nbd_place(nbd, head.cookie);
        if (!nbd_chunk_body(nbd, place, be16toh(head.type), be32toh(head.length)))
            return NULL;
        nbd->caller.wrong += !nbd->structured;
        if (be16toh(head.flags) & 1)
            return place_end(nbd, place, place->error);
        uint32_t magic;
        if (!nbd_get(nbd, &magic, 4))
            return NULL;
        if (magic == htobe32(0x67446698))
            return nbd_simple(nbd);
        if (magic != htobe32(0x668e33ef))
            abort();
    }
}

/* One of those that will not be answered. */
static struct ask *nbd_lose(struct caller_nbd *nbd)
{
    uint32_t i = 0;

    nbd->caller.wrong += !nbd->cut && !nbd->caller.breakable;
    nbd->caller.losses++;
    while (!nbd->places[i].ask)
        i++;
    nbd->places[i].ask->lost = true;
    return place_end(nbd, &nbd->places[i], ECONNRESET);
}

static struct ask *nbd_reap(struct caller *caller)
{
    struct caller_nbd *nbd = nbd_of(caller);
    struct ask *ask = NULL;
    uint32_t magic;

    if (nbd_get(nbd, &magic, 4)) {
        if (magic == htobe32(0x67446698))
            ask = nbd_simple(nbd);
        else if (magic == htobe32(0x668e33ef))
            ask = nbd_structured(nbd);
        else
            abort();
    }
    return ask ? ask : nbd_lose(nbd);
}

/* With a goodbye, which waits for the answers; or in the middle of a write, which does not. */
static void nbd_leave(struct caller *caller, uint32_t choice)
{
    struct caller_nbd *nbd = nbd_of(caller);
    struct nbd_ask head = {.magic = htobe32(0x25609513), .type = htobe16(DISC)};

    if (nbd->leaving || nbd->ended)
        return;
    if (choice & 1) {
        head.type = htobe16(WRITE);
        head.length = htobe32(8192);
    }
    nbd_put(nbd, &head, sizeof(head));
    if (choice & 1)
        nbd_put(nbd, &head, sizeof(head)); /* some of its data */
    nbd->leaving = true;
    nbd->cut = choice & 1;
    nbd_write_some(nbd);
}

static void nbd_close_caller(struct caller *caller)
{
    struct caller_nbd *nbd = nbd_of(caller);

    close(nbd->fd);
    munmap(nbd->out, OUT_BYTES);
    free(nbd);
}

static const struct caller_ops nbd_ops = {
    .send = nbd_send, .reap = nbd_reap, .leave = nbd_leave, .close = nbd_close_caller};

struct caller *caller_nbd_open(const void *address, uint32_t length, bool structured)
{
    struct caller_nbd *nbd = calloc(1, sizeof(*nbd));

    nbd->caller.ops = &nbd_ops;
    nbd->caller.most = 5000;
    nbd->caller.in_parts = 128;
    nbd->caller.zeroes = true;
    nbd->structured = structured;
    nbd->out = mmap(NULL, OUT_BYTES, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (nbd->out == MAP_FAILED)
        abort();
    memcpy(&nbd->address, address, length);
    nbd->address_bytes = length;
    nbd_connect(nbd);
    return &nbd->caller;
}
