// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One client: what it has sent and is to be sent, its watches and transactions.
 */
#define _GNU_SOURCE
#include "guestxs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENT_WATCHES 2048
#define CLIENT_UNREAD  ((size_t)4 << 20)

size_t message_lacks(const struct message *msg)
{
    size_t want = sizeof(msg->head);

    if (msg->have >= want)
        want += msg->head.len < XENSTORE_PAYLOAD_MAX ? msg->head.len : XENSTORE_PAYLOAD_MAX;
    return want - msg->have;
}

void client_leave(struct client *client)
{
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
    client->in.have = 0;
    free(client->out);
    client->out = NULL;
    client->out_size = client->out_sent = 0;
}

void client_flush(struct client *client)
{
    ssize_t n;

    while (client->fd >= 0 && client->out_sent < client->out_size) {
        n = send(client->fd, client->out + client->out_sent, client->out_size - client->out_sent,
                 MSG_NOSIGNAL);
        if (n <= 0) {
            if (n == 0 || (errno != EAGAIN && errno != EINTR))
                client_leave(client);
            return;
        }
        client->out_sent += (size_t)n;
    }
    client->out_size = client->out_sent = 0;
}

void client_tell(struct client *client, const struct message *msg)
{
    char *out;

    if (client->fd < 0)
        return;
    out = client->out_size + msg->have > CLIENT_UNREAD
              ? NULL
              : realloc(client->out, client->out_size + msg->have);
    if (!out) {
        fprintf(stderr, "guestxs: a client does not read what it is sent: dropped\n");
        client_leave(client);
        return;
    }
    client->out = out;
    memcpy(out + client->out_size, msg->bytes, msg->have);
    client->out_size += msg->have;
    client_flush(client);
}

struct watch **client_watch(struct client *client, uint32_t number)
{
    struct watch **at = &client->watches;

    while (*at && (*at)->number != number)
        at = &(*at)->next;
    return at;
}

void client_unwatch(struct client *client, uint32_t number)
{
    struct watch **at = client_watch(client, number);
    struct watch *gone = *at;

    if (!gone)
        return;
    *at = gone->next;
    client->watch_count--;
    free(gone);
}

struct watch *client_add_watch(struct client *client, uint32_t number, const char *words,
                               size_t size)
{
    struct watch *watch = client->watch_count < CLIENT_WATCHES ? malloc(sizeof(*watch) + size)
                                                               : NULL;

    if (!watch)
        return NULL;
    watch->number = number;
    watch->words = size;
    memcpy(watch->word, words, size);
    watch->next = client->watches;
    client->watches = watch;
    client->watch_count++;
    return watch;
}

struct watch *client_find_watch(struct client *client, const char *words, size_t size)
{
    struct watch *watch = client->watches;

    while (watch && (watch->words != size || memcmp(watch->word, words, size)))
        watch = watch->next;
    return watch;
}

void client_end_transaction(struct client *client, uint32_t tx)
{
    for (unsigned i = 0; i < client->transactions; i++)
        if (client->transaction[i] == tx)
            client->transaction[i] = client->transaction[--client->transactions];
}

void client_receive(struct client *client)
{
    struct message *in = &client->in;
    ssize_t n = recv(client->fd, in->bytes + in->have, message_lacks(in), 0);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0)
        in->have += (size_t)n;
    if (n <= 0 || (in->have >= sizeof(in->head) && in->head.len > XENSTORE_PAYLOAD_MAX))
        client_leave(client);
}
