// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fuzz/no_undertaker: stands in for undertaker.c, since the fuzzer has no children; and does what is
 * first in a worker's main.
 */
#include "undertaker.h"

#include <stddef.h>
#include "secret.h"

__attribute__((constructor)) static void begin(void)
{
    secret_enter();
}

int undertaker_open(struct undertaker **out)
{
    *out = NULL;
    return 0;
}

void undertaker_add(struct undertaker *undertaker, int fd)
{
    (void)undertaker, (void)fd;
}

int undertaker_start(struct undertaker *undertaker)
{
    (void)undertaker;
    return 0;
}

bool undertaker_lost(struct undertaker *undertaker)
{
    (void)undertaker;
    return false;
}

void undertaker_close(struct undertaker *undertaker)
{
    (void)undertaker;
}
