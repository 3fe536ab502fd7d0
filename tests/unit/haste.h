/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * haste: makes the short timers of loops, those by which something is tried again, run out at once,
 * so that a test may wait for hundreds of them.  Works when the binary is linked with
 * -Wl,--wrap=loop_timer_set; does nothing otherwise.
 */
#ifndef UNIT_HASTE_H
#define UNIT_HASTE_H

#include <stdbool.h>

void haste(bool on);

#endif
