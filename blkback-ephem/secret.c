// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * secret: a heap of blocks of 32 bytes times a power of two.  Blocks that come back are wiped and kept
 * in lists by size, never split or joined: libcrypto takes what it needs at the start (about 0.2 MiB)
 * and a context a thread, then nothing more.  When the heap is used up, libcrypto is told so, and what
 * needs it fails; it never falls back to another heap.
 *
 * Where there is no memfd_secret, what is mapped lies one behind the other in one ordinary file in
 * memory, so that the undertaker can wipe it by that file's descriptor; a place is not used again.
 *
 * The one global besides the log level, with that descriptor: libcrypto's allocators take no context.
 * They are written before there is a second thread.
 */
#include "secret.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <openssl/crypto.h>
#include "memfile.h"

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

/* More than libcrypto takes for an expansion, less than any thread has */
#define STACK_BYTES 16384u
#define BLOCK_LEAST 32u
#define ORDERS      13u /* up to 128 KiB */

/* In front of what the caller gets, which is aligned to 16 bytes with it. */
struct block {
    size_t bytes; /* that the caller asked for */
    struct block *next;
};

/* At the begin of its own memory. */
struct heap {
    pthread_mutex_t lock;
    size_t used; /* never given out so far: from here on */
    struct block *free[ORDERS];
};

static struct heap *secret_heap;
static int secret_error = -EINVAL;
static int secret_stand_in = -1; /* the file */
static off_t secret_end;         /* of what is taken of it */

/* -ENOSYS where the kernel has none, or had it switched off; -ENOMEM above the memlock limit. */
static int secret_map_hidden(void **out, size_t bytes)
{
    int fd = (int)syscall(SYS_memfd_secret, O_CLOEXEC);
    int err = 0;

    if (fd < 0)
        return -ENOSYS;
    void *memory = ftruncate(fd, (off_t)bytes)
                       ? MAP_FAILED
                       : mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        err = errno == EAGAIN ? -ENOMEM : -errno;
    else
        *out = memory;
    close(fd);
    return err;
}

static int secret_map_ordinary(void **out, size_t bytes)
{
    if (secret_stand_in < 0)
        secret_stand_in = memfile_open("secret");
    if (secret_stand_in < 0)
        return secret_stand_in;
    if (ftruncate(secret_stand_in, secret_end + (off_t)bytes))
        return -errno;
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, secret_stand_in,
                        secret_end);
    if (memory == MAP_FAILED)
        return -errno;
    if (mlock(memory, bytes) || madvise(memory, bytes, MADV_DONTDUMP)) {
        int err = -errno;
        munmap(memory, bytes);
        return err;
    }
    secret_end += (off_t)bytes;
    *out = memory;
    return 0;
}

int secret_map(void **out, size_t bytes)
{
    void *memory = NULL;
    int err = secret_map_hidden(&memory, bytes); /* locked and left out of dumps by itself */

    if (err == -ENOSYS)
        err = secret_map_ordinary(&memory, bytes);
    if (err)
        return err;
    if (madvise(memory, bytes, MADV_DONTFORK)) {
        err = -errno;
        munmap(memory, bytes);
        return err;
    }
    *out = memory;
    return 0;
}

void secret_unmap(void *memory, size_t bytes)
{
    OPENSSL_cleanse(memory, bytes);
    munmap(memory, bytes);
}

static unsigned int secret_order(size_t bytes)
{
    unsigned int order = 0;

    while (order < ORDERS && bytes + sizeof(struct block) > (size_t)BLOCK_LEAST << order)
        order++;
    return order;
}

static void *secret_malloc(size_t bytes, const char *file, int line)
{
    struct heap *heap = secret_heap;
    unsigned int order = bytes <= SECRET_HEAP ? secret_order(bytes) : ORDERS;
    size_t size = (size_t)BLOCK_LEAST << order;
    struct block *block = NULL;

    (void)file;
    (void)line;
    if (!bytes || order == ORDERS)
        return NULL;
    pthread_mutex_lock(&heap->lock);
    if (heap->free[order]) {
        block = heap->free[order];
        heap->free[order] = block->next;
    } else if (size <= SECRET_HEAP - heap->used) {
        block = (struct block *)(void *)((uint8_t *)heap + heap->used);
        heap->used += size;
    }
    pthread_mutex_unlock(&heap->lock);
    if (!block)
        return NULL;
    *block = (struct block){.bytes = bytes};
    return block + 1;
}

static void secret_free(void *memory, const char *file, int line)
{
    struct heap *heap = secret_heap;
    struct block *block = memory;

    (void)file;
    (void)line;
    if (!block)
        return;
    block--;
    unsigned int order = secret_order(block->bytes);
    OPENSSL_cleanse(block, (size_t)BLOCK_LEAST << order);
    pthread_mutex_lock(&heap->lock);
    block->next = heap->free[order];
    heap->free[order] = block;
    pthread_mutex_unlock(&heap->lock);
}

static void *secret_realloc(void *memory, size_t bytes, const char *file, int line)
{
    if (!memory)
        return secret_malloc(bytes, file, line);
    size_t before = ((struct block *)memory - 1)->bytes;
    void *moved = secret_malloc(bytes, file, line);
    if (moved)
        memcpy(moved, memory, before < bytes ? before : bytes);
    if (moved || !bytes)
        secret_free(memory, file, line);
    return moved;
}

void secret_enter(void)
{
    void *memory;

    secret_error = secret_map(&memory, SECRET_HEAP);
    if (secret_error)
        return;
    secret_heap = memory;
    secret_heap->used = (sizeof(*secret_heap) + BLOCK_LEAST - 1) / BLOCK_LEAST * BLOCK_LEAST;
    pthread_mutex_init(&secret_heap->lock, NULL);
    if (CRYPTO_set_mem_functions(secret_malloc, secret_realloc, secret_free) != 1)
        secret_error = -EBUSY;
    else if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1)
        secret_error = -ENOMEM;
}

int secret_state(void)
{
    return secret_error;
}

__attribute__((noinline)) void secret_wipe_stack(void)
{
    uint8_t stack[STACK_BYTES];

    OPENSSL_cleanse(stack, sizeof(stack));
}

bool secret_is_hidden(void)
{
    return secret_stand_in < 0;
}

int secret_file(void)
{
    return secret_stand_in;
}

bool secret_has(const void *at)
{
    const uint8_t *from = (const uint8_t *)secret_heap;

    return (const uint8_t *)at >= from && (const uint8_t *)at < from + SECRET_HEAP;
}
