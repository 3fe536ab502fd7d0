// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * client_step: what it sends.
 */
#include "client.h"

#include "kernel.h"
#include "model.h"
#include "nbd_wire.h"

static void send_option(struct client *client, uint32_t option, const uint8_t *data, uint32_t n)
{
    uint8_t head[16];

    nbd_put32(nbd_put32(nbd_put64(head, NBD_OPTION_MAGIC), option), n);
    kernel_send(client->fd, head, sizeof(head));
    kernel_send(client->fd, data, n);
    client->option = option;
    client->export_name = option == NBD_OPT_EXPORT_NAME;
}

/* All the way to the export, as clients do it. */
static void client_hello(struct client *client, uint8_t how)
{
    static const uint8_t go[] = {0, 0, 0, 0, 0, 0};
    uint8_t flags[4];

    if (client->option)
        return;
    if (!client->last_cookie) {
        client->last_cookie = 1;
        client->no_zeroes = how & 1;
        nbd_put32(flags, 1 | (how & 1 ? 2 : 0));
        kernel_send(client->fd, flags, sizeof(flags));
    } else if (how & 2 && !client->structured) {
        send_option(client, NBD_OPT_STRUCTURED_REPLY, go, 0);
    } else if ((how & 0x3c) == 0x3c) {
        send_option(client, NBD_OPT_EXPORT_NAME, (const uint8_t *)"disk", how & 0x40 ? 4 : 0);
    } else {
        send_option(client, NBD_OPT_GO, go, sizeof(go));
    }
}

/* Any option with any data, as long as it is one. */
static void client_option(struct client *client, struct fuzz_input *in)
{
    static const uint8_t options[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 200};
    uint8_t data[2200], which = fuzz_u8(in);
    uint32_t n = fuzz_u8(in) % 48;

    if (client->option || !client->last_cookie)
        return;
    if (which & 0x80)
        n = 2040 + n % 20;
    fuzz_take(in, data, n < 48 ? n : 8);
    if (n >= 48)
        memset(data + 8, 0, n - 8);
    send_option(client, options[which % sizeof(options)], data, n);
    if (client->option == NBD_OPT_EXPORT_NAME || client->option == NBD_OPT_ABORT)
        client->left = true; /* may be hung up on */
    if (!client->option)
        client->wild = true; /* ours for "none" */
}

static void client_raw(struct client *client, struct fuzz_input *in)
{
    uint8_t bytes[64], n = fuzz_u8(in) % 64;

    fuzz_take(in, bytes, n);
    kernel_send(client->fd, bytes, n);
    client->wild = client->left = true;
    client_lost(client);
    client->state = CLIENT_OPTIONS;
}

/* What the protocol and what was promised say of it. */
static bool ask_is_good(const struct client *client, const struct client_ask *ask)
{
    uint32_t known = NBD_FLAG_FUA;
    bool read = ask->command == NBD_CMD_READ;

    if (ask->command == NBD_CMD_FLUSH)
        return !ask->length && !(ask->flags & ~NBD_FLAG_FUA);
    if (ask->command > NBD_CMD_WRITE_ZEROES || ask->command == 5 || ask->command == NBD_CMD_DISC)
        return false;
    if (!read && client->world->rig.growth.readonly)
        return false;
    if (read && client->structured)
        known |= NBD_FLAG_DF;
    if (ask->command == NBD_CMD_WRITE_ZEROES)
        known |= NBD_FLAG_NO_HOLE | NBD_FLAG_FAST_ZERO;
    if (ask->flags & ~known || !ask->length || ask->length % 512 || ask->offset % 512)
        return false;
    if ((__uint128_t)ask->offset + ask->length > WORLD_SECTORS * 512)
        return false;
    if (ask->flags & NBD_FLAG_DF && ask->length > 65536)
        return false;
    return (ask->flags & (NBD_FLAG_NO_HOLE | NBD_FLAG_FAST_ZERO)) !=
           (NBD_FLAG_NO_HOLE | NBD_FLAG_FAST_ZERO);
}

static void ask_begin(struct client_ask *ask)
{
    ask->begun = false;
    if (!ask->good || ask->command == NBD_CMD_FLUSH)
        return;
    ask->first = (uint32_t)(ask->offset / 512);
    ask->count = ask->length / 512;
    if (ask->command == NBD_CMD_TRIM) {
        uint32_t end = ask->first + ask->count;
        end = end == WORLD_SECTORS ? end : end / 8 * 8;
        ask->first = (ask->first + 7) / 8 * 8;
        ask->count = end > ask->first ? end - ask->first : 0;
    }
    ask->mark = model_mark(ask->first, ask->count);
    ask->begun = ask->command != NBD_CMD_READ;
    if (ask->begun)
        model_begin(ask->first, ask->count);
}

static void ask_send(struct client *client, const struct client_ask *ask)
{
    uint8_t head[28], sector[512];
    uint8_t *at = nbd_put32(head, NBD_REQUEST_MAGIC);

    at = nbd_put16(at, ask->flags);
    at = nbd_put16(at, ask->command);
    at = nbd_put64(at, ask->cookie);
    at = nbd_put64(at, ask->offset);
    nbd_put32(at, ask->length);
    kernel_send(client->fd, head, sizeof(head));
    if (ask->command != NBD_CMD_WRITE)
        return;
    for (uint32_t n = 0; n < ask->length; n += 512) {
        client_pattern(sector, (uint32_t)(ask->offset / 512) + n / 512, ask->seed, ask->cookie);
        kernel_send(client->fd, sector, ask->length - n < 512 ? ask->length - n : 512);
    }
}

/* A command: one that should work, or with any field at all. */
static void client_ask(struct client *client, struct fuzz_input *in)
{
    uint8_t how = fuzz_u8(in);
    struct client_ask *ask = client->asks;

    while (ask < client->asks + CLIENT_ASKS && ask->cookie)
        ask++;
    if (ask == client->asks + CLIENT_ASKS || kernel_waiting(client->fd) > 16384)
        return;
    *ask = (struct client_ask){.cookie = ++client->last_cookie, .seed = how >> 3};
    static const uint8_t usual[] = {NBD_CMD_READ, NBD_CMD_WRITE,        NBD_CMD_FLUSH,
                                    NBD_CMD_TRIM, NBD_CMD_WRITE_ZEROES, NBD_CMD_READ,
                                    NBD_CMD_WRITE};
    if ((how & 7) < 7) {
        uint32_t first = fuzz_u16(in) % WORLD_SECTORS, count = 1 + fuzz_u8(in) % 80;
        ask->command = usual[how & 7];
        ask->offset = first * 512ull;
        ask->length = 512 * (count < WORLD_SECTORS - first ? count : WORLD_SECTORS - first);
        if (ask->command == NBD_CMD_WRITE && ask->length > 16384)
            ask->length = 16384;
        if (ask->command == NBD_CMD_FLUSH)
            ask->length = 0;
        if (ask->command == NBD_CMD_READ && how & 0x80)
            ask->length = (WORLD_SECTORS - first) * 512;
        if (ask->command == NBD_CMD_WRITE_ZEROES && how & 0x80)
            ask->flags = NBD_FLAG_NO_HOLE;
    } else {
        ask->flags = fuzz_u8(in) % 32;
        ask->command = fuzz_u8(in) % 9;
        ask->offset = how & 0x80 ? fuzz_u64(in) : fuzz_u16(in) * 256ull;
        ask->length = how & 0x40 ? fuzz_u32(in) : fuzz_u16(in) * 64u;
        if (how & 0x20) { /* whole sectors, so that only the range can be wrong */
            ask->offset &= ~511ull;
            ask->length &= ~511u;
        }
        if (ask->command == NBD_CMD_WRITE)
            ask->length %= 20480;
    }
    if (ask->command == NBD_CMD_DISC) {
        ask->cookie = 0;
        return;
    }
    ask->good = ask_is_good(client, ask);
    ask_begin(ask);
    ask_send(client, ask);
}

void client_step(struct client *client, struct fuzz_input *in)
{
    uint8_t what = fuzz_u8(in);

    if (client->state == CLIENT_NONE || client->left)
        return;
    if (what % 16 == 15) {
        client_raw(client, in);
    } else if (what % 16 == 14) {
        kernel_shut(client->fd);
        client->left = true;
    } else if (client->state == CLIENT_SERVED) {
        client_ask(client, in);
    } else if (what % 16 < 10) {
        client_hello(client, what >> 1);
    } else {
        client_option(client, in);
    }
}
