/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * turn: the data plane's threads played by one thread, a turn at a time, so that a finding repeats and
 * nobody waits.
 */
#ifndef FUZZ_TURN_H
#define FUZZ_TURN_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct iothread;
struct pool;

void turn_thread(struct iothread *thread);
void turn_keeper(struct pool *pool);

#endif
