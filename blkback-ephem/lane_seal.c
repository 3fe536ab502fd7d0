// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lane_seal: a block's bytes between a request and the pool.  Outward they are encrypted, then the tag
 * of the ciphertext goes to its place beside the slot; inward the tag is checked before anything is
 * decrypted.  So whoever writes to the pool, or takes it back to an earlier state, gets errors out of
 * it and never data; a request that writes a part of such a block fails too, since it reads first.
 * The block is whole again once it was overwritten as a whole or discarded.
 */
#include "lane_state.h"

#include <errno.h>
#include <string.h>
#include "log.h"

_Static_assert(POOL_TAG == SEAL_TAG, "the pool has room for a seal's tags");

static void lane_tell(const struct vio *io, uint32_t i, const char *what)
{
    struct pool *pool = io->lane->pool;
    struct cipher_tweak tweak = vio_tweak(io, i);

    if (pool_tampered(pool, io->slot[i], tweak.generation))
        log_error("%s%s: block %llu: %s: somebody else wrote to the pool, or it lost data: reads "
                  "of the block fail until it is overwritten as a whole or discarded",
                  pool_whose(pool), volume_config(io->volume)->name,
                  (unsigned long long)vio_block(io, i), what);
}

int lane_encrypt(struct vio *io, uint32_t i, const uint8_t *plain, uint8_t *out, uint32_t bytes)
{
    struct lane *lane = io->lane;
    struct cipher_tweak tweak = vio_tweak(io, i);
    int err = cipher_encrypt(lane->cipher, &tweak, plain, out, bytes);

    if (!err && lane->seal)
        err = seal_make(lane->seal, &tweak, out, bytes, pool_tag(lane->pool, io->slot[i]));
    return err;
}

int lane_decrypt(struct vio *io, uint32_t i, const uint8_t *in, uint8_t *plain, uint32_t bytes)
{
    struct lane *lane = io->lane;
    struct cipher_tweak tweak = vio_tweak(io, i);
    int err = lane->seal
                  ? seal_check(lane->seal, &tweak, in, bytes, pool_tag(lane->pool, io->slot[i]))
                  : 0;

    if (!err)
        return cipher_decrypt(lane->cipher, &tweak, in, plain, bytes);
    memset(plain, 0, bytes);
    if (err == -EBADMSG)
        lane_tell(io, i, "the pool does not hold what was written");
    return -EIO;
}

int lane_missing(struct vio *io, uint32_t i)
{
    if (io->lane->seal)
        lane_tell(io, i, "the pool ends before it");
    return -EIO;
}
