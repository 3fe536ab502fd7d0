// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * frames - whose is a frame of the machine's memory?  In a PV dom0.
 *
 *     frames save FILE              writes Xen's table: what the owner calls each machine frame
 *     frames who FILE PID... <LIST  for each machine frame in LIST, in hexadecimal, a line each: the frame
 *                                   and what it is
 *
 * A frame is dom0's if the saved table, made when there was no other domain, and today's agree about it:
 * then processes' page maps, which have dom0's numbers, tell which of them has it.  It is said to be the
 * mapping's name in /proc/PID/maps, "anonymous", "dom0-frame-N" when none of those processes has it, or
 * "not-dom0".
 */
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#define __XEN_TOOLS__ 1 /* the interface as it is now */
#include <xen/xen.h>
#include <xen/memory.h>
#include <xencall.h>
#include <xenforeignmemory.h>

#define PAGE         4096u
#define PRESENT      (1ull << 63)
#define FRAME        ((1ull << 55) - 1)
#define CHUNK        ((size_t)2 << 20) /* of the table, that Xen names by its first frame */
#define CHUNKS       64u
#define CHUNK_FRAMES (CHUNK / PAGE)
#define DOM0_FRAMES  ((uint64_t)1 << 24) /* numbers beyond are none */

struct table {
    uint64_t *of; /* by machine frame */
    size_t count;
};

/* The machine frames where the table's chunks begin; returns how many there are. */
static unsigned int table_chunks(uint64_t starts[CHUNKS], size_t *count)
{
    xencall_handle *call = xencall_open(NULL, 0);
    struct xen_machphys_mfn_list *list = call ? xencall_alloc_buffer(call, sizeof(*list)) : NULL;
    xen_pfn_t *extents = list ? xencall_alloc_buffer(call, CHUNKS * sizeof(*extents)) : NULL;

    if (!extents)
        error(1, errno, "no hypercalls");
    long most = xencall2L(call, __HYPERVISOR_memory_op, XENMEM_maximum_ram_page, 0);
    list->max_extents = CHUNKS;
    set_xen_guest_handle(list->extent_start, extents);
    if (most <= 0 || xencall2(call, __HYPERVISOR_memory_op, XENMEM_machphys_mfn_list,
                              (uint64_t)(uintptr_t)list) < 0)
        error(1, errno, "Xen's table");
    for (unsigned int i = 0; i < list->nr_extents; i++)
        starts[i] = extents[i];
    unsigned int n = list->nr_extents;
    *count = (size_t)most + 1;
    xencall_free_buffer(call, extents);
    xencall_free_buffer(call, list);
    xencall_close(call);
    return n;
}

static struct table table_now(void)
{
    uint64_t starts[CHUNKS];
    struct table table;
    xenforeignmemory_handle *memory = xenforeignmemory_open(NULL, 0);
    unsigned int n = table_chunks(starts, &table.count);
    xen_pfn_t *frames = calloc(n * CHUNK_FRAMES, sizeof(*frames));
    size_t pages = (table.count * sizeof(*table.of) + PAGE - 1) / PAGE;

    if (!memory || !frames || pages > n * CHUNK_FRAMES)
        error(1, errno, "Xen's table");
    for (size_t i = 0; i < pages; i++)
        frames[i] = starts[i / CHUNK_FRAMES] + i % CHUNK_FRAMES;
    table.of = xenforeignmemory_map(memory, DOMID_XEN, PROT_READ, pages, frames, NULL);
    if (!table.of)
        error(1, errno, "Xen's table cannot be mapped");
    free(frames);
    return table;
}

static int table_save(const char *file)
{
    struct table now = table_now();
    FILE *f = fopen(file, "we");

    if (!f || fwrite(now.of, sizeof(*now.of), now.count, f) != now.count || fclose(f))
        error(1, errno, "%s", file);
    printf("%zu frames\n", now.count);
    return 0;
}

static struct table table_saved(const char *file, size_t count)
{
    struct table table = {calloc(count, sizeof(*table.of)), count};
    FILE *f = fopen(file, "re");

    if (!table.of || !f || fread(table.of, sizeof(*table.of), count, f) != count)
        error(1, errno, "%s", file);
    fclose(f);
    return table;
}

/* Whether the process has the frame of that number; the name of the mapping where it has. */
static int process_has(const char *pid, uint64_t frame, char name[256])
{
    char path[64], line[512];
    uint64_t from, to, entries[512];
    int has = 0;

    snprintf(path, sizeof(path), "/proc/%s/pagemap", pid);
    int pagemap = open(path, O_RDONLY | O_CLOEXEC);
    if (pagemap < 0)
        error(1, errno, "%s", path);
    snprintf(path, sizeof(path), "/proc/%s/maps", pid);
    FILE *maps = fopen(path, "re");
    if (!maps)
        error(1, errno, "%s", path);
    while (!has && fgets(line, sizeof(line), maps)) {
        strcpy(name, "anonymous");
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %*s %*s %*s %255s", &from, &to, name) < 2)
            error(1, 0, "%s: %s", path, line);
        for (; !has && from < to; from += sizeof(entries) / sizeof(entries[0]) * PAGE) {
            uint64_t pages = (to - from) / PAGE;
            ssize_t got = pread(pagemap, entries,
                                pages * 8 < sizeof(entries) ? pages * 8 : sizeof(entries),
                                (off_t)(from / PAGE * 8)); /* none for what is the kernel's */
            for (ssize_t i = 0; i < got / 8; i++)
                has |= (entries[i] & PRESENT) && (entries[i] & FRAME) == frame;
        }
    }
    fclose(maps);
    close(pagemap);
    return has;
}

static int who(const char *file, char **pids)
{
    struct table now = table_now(), saved = table_saved(file, now.count);
    char line[64], name[256];
    uint64_t frame;

    while (fgets(line, sizeof(line), stdin)) {
        if (sscanf(line, "%" SCNx64, &frame) != 1 || frame >= now.count)
            error(1, 0, "stdin: no frame: %s", line);
        uint64_t number = now.of[frame];
        if (number != saved.of[frame] || number >= DOM0_FRAMES) {
            printf("%" PRIx64 " not-dom0\n", frame);
            continue;
        }
        char **pid = pids;
        while (*pid && !process_has(*pid, number, name))
            pid++;
        if (*pid)
            printf("%" PRIx64 " %s\n", frame, name);
        else
            printf("%" PRIx64 " dom0-frame-%" PRIx64 "\n", frame, number);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "save"))
        return table_save(argv[2]);
    if (argc >= 3 && !strcmp(argv[1], "who"))
        return who(argv[2], argv + 3);
    error(1, 0, "usage: frames save FILE | frames who FILE PID...");
    return 1;
}
