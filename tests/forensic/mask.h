/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mask: how the forensic worker writes its key down: each byte of it XORed with one of these.  What is
 * written in logs and on consoles is then no copy of the key, and a search of memory does not find it.
 */
#ifndef FORENSIC_MASK_H
#define FORENSIC_MASK_H

#include <stdint.h>

/* Of the byte at index. */
static inline uint8_t mask_byte(unsigned int index)
{
    return (uint8_t)(0xa5u ^ (index * 37u + 11u));
}

#endif
