/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fake_aio: stands in for aio.c.  Files are byte arrays found by descriptor.  Each operation touches
 * some of its blocks when it is submitted and the rest when it completes, and completions come late
 * and in any order, so that whoever reuses a place too early is found out.  One world for all
 * threads; set up and changed by the test.
 */
#ifndef UNIT_FAKE_AIO_H
#define UNIT_FAKE_AIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAKE_SHORT INT32_MIN /* as an error: the operation moves fewer bytes */

/* `bytes` stays the caller's.  Before the threads run. */
void fake_disk_add(int fd, uint8_t *bytes, size_t size);

/* It has so many bytes from now on.  While nothing is under way. */
void fake_disk_cut(int fd, size_t size);

/* Forgets disks, faults and counts. */
void fake_aio_reset(uint64_t seed);

/* The nth operation from now on (1: the next), and `count` - 1 after it, end with `error`.
 * Only writes, or reads too. */
void fake_aio_fail(uint64_t nth, uint64_t count, int error, bool writes_only);
uint64_t fake_aio_failed(void); /* how many have */

/* From now on every write of some of these bytes fails with -EIO; none where `bytes` is 0. */
void fake_aio_spoil(uint64_t offset, uint64_t bytes);

/* All operations: refused by the kernel, inside aio_submit. */
void fake_aio_refuse(bool refuse);

/* While held, nothing completes: on `fd` only, or -1 for all. */
void fake_aio_hold(bool hold, int fd);
/* Operations submitted and not completed. */
uint32_t fake_aio_flying(void);

#endif
