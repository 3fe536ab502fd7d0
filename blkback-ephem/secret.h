/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * secret: memory for the key and for all that libcrypto allocates, its expanded schedules among it.
 * memfd_secret where the kernel has it: pages that the kernel itself does not map, that are never
 * swapped, and that are zeroed when they are freed, whatever ended the process; while there are any,
 * the machine does not hibernate.  Else locked pages that are left out of core dumps, of a file in memory
 * that the undertaker wipes after a crash.  Forked children have neither mapped.
 *
 * What is submitted for I/O cannot lie here, since such pages cannot be pinned: that is in arenas.
 */
#ifndef EPHEM_SECRET_H
#define EPHEM_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#define SECRET_HEAP ((size_t)1 << 20) /* bytes, all locked */

/*
 * First thing in main, with one thread: libcrypto allocates from a heap of this memory, and reads no
 * configuration, which could have it load other code.  Whether that worked secret_state() tells.
 */
void secret_enter(void);

/* 0, or negative errno: -ENOMEM, -EPERM: memory cannot be locked; -EBUSY: libcrypto had been
 * used before; -EINVAL: secret_enter() was not called.  Then no key may be made. */
int secret_state(void);

/* Whole pages, zeroed.  0 or negative errno as above. */
int secret_map(void **out, size_t bytes);
/* Wipes them. */
void secret_unmap(void *memory, size_t bytes);

/* The stack below the caller's frame, deeper than what libcrypto takes while it expands a key. */
void secret_wipe_stack(void);

/* Whether all that was mapped so far is of memfd_secret. */
bool secret_is_hidden(void);
/* The file of what is not; negative: there is none.  It stays open. */
int secret_file(void);
/* Whether an address is in the heap; for tests. */
bool secret_has(const void *at);

#endif
