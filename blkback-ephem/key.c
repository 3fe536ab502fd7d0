// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * key: one page of its own, filled in place and then read-only.  The halves of an XTS key must differ
 * (IEEE 1619, FIPS 140 IG C.I).
 */
#include "key.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <openssl/crypto.h>
#include "secret.h"

struct key {
    uint8_t bytes[KEY_BYTES];
    uint8_t seal[KEY_SEAL_BYTES];
};

static int key_fill(struct key *key)
{
    do {
        size_t got = 0;
        while (got < sizeof(*key)) {
            ssize_t n = getrandom((uint8_t *)key + got, sizeof(*key) - got, 0);
            if (n < 0 && errno != EINTR)
                return -errno;
            if (n > 0)
                got += (size_t)n;
        }
    } while (CRYPTO_memcmp(key->bytes, key->bytes + KEY_BYTES / 2, KEY_BYTES / 2) == 0);
    return 0;
}

int key_open(struct key **out)
{
    void *page;
    int err = secret_state();

    if (!err)
        err = secret_map(&page, KEY_PAGE);
    if (err)
        return err;
    err = key_fill(page);
    if (!err && mprotect(page, KEY_PAGE, PROT_READ))
        err = -errno;
    if (err)
        secret_unmap(page, KEY_PAGE);
    else
        *out = page;
    return err;
}

void key_close(struct key *key)
{
    if (!key)
        return;
    if (mprotect(key, KEY_PAGE, PROT_READ | PROT_WRITE) == 0)
        secret_unmap(key, KEY_PAGE);
    else
        munmap(key, KEY_PAGE);
}

const uint8_t *key_bytes(const struct key *key)
{
    return key->bytes;
}

const uint8_t *key_seal_bytes(const struct key *key)
{
    return key->seal;
}
