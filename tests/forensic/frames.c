// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * frames PID... - the page frames that processes have in memory: "FRAME-IN-HEX NAME" a line, where NAME is
 * that of the mapping in /proc/PID/maps, or "anonymous".  Frames as dom0 counts them.
 */
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#define PAGE    4096u
#define PRESENT (1ull << 63)
#define FRAME   ((1ull << 55) - 1)

static void frames_of(const char *pid)
{
    char path[64], line[512], name[256];
    uint64_t from, to, entry;

    snprintf(path, sizeof(path), "/proc/%s/pagemap", pid);
    int pagemap = open(path, O_RDONLY | O_CLOEXEC);
    if (pagemap < 0)
        error(1, errno, "%s", path);
    snprintf(path, sizeof(path), "/proc/%s/maps", pid);
    FILE *maps = fopen(path, "re");
    if (!maps)
        error(1, errno, "%s", path);
    while (fgets(line, sizeof(line), maps)) {
        int n = sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %*s %*s %*s %255s", &from, &to, name);
        if (n < 2)
            error(1, 0, "%s: %s", path, line);
        for (; from < to; from += PAGE) {
            if (pread(pagemap, &entry, sizeof(entry), (off_t)(from / PAGE * sizeof(entry))) !=
                (ssize_t)sizeof(entry))
                break; /* beyond what a process has: vsyscall */
            if (entry & PRESENT)
                printf("%" PRIx64 " %s\n", (uint64_t)(entry & FRAME), n == 3 ? name : "anonymous");
        }
    }
    fclose(maps);
    close(pagemap);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        frames_of(argv[i]);
    return 0;
}
