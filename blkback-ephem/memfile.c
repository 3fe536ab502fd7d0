// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * memfile: memfd_create(2), and writes over what SEEK_DATA finds: calls that the undertaker may make.
 */
#include "memfile.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u
#endif

/* Before 6.3 the kernel does not know the flag. */
int memfile_open(const char *label)
{
    int fd = memfd_create(label, MFD_CLOEXEC | MFD_NOEXEC_SEAL);

    if (fd < 0 && errno == EINVAL)
        fd = memfd_create(label, MFD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

void memfile_wipe(int fd)
{
    static const char zeroes[4096];
    off_t from, to = 0;

    while ((from = lseek(fd, to, SEEK_DATA)) >= 0 && (to = lseek(fd, from, SEEK_HOLE)) > from) {
        if (lseek(fd, from, SEEK_SET) < 0)
            return;
        while (from < to) {
            size_t bytes = to - from < (off_t)sizeof(zeroes) ? (size_t)(to - from) : sizeof(zeroes);
            ssize_t n = write(fd, zeroes, bytes);
            if (n <= 0)
                return;
            from += n;
        }
    }
}
