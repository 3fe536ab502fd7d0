/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guestxs in four parts: the domain's ring to xenstored (guestxs_ring.c), one client of it
 * (guestxs_client.c), how many share it (guestxs_mux.c; as Linux' xenbus_dev_frontend.c has it) and
 * the loop (guestxs.c).
 */
#ifndef FAKEXEN_GUESTXS_H
#define FAKEXEN_GUESTXS_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <xen/io/xs_wire.h>

#define MESSAGE_MAX         (sizeof(struct xsd_sockmsg) + XENSTORE_PAYLOAD_MAX)
#define MUX_CLIENTS         16
#define CLIENT_TRANSACTIONS 32

/* Bytes collected until they are a whole message; there is room for a zero behind it. */
struct message {
    union {
        struct xsd_sockmsg head;
        char bytes[MESSAGE_MAX + 1];
    };
    size_t have;
};

/* A watch's words are "path\0token\0", as they are on the wire. */
struct watch {
    struct watch *next;
    uint32_t number;
    size_t words;
    char word[];
};

struct client {
    bool used;
    int fd; /* -1: it has left */
    struct message in;
    char *out;
    size_t out_size, out_sent;
    struct watch *watches;
    unsigned watch_count, under_way;
    uint32_t transaction[CLIENT_TRANSACTIONS];
    unsigned transactions;
};

/* Ends the program with errno's words. */
_Noreturn void die(const char *what);

/* How many bytes the message still lacks; 0 when it is whole. */
size_t message_lacks(const struct message *msg);

static inline char *message_payload(struct message *msg)
{
    return msg->bytes + sizeof(msg->head);
}

static inline void message_resize(struct message *msg, size_t size)
{
    msg->head.len = (uint32_t)size;
    msg->have = sizeof(msg->head) + size;
}

/* A message for the client. Who does not read what it is sent is dropped in the end. */
void client_tell(struct client *client, const struct message *msg);

/* Reads or writes what can be read or written; the client may have left after that. */
void client_receive(struct client *client);
void client_flush(struct client *client);

/* Its watch of that number or of those words; where the link to it is, NULL in it for none. */
struct watch **client_watch(struct client *client, uint32_t number);
struct watch *client_find_watch(struct client *client, const char *words, size_t size);

/* NULL: it has too many. */
struct watch *client_add_watch(struct client *client, uint32_t number, const char *words,
                               size_t size);
void client_unwatch(struct client *client, uint32_t number);

void client_end_transaction(struct client *client, uint32_t tx);

/* Offers the domain's ring page and port, and introduces the domain to xenstored. */
void ring_open(uint16_t domid);

/* Readable when the ring may have changed; then ring_event() has to be called, which does not wait. */
int ring_fd(void);
void ring_event(void);

/* As much as fits, or as there is; returns how much that was. */
size_t ring_put(const char *data, size_t size);
size_t ring_get(char *data, size_t size);

/* A client more, of this non-blocking socket; false: there is no room. */
bool mux_add(int fd);
bool mux_has_room(void);

/* Carries on whatever can be carried on without waiting. */
void mux_run(void);

/* What clients are to be waited for: fds[slot], -1 for nothing. Then what became of them. */
void mux_wants(struct pollfd fds[MUX_CLIENTS]);
void mux_ready(const struct pollfd fds[MUX_CLIENTS]);

#endif
