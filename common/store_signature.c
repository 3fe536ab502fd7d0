// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * store_signature: the only user of libblkid.  Looks for whatever wipefs(8) would wipe: file systems,
 * members of LVM, RAID and crypto, partition tables, those with a wrong checksum too.  The first that
 * is found is enough.
 *
 * Used on pools only, never on bases: libblkid is a large parser, a pool's device was named by the
 * operator to be overwritten, and a base's content may come from a guest.  What a guest of ours left
 * on a device is ciphertext, in which nothing is found.
 */
#include "store_signature.h"

#include <blkid/blkid.h>
#include <errno.h>
#include <stdio.h>

static int signature_prepare(blkid_probe probe, int fd)
{
    if (blkid_probe_set_device(probe, fd, 0, 0) || blkid_probe_enable_superblocks(probe, 1) ||
        blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_BADCSUM) ||
        blkid_probe_enable_partitions(probe, 1) ||
        blkid_probe_set_partitions_flags(probe, BLKID_PARTS_MAGIC | BLKID_PARTS_FORCE_GPT))
        return -EIO;
    return 0;
}

int store_signature(int fd, char name[STORE_SIGNATURE])
{
    blkid_probe probe = blkid_new_probe();
    const char *type = NULL;

    if (!probe)
        return -ENOMEM;
    int result = signature_prepare(probe, fd);
    if (!result) {
        int found = blkid_do_probe(probe);

        result = found < 0 ? -EIO : found == 0;
    }
    if (result == 1 && blkid_probe_lookup_value(probe, "TYPE", &type, NULL) &&
        blkid_probe_lookup_value(probe, "PTTYPE", &type, NULL))
        type = "a nameless signature";
    if (result == 1)
        snprintf(name, STORE_SIGNATURE, "%.31s", type);
    blkid_free_probe(probe);
    return result;
}
