// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The clients of one ring. Each request gets an id of ours on its way to xenstored, by which the
 * reply finds its client and its own id again; each watch gets a token of ours, by which its events
 * do. Transactions have xenstored's numbers already; they are only remembered.
 *
 * A client that has left is waited for until its last reply; then its watches are taken away and
 * its transactions aborted, one after the other, before its place is another's.
 *
 * Bounded: clients, requests under way, watches and transactions of a client, bytes that it has not
 * fetched. XS_RESET_WATCHES, which would be everybody's, is refused.
 */
#define _GNU_SOURCE
#include "guestxs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MUX_REQUESTS 64

/* Under way to xenstored and back; `watch` is what is added or removed by it. */
struct request {
    struct client *client;
    uint32_t id, type, tx;
    uint32_t watch;
};

static struct client clients[MUX_CLIENTS];
static struct request requests[MUX_REQUESTS];
static struct message sending, reply;
static size_t sent;
static uint32_t last_watch;

/* ---- clients ---- */

bool mux_has_room(void)
{
    for (size_t i = 0; i < MUX_CLIENTS; i++)
        if (!clients[i].used)
            return true;
    return false;
}

bool mux_add(int fd)
{
    for (size_t i = 0; i < MUX_CLIENTS; i++)
        if (!clients[i].used) {
            clients[i] = (struct client){.used = true, .fd = fd};
            return true;
        }
    close(fd);
    return false;
}

/* Our own answer to the request that the client has sent. */
static void refuse(struct client *client, const char *error)
{
    static struct message msg;

    msg.head = client->in.head;
    msg.head.type = XS_ERROR;
    strcpy(message_payload(&msg), error);
    message_resize(&msg, strlen(error) + 1);
    client->in.have = 0;
    client_tell(client, &msg);
}

/* "path\0token\0" of `watch` into the message, with our token. */
static void put_watch(struct message *msg, const struct watch *watch)
{
    size_t path = strlen(watch->word) + 1;

    memcpy(message_payload(msg), watch->word, path);
    message_resize(msg,
                   path + (size_t)sprintf(message_payload(msg) + path, "%08x", watch->number) + 1);
}

/* Two strings, both ended: else xenstored may say what is wrong with it. */
static bool two_words(struct message *msg)
{
    const char *words = message_payload(msg);
    size_t first = strnlen(words, msg->head.len) + 1;

    return first < msg->head.len && first + strlen(words + first) + 1 == msg->head.len;
}

/* ---- to xenstored ---- */

static struct request *free_request(void)
{
    for (size_t i = 0; i < MUX_REQUESTS; i++)
        if (!requests[i].client)
            return &requests[i];
    return NULL;
}

/* `sending` is whole, and the client's; the caller has seen that it can go. */
static void submit(struct client *client, uint32_t watch)
{
    struct request *request = free_request();

    *request = (struct request){.client = client,
                                .id = sending.head.req_id,
                                .type = sending.head.type,
                                .tx = sending.head.tx_id,
                                .watch = watch};
    sending.head.req_id = (uint32_t)(request - requests);
    client->under_way++;
    sent = 0;
}

static bool may_submit(void)
{
    return sent == sending.have && free_request();
}

static void push(void)
{
    sent += ring_put(sending.bytes + sent, sending.have - sent);
}

/* What the client has sent, whole. */
static void take_request(struct client *client)
{
    struct message *in = &client->in;
    struct watch *watch = NULL;
    uint32_t type = in->head.type;

    in->bytes[in->have] = '\0';
    if (type == XS_RESET_WATCHES ||
        (type == XS_TRANSACTION_START &&
         client->transactions + client->under_way >= CLIENT_TRANSACTIONS))
        return refuse(client, "EBUSY");
    if ((type == XS_WATCH || type == XS_UNWATCH) && two_words(in)) {
        if (type == XS_WATCH)
            watch = client_add_watch(client, ++last_watch, message_payload(in), in->head.len);
        else
            watch = client_find_watch(client, message_payload(in), in->head.len);
        if (!watch)
            return refuse(client, type == XS_WATCH ? "E2BIG" : "ENOENT");
    }
    sending = *in;
    if (watch)
        put_watch(&sending, watch);
    in->have = 0;
    submit(client, watch ? watch->number : 0);
}

/* One step of what is left to do for a client that has gone. */
static void clean_up(struct client *client)
{
    sending.head = (struct xsd_sockmsg){.type = XS_UNWATCH};
    if (client->watches) {
        put_watch(&sending, client->watches);
        submit(client, client->watches->number);
    } else if (client->transactions) {
        sending.head.type = XS_TRANSACTION_END;
        sending.head.tx_id = client->transaction[0];
        strcpy(message_payload(&sending), "F");
        message_resize(&sending, 2);
        submit(client, 0);
    } else {
        client->used = false;
    }
}

/* ---- from xenstored ---- */

static void settle(struct request *request, bool error)
{
    struct client *client = request->client;

    if (request->type == XS_TRANSACTION_START && !error)
        client->transaction[client->transactions++] = (uint32_t)strtoul(message_payload(&reply),
                                                                        NULL, 10);
    else if (request->type == XS_TRANSACTION_END)
        client_end_transaction(client, request->tx);
    else if (request->watch && (request->type == XS_WATCH ? error : !error || client->fd < 0))
        client_unwatch(client, request->watch);
}

static void take_reply(void)
{
    uint32_t number = reply.head.req_id;
    struct request *request = number < MUX_REQUESTS ? &requests[number] : NULL;
    struct client *client = request ? request->client : NULL;

    if (!client) {
        fprintf(stderr, "guestxs: a reply to no request\n");
        return;
    }
    settle(request, reply.head.type == XS_ERROR);
    reply.head.req_id = request->id;
    request->client = NULL;
    client->under_way--;
    client_tell(client, &reply);
}

/* To the client whose watch it is, with its own token. */
static void take_event(void)
{
    size_t path = strlen(message_payload(&reply)) + 1;
    uint32_t number;
    char *token = message_payload(&reply) + path;

    if (!two_words(&reply))
        return;
    number = (uint32_t)strtoul(token, NULL, 16);
    for (size_t i = 0; i < MUX_CLIENTS; i++) {
        const struct watch *watch = clients[i].used ? *client_watch(&clients[i], number) : NULL;
        const char *own = watch ? watch->word + strlen(watch->word) + 1 : "";

        if (!watch || path + strlen(own) + 1 > XENSTORE_PAYLOAD_MAX)
            continue;
        strcpy(token, own);
        message_resize(&reply, path + strlen(own) + 1);
        client_tell(&clients[i], &reply);
    }
}

/* ---- all together ---- */

static bool next_message(void)
{
    size_t want;

    while ((want = message_lacks(&reply)) > 0) {
        size_t got = ring_get(reply.bytes + reply.have, want);

        if (!got)
            return false;
        reply.have += got;
    }
    return true;
}

void mux_run(void)
{
    static size_t turn; /* each is first in its turn */

    while (next_message()) {
        reply.bytes[reply.have] = '\0';
        if (reply.head.type == XS_WATCH_EVENT)
            take_event();
        else
            take_reply();
        reply.have = 0;
    }
    turn++;
    push();
    for (size_t i = 0; i < MUX_CLIENTS && may_submit(); i++) {
        struct client *client = &clients[(turn + i) % MUX_CLIENTS];

        if (client->used && client->fd < 0 && !client->under_way)
            clean_up(client);
        else if (client->used && client->fd >= 0 && !message_lacks(&client->in))
            take_request(client);
        push();
    }
}

void mux_wants(struct pollfd fds[MUX_CLIENTS])
{
    for (size_t i = 0; i < MUX_CLIENTS; i++) {
        const struct client *client = &clients[i];

        fds[i] = (struct pollfd){.fd = client->used ? client->fd : -1};
        if (message_lacks(&client->in))
            fds[i].events |= POLLIN;
        if (client->out_sent < client->out_size)
            fds[i].events |= POLLOUT;
        if (!fds[i].events)
            fds[i].fd = -1; /* also its end can wait */
    }
}

void mux_ready(const struct pollfd fds[MUX_CLIENTS])
{
    for (size_t i = 0; i < MUX_CLIENTS; i++) {
        struct client *client = &clients[i];

        if (!client->used || client->fd < 0 || !fds[i].revents)
            continue;
        if (fds[i].revents & POLLOUT)
            client_flush(client);
        if (client->fd >= 0 && message_lacks(&client->in))
            client_receive(client);
    }
}
