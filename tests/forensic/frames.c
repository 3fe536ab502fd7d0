// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * frames - whose is a frame of the machine's memory?  In a PV dom0.
 *
 *     frames save FILE                    writes Xen's table: what the owner calls each frame
 *     frames who FILE FLAGS PID... <LIST  for each machine frame in LIST, in hexadecimal, a line
 *                                         each: the frame and what it is
 *
 * A frame is dom0's if the saved table, made when there was no other domain, and today's agree
 * about it: then processes' page maps, which have dom0's numbers, tell which of them has it.  It
 * is said to be the mapping's name in /proc/PID/maps, "anonymous", or when none of those processes
 * has it what dom0's kernel used it for when FLAGS was copied from /proc/kpageflags: "dom0-free",
 * "dom0-slab", "dom0-cache" (of files, or another process'), "dom0-kernel" (all else; also what a
 * CPU keeps of free pages); or "not-dom0".
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
#define FLAG_LRU     (1ull << 5)
#define FLAG_SLAB    (1ull << 7)
#define FLAG_BUDDY   (1ull << 10)
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

/* One that was asked for. */
struct frame {
    uint64_t machine, number; /* the latter dom0's, or DOM0_FRAMES */
    char whose[64];
};

static int by_number(const void *a, const void *b)
{
    const struct frame *x = a, *y = b;

    return (x->number > y->number) - (x->number < y->number);
}

/* As Documentation/admin-guide/mm/pagemap.rst of Linux has them. */
static const char *kernel_use(FILE *flags, uint64_t number)
{
    uint64_t bits;

    if (pread(fileno(flags), &bits, sizeof(bits), (off_t)(number * sizeof(bits))) != sizeof(bits))
        error(1, errno, "flags of frame %" PRIx64, number);
    return bits & FLAG_BUDDY  ? "dom0-free"
           : bits & FLAG_SLAB ? "dom0-slab"
           : bits & FLAG_LRU  ? "dom0-cache"
                              : "dom0-kernel";
}

static struct frame *frames_asked(const char *file, const char *flags_file, size_t *count)
{
    struct table now = table_now(), saved = table_saved(file, now.count);
    struct frame *frames = NULL;
    FILE *flags = fopen(flags_file, "re");
    char line[64];
    uint64_t machine;

    if (!flags)
        error(1, errno, "%s", flags_file);
    for (*count = 0; fgets(line, sizeof(line), stdin); ++*count) {
        frames = reallocarray(frames, *count + 1, sizeof(*frames));
        if (!frames || sscanf(line, "%" SCNx64, &machine) != 1 || machine >= now.count)
            error(1, 0, "stdin: no frame: %s", line);
        uint64_t number = now.of[machine];
        if (number != saved.of[machine] || number >= DOM0_FRAMES)
            number = DOM0_FRAMES;
        frames[*count] = (struct frame){.machine = machine, .number = number};
        strcpy(frames[*count].whose, number < DOM0_FRAMES ? kernel_use(flags, number) : "not-dom0");
    }
    if (frames)
        qsort(frames, *count, sizeof(*frames), by_number);
    free(saved.of);
    fclose(flags);
    return frames;
}

static FILE *proc_open(const char *pid, const char *name)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%s/%s", pid, name);
    FILE *f = fopen(path, "re");
    if (!f)
        error(1, errno, "%s", path);
    return f;
}

/* Gives the name to those of the frames that the pages from and to have. */
static void mapping(FILE *pagemap, uint64_t from, uint64_t to, const char *name,
                    struct frame *frames, size_t count)
{
    uint64_t entries[512];

    for (; from < to; from += sizeof(entries) / sizeof(entries[0]) * PAGE) {
        uint64_t bytes = (to - from) / PAGE * sizeof(entries[0]);
        ssize_t got = pread(fileno(pagemap), entries,
                            bytes < sizeof(entries) ? bytes : sizeof(entries),
                            (off_t)(from / PAGE * 8)); /* none for what is the kernel's */
        for (ssize_t i = 0; i < got / 8; i++) {
            struct frame key = {.number = entries[i] & FRAME};
            struct frame *it = entries[i] & PRESENT
                                   ? bsearch(&key, frames, count, sizeof(*frames), by_number)
                                   : NULL;
            if (it)
                snprintf(it->whose, sizeof(it->whose), "%.*s", (int)sizeof(it->whose) - 1, name);
        }
    }
}

static void process(const char *pid, struct frame *frames, size_t count)
{
    FILE *pagemap = proc_open(pid, "pagemap"), *maps = proc_open(pid, "maps");
    char line[512], name[256];
    uint64_t from, to;

    while (fgets(line, sizeof(line), maps)) {
        strcpy(name, "anonymous");
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %*s %*s %*s %255s", &from, &to, name) < 2)
            error(1, 0, "maps of %s: %s", pid, line);
        mapping(pagemap, from, to, name, frames, count);
    }
    fclose(maps);
    fclose(pagemap);
}

static int who(const char *file, const char *flags_file, char **pids)
{
    size_t count;
    struct frame *frames = frames_asked(file, flags_file, &count);

    for (; *pids; pids++)
        process(*pids, frames, count);
    for (size_t i = 0; i < count; i++)
        printf("%" PRIx64 " %s\n", frames[i].machine, frames[i].whose);
    free(frames);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "save"))
        return table_save(argv[2]);
    if (argc >= 4 && !strcmp(argv[1], "who"))
        return who(argv[2], argv[3], argv + 4);
    error(1, 0, "usage: frames save FILE | frames who FILE FLAGS PID...");
    return 1;
}
