// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * textfile: the new content gets a name that nobody asks for, in the same directory, and then the
 * right one.
 */
#include "textfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int textfile_load(int fd, struct textfile *out)
{
    struct stat st;

    if (fstat(fd, &st))
        return -errno;
    if (!S_ISREG(st.st_mode))
        return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
    out->mode = st.st_mode & 0777;
    out->dev = st.st_dev;
    out->ino = st.st_ino;
    out->text = malloc(TEXTFILE_MOST + 1);
    if (!out->text)
        return -ENOMEM;
    for (ssize_t got = 1; got && out->length <= TEXTFILE_MOST;) {
        got = read(fd, out->text + out->length, TEXTFILE_MOST + 1 - out->length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        out->length += (size_t)got;
    }
    if (out->length > TEXTFILE_MOST)
        return -EFBIG;
    out->text[out->length] = '\0';
    return 0;
}

int textfile_read(const char *path, struct textfile *out)
{
    memset(out, 0, sizeof(*out));
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int err = textfile_load(fd, out);
    close(fd);
    if (err) {
        free(out->text);
        out->text = NULL;
    }
    return err;
}

/* All of it, and on disk. */
static int textfile_fill(int fd, const char *text, size_t length, mode_t mode)
{
    while (length) {
        ssize_t done = write(fd, text, length);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -errno;
        text += done;
        length -= (size_t)done;
    }
    return fchmod(fd, mode) || fsync(fd) ? -errno : 0;
}

static int textfile_name(const char *from, const char *to, int fresh)
{
    if (!fresh)
        return rename(from, to) ? -errno : 0;
    if (link(from, to))
        return -errno;
    unlink(from);
    return 0;
}

int textfile_write(const char *path, const char *text, size_t length, mode_t mode, int fresh)
{
    const char *slash = strrchr(path, '/');
    int dir_length = slash ? (int)(slash - path) + 1 : 0;
    char from[PATH_MAX], dir[PATH_MAX];

    if (snprintf(from, sizeof(from), "%.*s.ephemctl-XXXXXX", dir_length, path) >= PATH_MAX)
        return -ENAMETOOLONG;
    int fd = mkostemp(from, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int err = textfile_fill(fd, text, length, mode);
    if (close(fd) && !err)
        err = -errno;
    if (!err)
        err = textfile_name(from, path, fresh);
    if (err) {
        unlink(from);
        return err;
    }
    /* The name, too.  It is there already: an error here is no reason to say that it is not. */
    snprintf(dir, sizeof(dir), "%.*s", dir_length ? dir_length : 1, dir_length ? path : ".");
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
    return 0;
}
