/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * store_signature: what lies on a device that is about to become a pool.  For store_pool only.
 */
#ifndef EPHEM_STORE_SIGNATURE_H
#define EPHEM_STORE_SIGNATURE_H

#define STORE_SIGNATURE 32

/*
 * 1 when there is something, with its name as wipefs(8) says it ("ext4", "LVM2_member", "dos");
 * 0 when nothing is known of it; else negative errno.  `fd` is a device, not O_DIRECT.
 */
int store_signature(int fd, char name[STORE_SIGNATURE]);

#endif
