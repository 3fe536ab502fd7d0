// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * wire_make: numbers that mean something, mostly.
 */
#include "wire_make.h"

#include <unistd.h>
#include "fake_hv.h"
#include "kernel.h"
#include "wire_client.h"

struct fuzz_input make_in;
int make_base_fd = -1, make_pool_fd = -1;

uint64_t make_size(void)
{
    static const uint64_t sizes[] = {0,         512, 1000, 4096, 4608, 1ull << 20, (1 << 20) + 512,
                                     1ull << 40};
    uint8_t which = fuzz_u8(&make_in) % 10;

    return which < 8 ? sizes[which] : fuzz_u64(&make_in) & ~511ull;
}

uint32_t make_number(uint32_t most)
{
    uint8_t value = fuzz_u8(&make_in);

    return value < 0xf0 ? value % most : fuzz_u32(&make_in);
}

static void make_hello(struct wire_msg *msg, int fds[WIRE_FDS])
{
    struct wire_hello *hello = &msg->u.hello;
    uint8_t how = fuzz_u8(&make_in);

    hello->version = how & 0x80 ? fuzz_u32(&make_in) : WIRE_VERSION;
    hello->threads = how & 0x40 ? make_number(18) : 1 + (how & 1);
    hello->pool.kind = how & 0x20 ? make_number(5) : WIRE_POOL_SHARED;
    hello->pool.flags = fuzz_u8(&make_in);
    hello->pool.bytes = how & 8 ? make_size() : 64u << 20;
    if (hello->pool.kind == WIRE_POOL_RAM) /* what is in memory costs time */
        hello->pool.bytes = 8u << 20;
    hello->pool.ram = how & 4 ? 8u << 20 : 0;
    fuzz_take(&make_in, hello->note, 4);
    fds[0] = how & 0x10 && how & 8 ? -1 : kernel_listener();
    fds[1] = hello->pool.kind == WIRE_POOL_RAM ? -1 : dup(make_pool_fd);
}

static void make_volume(struct wire_msg *msg, int fds[WIRE_FDS])
{
    struct wire_volume *volume = &msg->u.volume;

    volume->id = make_number(WIRE_VOLUMES + 2);
    volume->flags = fuzz_u8(&make_in);
    if (volume->flags & WIRE_VOLUME_SAME)
        volume->same = make_number(WIRE_VOLUMES + 2);
    volume->bytes = make_size();
    volume->base_bytes = fuzz_u8(&make_in) & 1 ? volume->bytes : make_size();
    fuzz_take(&make_in, volume->name, 4);
    if ((volume->base_bytes != 0) != (volume->flags >> 7 & 1))
        fds[0] = dup(make_base_fd);
}

static void make_door(struct wire_msg *msg)
{
    struct wire_door *door = &msg->u.door;
    uint8_t how = fuzz_u8(&make_in);

    door->id = make_number(WIRE_DOORS + 2);
    door->volume = make_number(4);
    door->domid = make_number(3);
    door->devid = fuzz_u16(&make_in);
    door->protocol = how & 3;
    door->queues = how & 0x80 ? make_number(WIRE_QUEUES + 2) : 1 + (how >> 2 & 3);
    door->order = how & 0x40 ? make_number(6) : 0;
    for (uint32_t i = 0; i < WIRE_QUEUES; i++) {
        door->queue[i].port = i % FAKE_PORTS;
        for (uint32_t p = 0; p < WIRE_RING_PAGES; p++)
            door->queue[i].refs[p] = 1 + (door->id % 8 * 16 + i) * 4 + p;
    }
    if (how & 0x20)
        door->queue[make_number(WIRE_QUEUES) % WIRE_QUEUES].refs[0] = fuzz_u32(&make_in);
    if (how & 0x10)
        door->queue[0].port = fuzz_u32(&make_in);
}

static void make_extents(struct wire_msg *msg)
{
    struct wire_extents *extents = &msg->u.extents;
    uint32_t first = fuzz_u8(&make_in);

    extents->count = make_number(20);
    for (uint32_t i = 0; i < WIRE_EXTENTS; i++)
        extents->extent[i] = first + i;
    if (first & 1)
        extents->extent[0] = fuzz_u32(&make_in);
}

static void make_strings_end(struct wire_msg *msg)
{
    msg->u.hello.note[WIRE_NOTE - 1] = '\0';
    if (msg->type == WIRE_VOLUME_ADD) {
        msg->u.volume.name[sizeof(msg->u.volume.name) - 1] = '\0';
        msg->u.volume.note[WIRE_NOTE - 1] = '\0';
    }
}

static void make_evtchn(struct wire_msg *msg, int fds[WIRE_FDS])
{
    msg->u.evtchn.domid = make_number(3);
    msg->u.evtchn.thread = make_number(3);
    if (msg->type == WIRE_EVTCHN_ADD && msg->u.evtchn.thread != 2)
        fds[0] = fake_hv_handle();
}

void make_message(struct wire_msg *msg, uint32_t type, int fds[WIRE_FDS])
{
    wire_start(msg, type, 0);
    if (type == WIRE_HELLO)
        make_hello(msg, fds);
    else if (type == WIRE_VOLUME_ADD)
        make_volume(msg, fds);
    else if (type == WIRE_CONNECT)
        make_door(msg);
    else if (type == WIRE_EXTENTS_GIVE)
        make_extents(msg);
    else if (type == WIRE_VOLUME_DEL)
        msg->u.volume.id = make_number(WIRE_VOLUMES);
    else if (type == WIRE_DISCONNECT) {
        msg->u.disconnect.id = make_number(WIRE_DOORS);
        msg->u.disconnect.force = fuzz_u8(&make_in) & 1;
    } else if (type == WIRE_EVTCHN_ADD || type == WIRE_EVTCHN_DEL) {
        make_evtchn(msg, fds);
    } else if (type == WIRE_NBD_ADD) {
        msg->u.volume.id = make_number(4);
        fds[0] = wire_client_new();
    } else {
        fuzz_take(&make_in, &msg->u, 16);
    }
    make_strings_end(msg);
}
