/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * client: one NBD client of the nbd target: what it sends, and a parser of all that comes back, which
 * must be well-formed, about something that was asked and not yet answered, and true.
 * Once it has sent what has no meaning (`wild`) nothing can be understood any more; it is only drained.
 */
#ifndef FUZZ_CLIENT_H
#define FUZZ_CLIENT_H

#include "world.h"

#define CLIENT_ASKS 80u
#define CLIENT_IN   (1u << 20)

struct client_ask {
    uint64_t cookie; /* 0: none */
    uint16_t command, flags;
    uint64_t offset;
    uint32_t length, got;
    bool good;  /* must be carried out, unless the disk fails */
    bool begun; /* in the model */
    uint32_t first, count;
    uint64_t mark;
    uint32_t error;
    uint8_t seed;
};

enum client_state { CLIENT_NONE, CLIENT_GREETING, CLIENT_OPTIONS, CLIENT_SERVED };

struct client {
    struct world *world;
    int fd;
    enum client_state state;
    bool wild, structured, left, no_zeroes;
    uint32_t option;  /* the one under way; 0: none */
    bool export_name; /* its reply has no head */
    uint64_t last_cookie;
    struct client_ask asks[CLIENT_ASKS];
    uint32_t in; /* bytes in `bytes` */
    uint8_t bytes[CLIENT_IN];
};

void client_open(struct client *client, struct world *world, int fd);
/* One step. */
void client_step(struct client *client, struct fuzz_input *in);
/* Takes at most `n` bytes of what has come, and judges it. */
void client_take(struct client *client, size_t n);
/* The connection has gone: what was asked may have been carried out. */
void client_lost(struct client *client);
/* Nothing is under way. */
bool client_rests(const struct client *client);

/* client_step.c's and client.c's: the bytes a write of `seed` carries. */
void client_pattern(uint8_t *out, uint32_t sector, uint8_t seed, uint64_t cookie);

#endif
