// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * store_device: devices that an operator may name as a pool, and those that must be refused, on loop
 * devices, as root.  A device lasts as long as its descriptor here, however a test ends.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include "store.h"
#include "storekit.h"

#define DEVICE_BYTES (16 << 20)
#define DEVICE_TRIES 50 /* somebody else may want loop devices too */

static struct storekit kit;
static char device[32];
static int device_fd = -1;
static uint32_t device_flags; /* of the next one, besides LO_FLAGS_AUTOCLEAR */

/* Over `fd`; its number, or -1. */
static int device_attach(int fd)
{
    const struct loop_config config = {.fd = (uint32_t)fd,
                                       .info.lo_flags = LO_FLAGS_AUTOCLEAR | device_flags};
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);

    for (int tries = 0; tries < DEVICE_TRIES; tries++) {
        int number = ioctl(control, LOOP_CTL_GET_FREE);

        snprintf(device, sizeof(device), "/dev/loop%d", number);
        device_fd = number < 0 ? -1 : open(device, O_RDWR | O_CLOEXEC);
        if (device_fd >= 0 && !ioctl(device_fd, LOOP_CONFIGURE, &config))
            break;
        if (device_fd >= 0)
            close(device_fd);
        device_fd = -1;
    }
    close(control);
    return device_fd;
}

/* A device of `bytes` zeros with one signature in it.  False when there is none to be had, said. */
static bool device_open(const char *test, off_t bytes, const void *magic, size_t length, off_t at)
{
    if (geteuid() != 0 || access("/dev/loop-control", R_OK | W_OK)) {
        printf("skip store_device: %s: needs root and loop devices\n", test);
        return false;
    }
    storekit_open(&kit);
    int fd = open(kit.path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    CU_ASSERT_EQUAL_FATAL(ftruncate(fd, bytes), 0);
    CU_ASSERT(pwrite(fd, magic, length, at) == (ssize_t)length);
    bool made = device_attach(fd) >= 0;
    close(fd);
    if (!made) {
        printf("skip store_device: %s: no loop device to be had: %s\n", test, strerror(errno));
        storekit_close(&kit);
    }
    return made;
}

static void device_close(void)
{
    close(device_fd);
    device_fd = -1;
    storekit_close(&kit);
}

static int try_device(const char *flags, struct store_pool *pool, const char *words)
{
    char spec[64];

    snprintf(spec, sizeof(spec), "block:%s%s", device, flags);
    return storekit_pool(spec, pool, words);
}

/* For as long as a duplicate lives nobody else gets it, with force and shared neither. */
static void exclusive(void)
{
    struct store_pool pool, second;

    if (!device_open(__func__, DEVICE_BYTES, "", 0, 0))
        return;
    CU_ASSERT_EQUAL_FATAL(try_device("", &pool, ""), 0);
    CU_ASSERT_EQUAL(pool.bytes, DEVICE_BYTES);
    int flags = fcntl(pool.fd, F_GETFL);
    CU_ASSERT_EQUAL(flags & O_ACCMODE, O_RDWR);
    CU_ASSERT(flags & O_DIRECT);
    CU_ASSERT_FALSE(flags & O_NONBLOCK);
    CU_ASSERT(fcntl(pool.fd, F_GETFD) & FD_CLOEXEC);
    CU_ASSERT_EQUAL(try_device("", &second, "in use"), -EBUSY);
    CU_ASSERT_EQUAL(try_device(",force", &second, "in use"), -EBUSY);
    CU_ASSERT_EQUAL(try_device(",shared,force", &second, "in use"), -EBUSY);
    int copy = dup(pool.fd);
    close(pool.fd);
    CU_ASSERT_EQUAL(try_device("", &second, "another guest"), -EBUSY);
    close(copy);
    CU_ASSERT_EQUAL(try_device(",shared", &second, ""), 0);
    CU_ASSERT_EQUAL(second.bytes, DEVICE_BYTES);
    close(second.fd);
    device_close();
}

static void too_small(void)
{
    struct store_pool pool;

    if (!device_open(__func__, (8 << 20) - 512, "", 0, 0))
        return;
    CU_ASSERT_EQUAL(try_device(",force", &pool, "at least 8M"), -EINVAL);
    device_close();
}

/* A signature by its magic: refused by its name, taken by force. */
static void signature(const char *test, const void *magic, size_t length, off_t at,
                      const char *name)
{
    struct store_pool pool;
    char words[64];

    if (!device_open(test, DEVICE_BYTES, magic, length, at))
        return;
    snprintf(words, sizeof(words), "has %s on it", name);
    CU_ASSERT_EQUAL(try_device("", &pool, words), -EEXIST);
    CU_ASSERT_EQUAL(try_device(",shared", &pool, "wipefs -a"), -EEXIST);
    CU_ASSERT_EQUAL(try_device(",force", &pool, ""), 0);
    close(pool.fd);
    device_close();
}

static void swap_space(void)
{
    signature(__func__, "SWAP-SPACE", 10, 4096 - 10, "swap");
}

static void luks(void)
{
    signature(__func__, "LUKS\xba\xbe\0\1", 8, 0, "crypto_LUKS");
}

/* What pvcreate writes: a label in the second sector, whose checksum is wrong here. */
static void lvm(void)
{
    static const char label[] = "LABELONE\1\0\0\0\0\0\0\0"
                                "crc-\40\0\0\0LVM2 001";

    signature(__func__, label, sizeof(label), 512, "LVM2_member");
}

/* One Linux partition at sector 8. */
static void partitions(void)
{
    static const char table[] = "\0\0\0\0\x83\0\0\0\x8\0\0\0\x40\0\0\0";
    char entries[66] = "";

    memcpy(entries, table, 16);
    memcpy(entries + 64, "\x55\xaa", 2);
    signature(__func__, entries, sizeof(entries), 446, "dos");
}

/* Ciphertext is no signature. */
static void ciphertext(void)
{
    static unsigned char noise[1 << 20];
    struct store_pool pool;
    uint64_t seed = 20;

    if (!device_open(__func__, DEVICE_BYTES, "", 0, 0))
        return;
    for (size_t i = 0; i < sizeof(noise); i++)
        noise[i] = (unsigned char)unit_random(&seed);
    for (off_t at = 0; at < DEVICE_BYTES; at += (off_t)sizeof(noise))
        CU_ASSERT(pwrite(device_fd, noise, sizeof(noise), at) == (ssize_t)sizeof(noise));
    CU_ASSERT_EQUAL(fsync(device_fd), 0);
    CU_ASSERT_EQUAL(try_device("", &pool, ""), 0);
    close(pool.fd);
    device_close();
}

/* A real file system, refused by its name; mounted, in use with force too. */
static void mounted(void)
{
    char command[128], mount_point[96];
    struct store_pool pool;

    if (!device_open(__func__, DEVICE_BYTES, "", 0, 0))
        return;
    snprintf(command, sizeof(command), "mkfs.ext4 -q %s >/dev/null 2>&1", device);
    snprintf(mount_point, sizeof(mount_point), "%s/mnt", kit.dir);
    if (system(command)) {
        printf("skip store_device: mounted: mkfs.ext4 is missing\n");
        device_close();
        return;
    }
    CU_ASSERT_EQUAL(try_device("", &pool, "has ext4 on it"), -EEXIST);
    CU_ASSERT_EQUAL(mkdir(mount_point, 0700), 0);
    if (mount(device, mount_point, "ext4", 0, NULL)) {
        printf("skip store_device: mounted: no mounting here: %s\n", strerror(errno));
    } else {
        CU_ASSERT_EQUAL(try_device("", &pool, "in use: it is mounted"), -EBUSY);
        CU_ASSERT_EQUAL(try_device(",force", &pool, "in use: it is mounted"), -EBUSY);
        CU_ASSERT_EQUAL(umount(mount_point), 0);
    }
    rmdir(mount_point);
    CU_ASSERT_EQUAL(try_device(",force", &pool, ""), 0);
    close(pool.fd);
    device_close();
}

/* Not every driver refuses to open it for writing. */
static void read_only(void)
{
    struct store_pool pool;

    device_flags = LO_FLAGS_READ_ONLY;
    bool made = device_open(__func__, DEVICE_BYTES, "", 0, 0);
    device_flags = 0;
    if (!made)
        return;
    int err = try_device(",force", &pool, "or name another");
    CU_ASSERT(err == -EROFS || err == -EACCES || err == -EPERM);
    device_close();
}

int suite_store_device(void)
{
    static const struct unit_case cases[] = {
        {"exclusive", exclusive},
        {"too small", too_small},
        {"swap", swap_space},
        {"luks", luks},
        {"lvm", lvm},
        {"partitions", partitions},
        {"ciphertext", ciphertext},
        {"ext4, mounted", mounted},
        {"read-only device", read_only},
    };

    return UNIT_SUITE("store_device", cases);
}
