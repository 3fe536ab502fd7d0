// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * wire_client: what is answered is not looked at; fuzz/nbd does that.
 */
#include "wire_client.h"

#include "kernel.h"
#include "nbd_wire.h"
#include "wire_make.h"

#define CLIENTS 12u /* of an input, gone ones too */
#define ROOM    65536u

static int clients[CLIENTS];
static uint32_t nclients;

void wire_clients_reset(void)
{
    nclients = 0;
}

static void say_bytes(int fd, uint32_t n)
{
    uint8_t bytes[256];

    fuzz_take(&make_in, bytes, n);
    kernel_send(fd, bytes, n);
}

/* Fixed newstyle, and the default export. */
static void say_hello(int fd)
{
    uint8_t hello[4 + 16 + 6] = {0}, *at = nbd_put32(hello, 3);

    at = nbd_put64(at, NBD_OPTION_MAGIC);
    nbd_put32(nbd_put32(at, NBD_OPT_GO), 6);
    kernel_send(fd, hello, sizeof(hello));
}

/* A request, and of a write the beginning of its payload. */
static void say_request(int fd)
{
    uint8_t request[28], *at = nbd_put32(request, NBD_REQUEST_MAGIC), how = fuzz_u8(&make_in);

    at = nbd_put16(at, how >> 4);
    at = nbd_put16(at, how & 7);
    at = nbd_put64(at, how);
    at = nbd_put64(at, fuzz_u16(&make_in) * 512ull);
    nbd_put32(at, how & 8 ? 1 << 20 : fuzz_u8(&make_in) * 512u);
    kernel_send(fd, request, sizeof(request));
    if ((how & 7) == NBD_CMD_WRITE)
        say_bytes(fd, fuzz_u8(&make_in));
}

int wire_client_new(void)
{
    uint8_t how = fuzz_u8(&make_in);

    if (nclients == CLIENTS || how >= 0xf0)
        return -1;
    int fd = clients[nclients++] = kernel_socket();
    if (how & 1)
        say_hello(fd);
    for (uint8_t i = 0; i < (how >> 4); i++)
        say_request(fd);
    if (how & 2)
        kernel_room(fd, how);
    return fd;
}

static void client_reads(int fd)
{
    uint8_t out[4096];

    while (kernel_receive(fd, out, sizeof(out)))
        ;
    kernel_room(fd, ROOM);
}

void wire_client_step(void)
{
    uint8_t what = fuzz_u8(&make_in);

    if (!nclients)
        return;
    int fd = clients[what % nclients];
    if (kernel_gone(fd))
        return;
    switch (what >> 5) {
    case 0:
        say_bytes(fd, fuzz_u8(&make_in));
        break;
    case 1:
        say_hello(fd);
        break;
    case 2:
        kernel_shut(fd);
        break;
    case 3:
    case 4:
        client_reads(fd);
        break;
    default:
        say_request(fd);
    }
}
