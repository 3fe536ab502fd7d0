// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * unit: helpers of the suites.  stderr is captured by descriptor, since production code writes to it
 * with write(2).
 */
#include "unit.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int capture_stderr = -1, capture_file = -1;

int unit_suite(const char *name, const struct unit_case *cases, size_t count)
{
    CU_pSuite suite = CU_add_suite(name, NULL, NULL);

    for (size_t i = 0; suite && i < count; i++)
        if (!CU_add_test(suite, cases[i].name, cases[i].run))
            return (int)CU_get_error();
    return suite ? 0 : (int)CU_get_error();
}

uint64_t unit_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15ull;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

uint64_t unit_below(uint64_t *state, uint64_t bound)
{
    return unit_random(state) % bound;
}

void unit_capture_start(void)
{
    capture_stderr = dup(STDERR_FILENO);
    capture_file = memfd_create("stderr", MFD_CLOEXEC);
    dup2(capture_file, STDERR_FILENO);
}

unsigned int unit_capture_count(const char *text)
{
    struct stat st;
    unsigned int found = 0;

    if (fstat(capture_file, &st))
        return 0;
    char *all = calloc(1, (size_t)st.st_size + 1);
    if (all && pread(capture_file, all, (size_t)st.st_size, 0) == st.st_size)
        for (const char *at = all; (at = strstr(at, text)); at++)
            found++;
    free(all);
    return found;
}

void unit_capture_end(void)
{
    dup2(capture_stderr, STDERR_FILENO);
    close(capture_stderr);
    close(capture_file);
}

unsigned int unit_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned int n = 0;

    while (dir && readdir(dir))
        n++;
    if (dir)
        closedir(dir);
    return n;
}

void unit_sleep(unsigned int ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

    nanosleep(&t, NULL);
}
