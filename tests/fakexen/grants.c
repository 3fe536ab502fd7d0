// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Grant table entries, the ledger of who maps them, and the file that stands for all memory.
 * Functions that touch the shared state want the lock.
 *
 * An entry that its owner takes back while it is mapped stays as DEFERRED until the last unmap, as
 * the kernel's gntalloc does it.
 */
#define _GNU_SOURCE
#include "hv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

off_t fx_page_offset(const struct fx_domain *dom, uint32_t ref)
{
    return ((off_t)fx_slot(dom) * FX_GRANTS + ref) * FX_PAGE;
}

int fx_grant_alloc(struct fx_domain *dom, uint16_t to, bool writable, uint32_t owner, uint32_t *ref)
{
    for (uint32_t i = 0; i < FX_GRANTS; i++) {
        uint32_t at = dom->next_ref;
        struct fx_grant *grant = &dom->grant[at];

        dom->next_ref = at + 1 < FX_GRANTS ? at + 1 : FX_RESERVED_REFS;
        if (grant->state != FX_GRANT_FREE)
            continue;
        *grant = (struct fx_grant){
            .state = FX_GRANT_LIVE, .writable = writable, .to = to, .owner = (uint16_t)owner};
        *ref = at;
        return 0;
    }
    errno = ENOSPC;
    return -1;
}

void fx_grant_free(struct fx_domain *dom, uint32_t ref)
{
    struct fx_grant *grant = &dom->grant[ref];

    if (grant->mapped)
        grant->state = FX_GRANT_DEFERRED;
    else
        memset(grant, 0, sizeof(*grant));
}

int fx_map_add(const struct fx_map *map)
{
    struct fx_domain *dom = &fx_hv->dom[map->slot];

    for (unsigned i = 0; i < FX_MAPS; i++) {
        if (fx_hv->map[i].handle)
            continue;
        fx_hv->map[i] = *map;
        if (fx_hv->map_top <= i)
            fx_hv->map_top = i + 1;
        dom->grant[map->ref].mapped++;
        dom->mapped++;
        return 0;
    }
    errno = ENOSPC;
    return -1;
}

/* Unmap notification: clear one byte of the page (if still at hand), send one event. */
static void notify(const struct fx_map *map, void *page)
{
    struct fx_handle *handle = &fx_hv->gnt[map->handle - 1];
    char zero = 0;

    if (map->notify & 1u) {
        if (page) {
            ((char *)page)[map->notify_offset] = 0;
        } else {
            off_t at = fx_page_offset(&fx_hv->dom[map->slot], map->ref) + map->notify_offset;
            int ram = fx_ram_open(false);

            if (ram >= 0 && pwrite(ram, &zero, 1, at) != 1)
                fprintf(stderr, "fakexen: unmap notify: %s\n", strerror(errno));
            if (ram >= 0)
                close(ram);
        }
    }
    if (map->notify & 2u)
        fx_port_send(-1, fx_dom_of(handle), map->notify_port);
}

void fx_map_drop(struct fx_map *map, void *page)
{
    struct fx_domain *dom = &fx_hv->dom[map->slot];
    struct fx_grant *grant = &dom->grant[map->ref];

    if (map->notify)
        notify(map, page);
    memset(map, 0, sizeof(*map));
    while (fx_hv->map_top && !fx_hv->map[fx_hv->map_top - 1].handle)
        fx_hv->map_top--;
    grant->mapped--;
    dom->mapped--;
    if (!grant->mapped && grant->state == FX_GRANT_DEFERRED)
        fx_grant_free(dom, (uint32_t)(grant - dom->grant));
}

int fx_ram_open(bool keep_on_exec)
{
    char path[160];

    if (fx_attach())
        return -1;
    return open(fx_path(path, sizeof(path), "ram"), O_RDWR | (keep_on_exec ? 0 : O_CLOEXEC));
}

/* The lock bytes lie beyond the end of the memory, one for each serial number. */
static struct flock life_lock(short type, uint64_t serial)
{
    return (struct flock){
        .l_type = type, .l_whence = SEEK_SET, .l_start = FX_RAM_BYTES + (off_t)serial, .l_len = 1};
}

int fx_gnt_lock(int ram, uint64_t serial)
{
    struct flock lock = life_lock(F_WRLCK, serial);

    return fcntl(ram, F_OFD_SETLK, &lock);
}

bool fx_gnt_dead(int ram, uint64_t serial)
{
    struct flock lock = life_lock(F_WRLCK, serial);

    return !fcntl(ram, F_OFD_GETLK, &lock) && lock.l_type == F_UNLCK;
}

void fx_gnt_release(struct fx_handle *handle)
{
    uint32_t mine = (uint32_t)(handle - fx_hv->gnt) + 1;
    struct fx_domain *dom = fx_dom_of(handle);

    for (unsigned i = 0; i < fx_hv->map_top; i++)
        if (fx_hv->map[i].handle == mine)
            fx_map_drop(&fx_hv->map[i], NULL);
    for (uint32_t ref = 0; dom && ref < FX_GRANTS; ref++)
        if (dom->grant[ref].state != FX_GRANT_FREE && dom->grant[ref].owner == mine) {
            dom->grant[ref].owner = 0;
            fx_grant_free(dom, ref);
        }
    memset(handle, 0, sizeof(*handle));
}

void fx_ram_discard(const struct fx_domain *dom)
{
    int ram = fx_ram_open(false);

    if (ram < 0)
        return;
    if (fallocate(ram, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, fx_page_offset(dom, 0),
                  (off_t)FX_GRANTS * FX_PAGE))
        fprintf(stderr, "fakexen: punch: %s\n", strerror(errno));
    close(ram);
}
