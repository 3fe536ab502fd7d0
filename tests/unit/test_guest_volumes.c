// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * guest_volumes: several names of one volume: who gets one, who is refused, what a name says of a volume
 * that has grown or grows, and that the volume goes with the last.  Over a real socket, with the daemon
 * played here.
 */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "guest_life.h"
#include "rig.h"

#define BYTES (1u << 20)

static struct rig rig;
static struct guest *guest;
static int daemon_fd;

/* Id 0 is the rig's volume, which stays the rig's. */
static void names_open(void)
{
    int pair[2];

    rig_open(&rig, &(struct rig_config){.lanes = 1, .bytes = BYTES, .extents = 4, .seed = 1});
    guest = calloc(1, sizeof(*guest));
    CU_ASSERT_PTR_NOT_NULL_FATAL(guest);
    CU_ASSERT_EQUAL_FATAL(
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    guest->daemon.fd = pair[0];
    daemon_fd = pair[1];
    list_init(&guest->refreshes);
    guest->volumes[0] = (struct guest_volume){
        .volume = rig.volume,
        .guest = guest,
        .asked = {.flags = WIRE_VOLUME_DISCARD, .bytes = BYTES},
    };
}

static void names_close(void)
{
    close(guest->daemon.fd);
    close(daemon_fd);
    free(guest);
    rig_close(&rig);
}

/* What was said next: its type, or 0. */
static uint32_t heard(struct wire_msg *msg)
{
    int fds[WIRE_FDS];

    return wire_receive(daemon_fd, msg, fds) == 1 ? msg->type : 0;
}

/* The reply; 1: there is none. */
static int replied(uint32_t cookie)
{
    struct wire_msg msg;

    if (heard(&msg) != WIRE_REPLY)
        return 1;
    CU_ASSERT_EQUAL(msg.cookie, cookie);
    /* The operator reads why in words; nobody knows which file there is not. */
    if (msg.u.reply.error == -ENOENT && cookie == 7)
        CU_ASSERT_PTR_NOT_NULL(strstr(msg.u.reply.text, "other frontend of this disk"));
    return msg.u.reply.error;
}

static int name_add_fd(const struct wire_volume *asked, int fd)
{
    struct wire_msg msg;
    int fds[WIRE_FDS] = {fd, -1};

    wire_start(&msg, WIRE_VOLUME_ADD, 7);
    msg.u.volume = *asked;
    guest_volume_add(guest, &msg, fds);
    CU_ASSERT_EQUAL(fds[0], fd); /* a name takes no base */
    return replied(7);
}

static int name_add(uint32_t id, uint32_t same, uint32_t flags)
{
    return name_add_fd(
        &(struct wire_volume){
            .id = id, .same = same, .flags = flags | WIRE_VOLUME_SAME, .bytes = BYTES},
        -1);
}

static int name_del(uint32_t id)
{
    struct wire_msg msg;

    wire_start(&msg, WIRE_VOLUME_DEL, 9);
    msg.u.volume.id = id;
    guest_volume_del(guest, &msg);
    return replied(9);
}

static void refused(void)
{
    struct wire_volume asked = {.id = 1, .flags = WIRE_VOLUME_SAME, .bytes = BYTES};

    names_open();
    CU_ASSERT_EQUAL(name_add_fd(&asked, rig.base_fd), -EINVAL);
    asked.base_bytes = BYTES;
    CU_ASSERT_EQUAL(name_add_fd(&asked, -1), -EINVAL);
    CU_ASSERT_EQUAL(name_add(1, 0, WIRE_VOLUME_READONLY), -EINVAL);
    CU_ASSERT_EQUAL(name_add(1, 0, WIRE_VOLUME_GROWS), -EINVAL);
    CU_ASSERT_EQUAL(name_add(1, WIRE_VOLUMES, 0), -EINVAL);
    CU_ASSERT_EQUAL(name_add(1, 5, 0), -ENOENT);
    CU_ASSERT_EQUAL(name_add(1, 1, 0), -ENOENT);
    CU_ASSERT_EQUAL(name_add(0, 0, 0), -EINVAL);
    CU_ASSERT_PTR_NULL(guest->volumes[1].volume);
    guest->volumes[0].asked.flags |= WIRE_VOLUME_READONLY;
    CU_ASSERT_EQUAL(name_add(1, 0, 0), -EINVAL);
    CU_ASSERT_EQUAL(name_add(1, 0, WIRE_VOLUME_READONLY), 0);
    CU_ASSERT_EQUAL(name_del(1), 0);
    names_close();
}

/* The first name's end waits for the volume's growth; meanwhile it is nobody's to share. */
static void deleted(void)
{
    names_open();
    CU_ASSERT_EQUAL(name_add(1, 0, 0), 0);
    guest->volumes[0].growing = guest->volumes[1].growing = true;
    CU_ASSERT_EQUAL(name_del(1), 1);
    CU_ASSERT_EQUAL(name_del(1), -EALREADY);
    CU_ASSERT_EQUAL(name_add(2, 1, 0), -ENOENT);
    CU_ASSERT_EQUAL(name_add(2, 0, 0), 0);
    guest->volumes[1].growing = false;
    guest_volume_settle(guest, 1);
    CU_ASSERT_EQUAL(replied(9), 0);
    CU_ASSERT_PTR_NULL(guest->volumes[1].volume);
    guest->volumes[2].growing = false;
    CU_ASSERT_EQUAL(name_del(2), 0);
    CU_ASSERT_EQUAL(name_del(2), -ENOENT);
    names_close();
}

/* A name of a volume that grows is as busy as the others; one that knows an old size is told. */
static void grown(void)
{
    struct wire_volume asked = {.id = 1, .flags = WIRE_VOLUME_SAME, .bytes = BYTES / 2};
    struct wire_msg msg;

    names_open();
    guest->volumes[0].growing = true;
    CU_ASSERT_EQUAL(name_add_fd(&asked, -1), 0);
    CU_ASSERT_EQUAL(heard(&msg), WIRE_GREW);
    CU_ASSERT_EQUAL(msg.u.grew.id, 1);
    CU_ASSERT_EQUAL(msg.u.grew.bytes, BYTES);
    CU_ASSERT_EQUAL(guest->volumes[1].asked.bytes, BYTES);
    CU_ASSERT_TRUE(guest->volumes[1].growing);
    CU_ASSERT_EQUAL(name_add(2, 1, 0), 0);
    CU_ASSERT_EQUAL(heard(&msg), 0);
    CU_ASSERT_TRUE(guest->volumes[2].growing);
    for (uint32_t id = 1; id <= 2; id++) {
        guest->volumes[id].growing = false;
        CU_ASSERT_EQUAL(name_del(id), 0);
    }
    names_close();
}

static void as_many_as_there_are(void)
{
    names_open();
    for (uint32_t id = 1; id < WIRE_VOLUMES; id++)
        CU_ASSERT_EQUAL(name_add(id, id - 1, 0), 0);
    CU_ASSERT_EQUAL(name_add(WIRE_VOLUMES, 0, 0), -EINVAL);
    CU_ASSERT_EQUAL(name_add(WIRE_VOLUMES - 1, 0, 0), -EINVAL);
    CU_ASSERT_TRUE(guest_volume_is_first(guest, 0));
    CU_ASSERT_FALSE(guest_volume_is_first(guest, 1));
    for (uint32_t id = 1; id < WIRE_VOLUMES; id++)
        CU_ASSERT_EQUAL(name_del(id), 0);
    CU_ASSERT_EQUAL(volume_bytes(rig.volume), BYTES); /* still there */
    names_close();
}

int suite_guest_volumes(void)
{
    static const struct unit_case cases[] = {
        {"a name is refused", refused},
        {"a name is deleted", deleted},
        {"a name of a volume that has grown, and grows", grown},
        {"as many names as there are", as_many_as_there_are},
    };

    return UNIT_SUITE("guest_volumes", cases);
}
