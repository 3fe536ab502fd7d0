// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * audit_memory: where the key, libcrypto's heap and the buffers lie, by the kernel's own list of the
 * worker's mappings; and what of it has been swapped.
 *
 * The key is a page of its own that is only read, the heap 1 MiB: of memfd_secret, or pages of a file
 * in memory that are locked, in no dump and in no child.  Something that is neither cannot be found: that fails.
 */
#include "audit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit_proc.h"

static void memory_key(const struct audit_domain *domain, const struct proc_memory *memory)
{
    json_t *checks = domain->checks;

    if (memory->secret_keys && memory->secret_heaps)
        audit_add(checks, AUDIT_OK, "key memory", NULL,
                  "memfd_secret: mapped by the worker alone, zeroed as it ends");
    else if (!(memory->secret_keys || memory->locked_keys) ||
             !(memory->secret_heaps || memory->locked_heaps))
        audit_add(checks, AUDIT_FAIL, "key memory", "see the worker's log; start the guest again",
                  "no memory of memfd_secret, and none that is locked and kept out of dumps");
    else if (domain->init_on_free)
        audit_add(checks, AUDIT_OK, "key memory", NULL,
                  "locked, in no dump; the kernel zeroes freed pages");
    else
        audit_add(
            checks, AUDIT_WARN, "key memory",
            "secretmem.enable=1 (Linux before 6.5) or init_on_free=1 on dom0's command line",
            "locked, in no dump; but freed pages keep it if the worker and its undertaker are "
            "killed at once");
}

static void memory_locked(const struct audit_domain *domain, const struct proc_memory *memory)
{
    json_t *checks = domain->checks;

    if (!memory->arenas || memory->bare_arenas)
        audit_add(checks, AUDIT_FAIL, "locked memory",
                  "see the worker's log; start the guest again",
                  "%u of %u buffers for plaintext are not locked or may be dumped",
                  memory->bare_arenas, memory->arenas);
    else if (memory->unlocked && domain->swaps)
        audit_add(checks, AUDIT_WARN, "locked memory",
                  "LimitMEMLOCK=infinity for blkback-ephemd, then start the guest again",
                  "%u buffers are; %llu KiB besides key and buffers are not, and dom0 swaps",
                  memory->arenas, (unsigned long long)memory->unlocked);
    else
        audit_add(checks, AUDIT_OK, "locked memory", NULL,
                  "%u buffer%s, in no dump; %llu KiB besides key and buffers are not locked%s",
                  memory->arenas, memory->arenas == 1 ? "" : "s",
                  (unsigned long long)memory->unlocked,
                  domain->swaps ? "" : ", and there is no swap");
}

/* `status`' figure leaves shared memory out, which the buffers are; the sum of all mappings has both. */
static void memory_swapped(const struct audit_domain *domain, const struct proc_memory *memory)
{
    char *text = audit_read(domain->dir, "status");
    uint64_t swapped = 0;
    int err = text ? proc_number(text, "VmSwap", &swapped) : -errno;

    free(text);
    if (memory->swapped || swapped)
        audit_add(domain->checks, AUDIT_FAIL, "swap",
                  "swapoff -a, LimitMEMLOCK=infinity for blkback-ephemd; wipe the swap device",
                  "%llu KiB of the worker are in swap",
                  (unsigned long long)(swapped > memory->swapped ? swapped : memory->swapped));
    else if (err)
        audit_add(domain->checks, AUDIT_UNKNOWN, "swap", AUDIT_AS_ROOT, "status of the worker: %s",
                  strerror(-err));
    else
        audit_add(domain->checks, AUDIT_OK, "swap", NULL, "nothing of the worker is in swap");
}

void audit_memory(struct audit_domain *domain)
{
    struct proc_memory memory;
    char *text = audit_read(domain->dir, "smaps");
    int err = text ? proc_memory(text, &memory) : -errno;

    free(text);
    if (!err) {
        memory_key(domain, &memory);
        memory_locked(domain, &memory);
        memory_swapped(domain, &memory);
        return;
    }
    audit_add(domain->checks, AUDIT_UNKNOWN, "key memory", AUDIT_AS_ROOT,
              "the worker's mappings (smaps) cannot be read: %s", strerror(-err));
}
