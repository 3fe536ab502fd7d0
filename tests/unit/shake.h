/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * shake: makes threads pause, sometimes, just after they have unlocked something: what two critical
 * sections leave open between them becomes likely.  Works when the binary is linked with
 * -Wl,--wrap=pthread_mutex_unlock; does nothing otherwise.
 */
#ifndef UNIT_SHAKE_H
#define UNIT_SHAKE_H

#include <stdbool.h>

void shake(bool on);

#endif
