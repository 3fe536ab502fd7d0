// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * client: what it takes; written from the protocol's document.
 */
#include "client.h"

#include "kernel.h"
#include "model.h"
#include "nbd_wire.h"

enum { MORE = 0 }; /* bytes used: the message is not complete */

void client_open(struct client *client, struct world *world, int fd)
{
    client->world = world;
    client->fd = fd;
    client->state = CLIENT_GREETING;
    client->wild = client->structured = client->left = client->no_zeroes = false;
    client->option = 0;
    client->in = 0;
    for (uint32_t i = 0; i < CLIENT_ASKS; i++)
        client->asks[i].cookie = 0;
}

void client_pattern(uint8_t *out, uint32_t sector, uint8_t seed, uint64_t cookie)
{
    uint64_t tag = cookie << 16 | (uint64_t)sector << 4 | (seed & 15);

    memset(out, seed & 1 ? 0 : 0x5a, 512);
    if (!(seed & 1))
        memcpy(out, &tag, sizeof(tag));
}

static struct client_ask *client_find(struct client *client, uint64_t cookie)
{
    for (uint32_t i = 0; i < CLIENT_ASKS; i++)
        if (client->asks[i].cookie == cookie && cookie)
            return &client->asks[i];
    fprintf(stderr, "a reply to nothing\n");
    abort();
}

static void ask_end(struct client *client, struct client_ask *ask)
{
    uint64_t hash[WORLD_SECTORS];
    uint8_t sector[512];
    bool zero = ask->command != NBD_CMD_WRITE;

    if (ask->good)
        FUZZ_CHECK(!ask->error || client->world->failing);
    else
        FUZZ_CHECK(ask->error);
    if (ask->command == NBD_CMD_READ && !ask->error)
        FUZZ_CHECK(ask->got == ask->length);
    for (uint32_t i = 0; ask->begun && i < ask->count; i++) {
        if (!zero)
            client_pattern(sector, ask->first + i, ask->seed, ask->cookie);
        hash[i] = zero ? model_zero() : model_hash(sector);
    }
    if (ask->begun)
        model_end(ask->first, ask->count, ask->error ? NULL : hash);
    ask->cookie = 0;
}

static void ask_data(struct client_ask *ask, const uint8_t *data, uint32_t n)
{
    FUZZ_CHECK(ask->command == NBD_CMD_READ && ask->good && n % 512 == 0);
    for (uint32_t at = 0; at < n; at += 512)
        FUZZ_CHECK(model_may_be(ask->first, ask->count, ask->mark,
                                (uint32_t)(ask->offset + ask->got + at) / 512, data + at));
    ask->got += n;
}

static uint32_t take_simple(struct client *client, const uint8_t *at, uint32_t n)
{
    if (n < 16)
        return MORE;
    struct client_ask *ask = client_find(client, nbd_get64(at + 8));
    uint32_t data = 0;
    ask->error = nbd_get32(at + 4);
    FUZZ_CHECK(ask->command != NBD_CMD_READ || !client->structured);
    if (ask->command == NBD_CMD_READ && !ask->error)
        data = ask->length;
    if (n < 16 + data)
        return MORE;
    if (data)
        ask_data(ask, at + 16, data);
    ask_end(client, ask);
    return 16 + data;
}

static uint32_t take_structured(struct client *client, const uint8_t *at, uint32_t n)
{
    if (n < 20)
        return MORE;
    uint16_t flags = nbd_get16(at + 4), type = nbd_get16(at + 6);
    uint32_t length = nbd_get32(at + 16);
    struct client_ask *ask = client_find(client, nbd_get64(at + 8));
    FUZZ_CHECK(client->structured && ask->command == NBD_CMD_READ && !(flags & ~1));
    FUZZ_CHECK(length <= (1u << 20) + 8);
    if (n < 20 + length)
        return MORE;
    if (type == NBD_REPLY_OFFSET_DATA) {
        FUZZ_CHECK(length > 8 && nbd_get64(at + 20) == ask->offset + ask->got);
        FUZZ_CHECK(length - 8 <= ask->length - ask->got);
        FUZZ_CHECK(!(ask->flags & NBD_FLAG_DF) || length - 8 == ask->length);
        ask_data(ask, at + 28, length - 8);
    } else {
        FUZZ_CHECK(type == NBD_REPLY_ERROR && length == 6 + (uint32_t)nbd_get16(at + 24));
        ask->error = nbd_get32(at + 20);
        FUZZ_CHECK(ask->error);
    }
    if (flags & 1)
        ask_end(client, ask);
    return 20 + length;
}

static uint32_t take_reply(struct client *client, const uint8_t *at, uint32_t n)
{
    if (n < 4)
        return MORE;
    if (nbd_get32(at) == NBD_SIMPLE_MAGIC)
        return take_simple(client, at, n);
    FUZZ_CHECK(nbd_get32(at) == NBD_STRUCTURED_MAGIC);
    return take_structured(client, at, n);
}

static uint32_t take_export(struct client *client, const uint8_t *at, uint32_t n)
{
    uint32_t whole = client->no_zeroes ? 10 : 134;

    if (n < whole)
        return MORE;
    FUZZ_CHECK(nbd_get64(at) == WORLD_SECTORS * 512);
    client->state = CLIENT_SERVED;
    return whole;
}

static uint32_t take_option(struct client *client, const uint8_t *at, uint32_t n)
{
    if (client->export_name)
        return take_export(client, at, n);
    if (n < 20 || n < 20 + nbd_get32(at + 16))
        return MORE;
    uint32_t type = nbd_get32(at + 12), length = nbd_get32(at + 16);
    FUZZ_CHECK(nbd_get64(at) == NBD_REP_MAGIC && client->option);
    FUZZ_CHECK(nbd_get32(at + 8) == client->option && length <= 4096);
    FUZZ_CHECK(type >> 31 || (type >= NBD_REP_ACK && type <= NBD_REP_INFO));
    if (type == NBD_REP_INFO && nbd_get16(at + 20) == NBD_INFO_EXPORT)
        FUZZ_CHECK(length == 12 && nbd_get64(at + 22) == WORLD_SECTORS * 512);
    if (type == NBD_REP_ACK && client->option == NBD_OPT_GO)
        client->state = CLIENT_SERVED;
    if (type == NBD_REP_ACK && client->option == NBD_OPT_STRUCTURED_REPLY)
        client->structured = true;
    if (type == NBD_REP_ACK || type >> 31)
        client->option = 0;
    return 20 + length;
}

static uint32_t take_greeting(struct client *client, const uint8_t *at, uint32_t n)
{
    if (n < NBD_GREETING_BYTES)
        return MORE;
    FUZZ_CHECK(nbd_get64(at) == NBD_MAGIC && nbd_get64(at + 8) == NBD_OPTION_MAGIC);
    client->state = CLIENT_OPTIONS;
    return NBD_GREETING_BYTES;
}

void client_take(struct client *client, size_t n)
{
    uint32_t used = 0, some;

    if (client->state == CLIENT_NONE)
        return;
    n = n < CLIENT_IN - client->in ? n : CLIENT_IN - client->in;
    client->in += (uint32_t)kernel_receive(client->fd, client->bytes + client->in, n);
    kernel_room(client->fd, 1u << 15);
    if (client->wild) {
        client->in = 0;
        return;
    }
    do {
        const uint8_t *at = client->bytes + used;
        some = client->in - used;
        if (client->state == CLIENT_GREETING)
            some = take_greeting(client, at, some);
        else if (client->state == CLIENT_OPTIONS)
            some = take_option(client, at, some);
        else
            some = take_reply(client, at, some);
        used += some;
    } while (some != MORE && used < client->in);
    memmove(client->bytes, client->bytes + used, client->in - used);
    client->in -= used;
}

void client_lost(struct client *client)
{
    for (uint32_t i = 0; i < CLIENT_ASKS; i++) {
        if (client->asks[i].cookie && client->asks[i].begun)
            model_end(client->asks[i].first, client->asks[i].count, NULL);
        client->asks[i].cookie = 0;
    }
    client->state = CLIENT_NONE;
}

bool client_rests(const struct client *client)
{
    for (uint32_t i = 0; i < CLIENT_ASKS; i++)
        if (client->asks[i].cookie)
            return false;
    return true;
}
