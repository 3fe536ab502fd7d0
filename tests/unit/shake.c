// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * shake: a wrapper the linker puts in front of pthread_mutex_unlock.
 */
#include "shake.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

extern int __real_pthread_mutex_unlock(pthread_mutex_t *lock) __attribute__((weak));
int __wrap_pthread_mutex_unlock(pthread_mutex_t *lock);

static _Atomic bool shaking;
static _Atomic uint32_t turn;

int __wrap_pthread_mutex_unlock(pthread_mutex_t *lock)
{
    int err = __real_pthread_mutex_unlock(lock);

    if (shaking) {
        uint32_t n = atomic_fetch_add(&turn, 1) * 2654435761u >> 16;
        struct timespec pause = {.tv_nsec = (long)(n % 97) * 500};
        if (n % 5 == 0)
            nanosleep(&pause, NULL);
    }
    return err;
}

void shake(bool on)
{
    shaking = on;
}
